"""Where the entities of a type stand in the order of ids: what makes a jump to a deep page cheap.

MongoDB counts off an index key by key, 0.5 µs each, as often as it is asked. A survey does so once, in the background:
it remembers every STRIDE-th id, farther apart with depth. What this process commits afterwards marks the stretch
between two of those ids as uncounted; that stretch alone is counted anew before the survey is used again, so that a
position is always exact.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from tsunagu.broker.storage.mongo.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    Find = Callable[[dict[str, Any]], Awaitable[list[dict[str, Any]]]]
    Count = Callable[[dict[str, Any]], Awaitable[int]]

STRIDE = 256
DOUBLED_EVERY = 512  # marks after which the stride doubles
MAX_ENTITIES = 2_000_000
MAX_RECOUNTS = 8
LIFETIME = 60.0


def hint_of(type_iri: str | None) -> str:
    """Return the name of the index that has the entities of a type, or all of them, in the order of ids."""
    return "_id_" if type_iri is None else KEYS


def condition(type_iri: str | None, *, after: str | None = None, last: str | None = None) -> dict[str, Any]:
    """Return the filter for the entities of a type, or all, with after < id <= last."""
    bounds = {**({} if after is None else {"$gt": after}), **({} if last is None else {"$lte": last})}
    return {**({} if type_iri is None else {KEYS: type_iri}), **({"_id": bounds} if bounds else {})}


class Survey:
    """Positions in the order of ids, of the entities of one type or (None) of all of a tenant.

    `find` runs a find command on the entities, `count` counts those that meet a filter by the same index. `base` is for
    whoever has the survey made, to tell by whether it still holds.
    """

    def __init__(self, type_iri: str | None, *, find: Find, count: Count) -> None:
        self.base = 0
        self._type = type_iri
        self._find = find
        self._count = count
        self._marks: list[str] = []
        self._sizes: list[int] = []
        self._uncounted: set[int] = set()
        self._heard: list[str] | None = []
        self._lock = asyncio.Lock()
        self._at = 0.0

    @property
    def old(self) -> bool:
        """Whether it is time for another one."""
        return time.monotonic() - self._at > LIFETIME

    async def make(self) -> None:
        """Go through the index once, a step at a time."""
        after: str | None = None
        stride = STRIDE
        entities = 0
        while entities < MAX_ENTITIES:
            rows = await self._find({
                "filter": condition(self._type, after=after), "sort": {"_id": 1}, "skip": stride - 1, "limit": 1,
                "projection": {"_id": 1}, "hint": hint_of(self._type),
            })  # fmt: skip
            if not rows:
                break
            after = rows[0]["_id"]
            self._marks.append(after)
            self._sizes.append(stride)
            entities += stride
            stride = STRIDE << len(self._marks) // DOUBLED_EVERY
        heard, self._heard = self._heard or [], None
        self._at = time.monotonic()
        self.changed(heard)

    def changed(self, ids: Iterable[str]) -> None:
        """Take note that entities with these ids came or went, or may have another type now."""
        if self._heard is not None:
            self._heard.extend(ids)
            return
        for one in ids:
            stretch = bisect_left(self._marks, one)
            if stretch < len(self._marks):
                self._uncounted.add(stretch)

    async def nearest(self, offset: int) -> tuple[int, str] | None:
        """Return the last known position at or before `offset` and the id that it comes after.

        None where there is none, or where too much has changed since the survey.
        """
        if self._uncounted or self._lock.locked():
            async with self._lock:
                within = [one for one in self._uncounted if sum(self._sizes[:one]) <= offset]
                if len(within) > MAX_RECOUNTS:
                    self._at = 0.0
                    return None
                for one in within:
                    await self._recount(one)
        position, found = 0, None
        for mark, size in zip(self._marks, self._sizes, strict=True):
            if position + size > offset:
                break
            position += size
            found = position, mark
        return found

    async def _recount(self, stretch: int) -> None:
        self._uncounted.discard(stretch)
        after = self._marks[stretch - 1] if stretch else None
        try:
            self._sizes[stretch] = await self._count(condition(self._type, after=after, last=self._marks[stretch]))
        except BaseException:
            self._uncounted.add(stretch)
            raise
