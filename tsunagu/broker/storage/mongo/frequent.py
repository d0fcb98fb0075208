"""Which entity types are frequent: for those, looking around a place beats looking through the type.

What is known may be old by KEPT_SECONDS. It decides how a query is answered, not what is found.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tsunagu.broker.query.ast import EntityQuery
from tsunagu.broker.storage.mongo.filters import to_filter
from tsunagu.broker.storage.mongo.pages import count_of

if TYPE_CHECKING:
    from tsunagu.broker.query.ast import TypeSelection
    from tsunagu.broker.storage.mongo.client import Databases

MANY = 1000
KEPT_SECONDS = 60.0
MOST_KEPT = 1000


class FrequentTypes:
    """Counts the entities of a type up to MANY, at most once a while."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self._known: dict[tuple[str, TypeSelection | None], tuple[float, bool]] = {}

    async def many(self, tenant: str, types: TypeSelection | None) -> bool:
        """Tell whether a selection of types (None: all) has many entities. Raises PyMongoError."""
        now = time.monotonic()
        until, many = self._known.get((tenant, types), (0.0, False))
        if until < now:
            where = to_filter(EntityQuery(types=types))
            many = await count_of(self._databases, tenant, where, limit=MANY) == MANY
            if len(self._known) >= MOST_KEPT:
                self._known.clear()
            self._known[tenant, types] = (now + KEPT_SECONDS, many)
        return many
