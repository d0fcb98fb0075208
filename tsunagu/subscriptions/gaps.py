"""Which numbers of a writer's log have been read."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from tsunagu.broker.changes import Position

if TYPE_CHECKING:
    from collections.abc import Collection

GAP_SECONDS = 60.0
GAPS_AT_MOST = 10_000


class Gaps:
    """All numbers from `start` to `last` have been seen, but those in the gaps.

    Commits of one writer may take effect out of order, and one that was given up leaves its numbers unused: a gap is
    looked for again for `GAP_SECONDS`, longer than any commit takes.
    """

    def __init__(self, start: int) -> None:
        self.last = start
        self._missing: dict[int, float] = {}  # in the order of the numbers, and so of the times

    @property
    def lowest(self) -> int:
        """The lowest number not seen."""
        return next(iter(self._missing), self.last + 1)

    def fill(self, number: int, now: float) -> bool:
        """Note a number at a time (monotonic); tell whether it is new."""
        if number > self.last:
            for missing in range(self.last + 1, number):
                self._missing[missing] = now
            self.last = number
            if len(self._missing) > GAPS_AT_MOST:
                self._forget(now)
            return True
        return self._missing.pop(number, None) is not None

    def _forget(self, now: float) -> None:
        old = list(takewhile(lambda number: now - self._missing[number] > GAP_SECONDS, self._missing))
        for number in old:
            del self._missing[number]

    @classmethod
    def at(cls, position: Position, now: float) -> Gaps:
        """Return the gaps of a reader who stands at a position."""
        gaps = cls(position.number)
        gaps._missing = dict.fromkeys(sorted(position.missing), now)
        return gaps

    def copy(self) -> Gaps:
        """Return another one at the same place."""
        other = Gaps(self.last)
        other._missing = dict(self._missing)
        return other

    @property
    def missing(self) -> Collection[int]:
        """The numbers up to `last` that were not seen."""
        return self._missing.keys()

    def position(self, now: float) -> Position:
        """Return what is still to be read, without the gaps that are too old to be filled."""
        if self._missing:
            self._forget(now)
        return Position(self.last, tuple(self._missing))
