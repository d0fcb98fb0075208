"""Whether a tenant has few locations that are anything but points: the cheaper condition of a geoquery then serves.

The answer is right when it is given and may be old by KEPT_SECONDS: both conditions find the same (`geo_filters`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tsunagu.broker.storage.mongo.geo_filters import SHAPES
from tsunagu.broker.storage.mongo.pages import count_of

if TYPE_CHECKING:
    from tsunagu.broker.query.ast import EntityQuery
    from tsunagu.broker.storage.mongo.client import Databases

MANY = 100
KEPT_SECONDS = 60.0


class Shapes:
    """Looks for shapes that are no points, at most once a while for a tenant."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self._known: dict[str, tuple[float, bool]] = {}

    async def few(self, tenant: str, query: EntityQuery) -> bool:
        """Tell whether the condition for few shapes is the better one for a query. Raises PyMongoError."""
        if query.geo is None or query.geo.relation != "near":
            return False
        now = time.monotonic()
        until, few = self._known.get(tenant, (0.0, False))
        if until < now:
            few = await count_of(self._databases.of(tenant), SHAPES, limit=MANY) < MANY
            self._known[tenant] = (now + KEPT_SECONDS, few)
        return few
