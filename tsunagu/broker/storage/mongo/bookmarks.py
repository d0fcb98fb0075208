"""Where the pages of a query begin, remembered for whoever turns them one after the other.

A client asks for offset 0, 20, 40 …; counting off all that came before costs more with every page, and shifts when
somebody writes in between. So each page that is served leaves a bookmark: after which id the next one begins. The page
at a bookmark costs what the first page costs, and neither repeats nor leaves out an entity of the pages before it.

A page that begins between two bookmarks may be counted off from the one before only while nothing has been written.
"""

from __future__ import annotations

import time
from bisect import bisect_right, insort
from collections import OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tsunagu.broker.changes import Change

LIFETIME = 60.0
QUERIES = 2000
MARKS = 5000
COMINGS = 10_000


@dataclass(frozen=True, slots=True)
class Mark:
    """A bookmark: it comes after the id `last`; made at `at`, when a tenant's `News` stood at `writes`, `comings`."""

    last: str
    at: float
    writes: int
    comings: int


@dataclass(slots=True)
class News:
    """What this process has committed in one tenant: how many groups, and who came (True) or went (False) lately."""

    writes: int = 0
    comings: int = 0
    lately: deque[tuple[str, bool]] = field(default_factory=lambda: deque(maxlen=COMINGS))

    def overthrows(self, mark: Mark, offset: int) -> bool:
        """Tell whether what a bookmark counted is gone: half of the entities before it left, and others came.

        Whoever turns pages while others write never sees that; but the same ids made anew are another list.
        """
        since = self.comings - mark.comings
        if since > len(self.lately):
            return True
        before = [came for one, came in list(self.lately)[len(self.lately) - since :] if one <= mark.last]
        return any(before) and 2 * before.count(False) >= offset


class Bookmarks:
    """The bookmarks of this process, by tenant and query (any text that tells queries apart), for LIFETIME seconds."""

    def __init__(self) -> None:
        self._queries: OrderedDict[tuple[str, str], tuple[list[int], dict[int, Mark]]] = OrderedDict()
        self._news: defaultdict[str, News] = defaultdict(News)

    def committed(self, changes: Sequence[Change]) -> None:
        """Take note of changes of one tenant."""
        news = self._news[changes[0].tenant]
        news.writes += 1
        for change in changes:
            if change.kind != "updated":
                news.comings += 1
                news.lately.append((change.entity_id, change.kind == "created"))

    def put(self, tenant: str, query: str, offset: int, last: str) -> None:
        """Note that the page at `offset` begins after the id `last`."""
        found = self._queries.pop((tenant, query), None)
        offsets, marks = found if found is not None and len(found[0]) < MARKS else ([], {})
        if offset not in marks:
            insort(offsets, offset)
        news = self._news[tenant]
        marks[offset] = Mark(last, time.monotonic(), news.writes, news.comings)
        self._queries[tenant, query] = (offsets, marks)
        if len(self._queries) > QUERIES:
            self._queries.popitem(last=False)

    def nearest(self, tenant: str, query: str, offset: int, *, shared: bool = False) -> tuple[int, str] | None:
        """Return the last bookmark at or before `offset` that can be used: its offset, the id that it comes after.

        `shared` says that other processes write too: then only a bookmark at `offset` itself will do.
        """
        found = self._queries.get((tenant, query))
        if found is None:
            return None
        offsets, marks = found
        news = self._news[tenant]
        oldest = time.monotonic() - LIFETIME
        exact = marks.get(offset)
        if exact is not None and exact.at >= oldest and not news.overthrows(exact, offset):
            return offset, exact.last
        for position in range(bisect_right(offsets, offset) - 1, -1, -1):
            mark = marks[offsets[position]]
            if not shared and mark.at >= oldest and mark.writes == news.writes:
                return offsets[position], mark.last
        return None
