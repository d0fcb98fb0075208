"""How long a fetched @context may be kept, as its server says (ETSI GS CIM 009 v1.9.1, 6.3.16; RFC 9111, 4.2)."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_DIRECTIVE = re.compile(r'(s-maxage|max-age)\s*=\s*"?(\d{1,10})"?', re.IGNORECASE)
_NO_KEEPING = re.compile(r"\bno-(?:store|cache)\b", re.IGNORECASE)


def lifetime(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a response stays fresh, 0 if it is stale at once, None if the server does not say.

    Of Cache-Control s-maxage counts before max-age, and either before Expires; what Age says is taken off.
    """
    control = headers.get("cache-control", "")
    if _NO_KEEPING.search(control):
        return 0.0
    ages = {name.lower(): float(value) for name, value in _DIRECTIVE.findall(control)}
    seconds = ages.get("s-maxage", ages.get("max-age"))
    if seconds is None:
        return _until_expires(headers)
    age = headers.get("age", "0")
    return max(0.0, seconds - (float(age) if age.isascii() and age.isdigit() else 0.0))


def _until_expires(headers: Mapping[str, str]) -> float | None:
    if "expires" not in headers:
        return None
    try:
        expires = parsedate_to_datetime(headers["expires"])
        date = parsedate_to_datetime(headers["date"]) if "date" in headers else None
        return max(0.0, (expires - date).total_seconds()) if date is not None else None
    except (ValueError, TypeError):
        return 0.0  # RFC 9111, 5.3: an invalid Expires means "already expired"
