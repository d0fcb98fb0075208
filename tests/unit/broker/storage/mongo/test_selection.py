"""Picking what is wanted out of a history that is read in order."""

from __future__ import annotations

from tsunagu.broker.storage.history import Fact, Wish
from tsunagu.broker.storage.mongo.selection import Selection


def fact(name: str, moment: int, at: int = 0) -> Fact:
    return Fact(name, {}, {"o": moment}, "urn:i", at)


def test_of_each_attribute_the_last_so_many() -> None:
    """Further instances of an attribute that has enough are passed over, and it is not lacking any more."""
    selection = Selection(Wish(last=2), {"a", "b"})
    for moment in (9, 8, 7):
        assert selection.add(fact("a", moment))
    assert selection.lacking == {"b"}
    assert selection.add(fact("b", 6))
    assert [(one.attribute, one.times["o"]) for one in selection.in_order()] == [("b", 6), ("a", 8), ("a", 9)]
    assert selection.whole


def test_instances_of_one_time_stay_together_at_the_limit() -> None:
    """Beyond the limit those of the last time taken are still taken; the first of another time ends it."""
    selection = Selection(Wish(limit=2), set())
    assert all(selection.add(fact("a", moment)) for moment in (1, 2, 2))
    assert selection.whole
    assert not selection.add(fact("a", 3))
    assert not selection.whole
    assert len(selection.facts) == 3


def test_the_time_asked_for_gives_the_order() -> None:
    """With timeproperty modifiedAt, the order is that of modifiedAt; of equal times, that in which they were told."""
    selection = Selection(Wish(member="m"), set())
    for modified, at in ((5, 2), (5, 1), (3, 9)):
        selection.add(Fact("a", {}, {"o": 10 - modified, "m": modified}, "urn:i", at))
    assert [(one.times["m"], one.at) for one in selection.in_order()] == [(3, 9), (5, 1), (5, 2)]
