"""Where the pages of a query begin, remembered for whoever turns them one after the other.

A client asks for offset 0, 20, 40 …; counting off all that came before costs more with every page, and shifts when
somebody writes in between. So each page that is served leaves a bookmark: after which id the next one begins. The page
at a bookmark costs what the first page costs, and neither repeats nor leaves out an entity of the pages before it.
"""

from __future__ import annotations

import time
from bisect import bisect_right, insort
from collections import OrderedDict

LIFETIME = 60.0
QUERIES = 2000
MARKS = 5000


class Bookmarks:
    """The bookmarks of this process, by query (any text that tells queries apart), for LIFETIME seconds."""

    def __init__(self) -> None:
        self._queries: OrderedDict[str, tuple[list[int], dict[int, tuple[str, float]]]] = OrderedDict()

    def put(self, query: str, offset: int, last: str) -> None:
        """Note that the page at `offset` begins after the id `last`."""
        found = self._queries.pop(query, None)
        offsets, marks = found if found is not None and len(found[0]) < MARKS else ([], {})
        if offset not in marks:
            insort(offsets, offset)
        marks[offset] = (last, time.monotonic())
        self._queries[query] = (offsets, marks)
        if len(self._queries) > QUERIES:
            self._queries.popitem(last=False)

    def nearest(self, query: str, offset: int) -> tuple[int, str] | None:
        """Return the last bookmark at or before `offset`: its offset and the id that it comes after."""
        found = self._queries.get(query)
        if found is None:
            return None
        offsets, marks = found
        oldest = time.monotonic() - LIFETIME
        for position in range(bisect_right(offsets, offset) - 1, -1, -1):
            last, at = marks[offsets[position]]
            if at >= oldest:
                return offsets[position], last
        return None
