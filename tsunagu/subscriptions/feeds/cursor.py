"""Where a reader of the whole log stands: how far in what each writer wrote. As text it is the id of a feed's event.

    <time>.<writer>-<number>.<writer>-<number>_<how far below it one is missing>x<and how many below that one>…

Writers that run, and those that ended a moment ago, are named; of any other writer the reader has seen all that it
wrote up to that time, so that the text stays short however often processes come and go.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tsunagu.broker.changes import Position
from tsunagu.broker.errors import BadRequestData
from tsunagu.subscriptions.gaps import Gaps

if TYPE_CHECKING:
    from collections.abc import Mapping


RUN = "_[0-9a-f]{1,4}(x[0-9a-f]{1,3})?"
FORM = re.compile(rf"[0-9a-f]{{1,12}}(\.[0-9A-Za-z]{{1,64}}-[0-9a-f]{{1,13}}({RUN}){{0,32}})*", re.ASCII)
RUNS_TOLD = 32  # with more runs of missing numbers than these, or longer ones, a cursor stands before the first
WIDEST = 0xFFF
LONGEST = 8_000
SLACK = 60.0  # seconds for which a writer that ended is still named; longer than a commit may take


class Cursor:
    """How far a reader has come. `seen` has, by writer, when (monotonic) something of it was seen last, or it ran."""

    __slots__ = ("at", "gaps", "seen")

    def __init__(self, at: int, positions: Mapping[str, Position], *, now: float) -> None:
        self.at = at
        self.gaps = {writer: Gaps.at(position, now) for writer, position in positions.items()}
        self.seen = dict.fromkeys(positions, now)

    def passed(self, writer: str, number: int, now: float) -> bool:
        """Note a change; tell whether it is new."""
        gaps = self.gaps.get(writer)
        if gaps is None:
            gaps = self.gaps[writer] = Gaps(0)
        self.seen[writer] = now
        return gaps.fill(number, now)

    def meet(self, writers: Mapping[str, int], now: float) -> None:
        """Note which writers run; one that was not known is read from the number on that stands beside it."""
        for writer, number in writers.items():
            if writer not in self.gaps:
                self.gaps[writer] = Gaps(number)
            self.seen[writer] = now

    def settle(self, at: int, now: float) -> None:
        """Note that all up to the time `at` (epoch ms) has been read: forget who ended."""
        self.at = at
        for writer in [writer for writer, since in self.seen.items() if since < now - SLACK]:
            del self.seen[writer], self.gaps[writer]

    def positions(self, now: float) -> dict[str, Position]:
        """Return what is still to be read, by writer."""
        return {writer: gaps.position(now) for writer, gaps in self.gaps.items()}

    def __str__(self) -> str:
        return ".".join((f"{self.at:x}", *(f"{writer}-{_place(gaps)}" for writer, gaps in self.gaps.items())))

    def copy(self) -> Cursor:
        """Return another cursor at the same place."""
        other = Cursor(self.at, {}, now=0.0)
        other.gaps = {writer: gaps.copy() for writer, gaps in self.gaps.items()}
        other.seen = dict(self.seen)
        return other


def _place(gaps: Gaps) -> str:
    """Return the text of a position. A commit that was given up leaves a run of numbers: runs are told."""
    if not gaps.missing:
        return f"{gaps.last:x}"
    runs: list[list[int]] = []
    for offset in sorted(gaps.last - number for number in gaps.missing):
        if runs and offset == runs[-1][0] + runs[-1][1] + 1:
            runs[-1][1] += 1
        else:
            runs.append([offset, 0])
    if len(runs) > RUNS_TOLD or gaps.last - gaps.lowest > WIDEST:
        return f"{gaps.lowest - 1:x}"
    return "".join((f"{gaps.last:x}", *(f"_{offset:x}x{more:x}" if more else f"_{offset:x}" for offset, more in runs)))


def _position(place: str) -> Position:
    head, *runs = place.split("_")
    last = int(head, 16)
    missing: list[int] = []
    for run in runs:
        offset, _, more = run.partition("x")
        first = last - int(offset, 16)
        missing += range(first, first - int(more or "0", 16) - 1, -1)
    return Position(last, tuple(number for number in missing if number > 0))


def parse_cursor(text: str, *, now: float) -> Cursor:
    """Return the cursor that a text stands for. Raises BadRequestData."""
    if len(text) > LONGEST or not FORM.fullmatch(text):
        raise BadRequestData(
            f"Last-Event-ID: {text[:60]!r} is no event id of this feed; leave it out to begin with what happens now"
        )
    head, *places = text.split(".")
    pairs = (place.partition("-") for place in places)
    return Cursor(int(head, 16), {writer: _position(place) for writer, _, place in pairs}, now=now)
