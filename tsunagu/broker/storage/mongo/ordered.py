"""Putting the instances of a history into the order of their times, while its records come in the order of theirs."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tsunagu.broker.storage.history import Fact


class Ordered:
    """Holds instances back until no record that is still to come can have one that goes before them.

    `direction` is 1 for the oldest first, -1 for the newest first. A record stands at the latest of its times, the
    others lie at most `spread` ms before it; with None, instances are given as they come.
    """

    def __init__(self, direction: int, *, spread: int | None) -> None:
        self._direction = direction
        self._spread = spread
        self._held: list[tuple[int, int, int, Fact]] = []
        self._count = 0

    def after(self, moment: int, facts: Iterable[Fact]) -> Iterator[Fact]:
        """Take the instances of the record at `moment`, and yield what is settled now, in order."""
        if self._spread is None:
            yield from facts
            return
        for fact in facts:
            self._count += 1
            time, at = fact.moment(None) or 0, fact.at
            heappush(self._held, (self._direction * time, self._direction * at, self._count, fact))
        settled = moment - self._spread if self._direction > 0 else -moment
        while self._held and self._held[0][0] < settled:
            yield heappop(self._held)[-1]

    def rest(self) -> Iterator[Fact]:
        """Yield what is still held: there are no more records."""
        while self._held:
            yield heappop(self._held)[-1]
