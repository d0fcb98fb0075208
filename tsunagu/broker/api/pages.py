"""Page size and place of a query (6.3.10, 6.3.13)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsunagu.broker.errors import BadRequestData, TooManyResults

if TYPE_CHECKING:
    from tsunagu.broker.api.call import Call
    from tsunagu.broker.api.services import Services


def page_of(call: Call, services: Services) -> tuple[int, int]:
    """Return limit and offset. Raises BadRequestData for limit 0 without count, TooManyResults for a huge page."""
    settings = services.settings
    limit: int = call.params.get("limit", settings.default_limit)
    if limit == 0 and not call.params.get("count"):
        raise BadRequestData("limit: 0 is only possible together with count=true")
    if limit > settings.max_limit:
        raise TooManyResults(f"limit: {limit} is more than a page may have here, {settings.max_limit}")
    return limit, call.params.get("offset", 0)
