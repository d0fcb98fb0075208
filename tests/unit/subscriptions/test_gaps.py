"""What of a writer's log was read."""

from __future__ import annotations

from tsunagu.broker.changes import Position
from tsunagu.subscriptions.gaps import GAP_SECONDS, Gaps


def test_gaps_tell_what_was_not_seen() -> None:
    """A number is new once, whether it comes in order or fills a gap."""
    gaps = Gaps(10)
    assert [gaps.fill(number, 0.0) for number in (11, 14, 14, 12, 12, 9)] == [True, True, False, True, False, False]
    assert gaps.lowest == 13
    assert gaps.position(0.0) == Position(14, (13,))


def test_a_gap_that_stays_is_given_up() -> None:
    """A number that did not turn up for longer than any commit takes is looked for no more."""
    gaps = Gaps(0)
    gaps.fill(3, 0.0)
    gaps.fill(5, 30.0)
    assert gaps.position(GAP_SECONDS + 1.0) == Position(5, (4,))
    assert gaps.lowest == 4
