"""Instances in the order of their times, out of records in the order of theirs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsunagu.broker.storage.history import Fact
from tsunagu.broker.storage.mongo.ordered import Ordered

SPREAD = 10


def fact(moment: int) -> Fact:
    return Fact("a", {}, {"o": moment}, "urn:i", 0)


@pytest.mark.parametrize("direction", [1, -1], ids=["forwards", "backwards"])
@given(st.lists(st.tuples(st.integers(0, 60), st.lists(st.integers(0, SPREAD))), max_size=20))
def test_instances_come_in_order_and_none_is_lost(direction: int, plan: list[tuple[int, list[int]]]) -> None:
    """Whatever times the records tell, up to the spread before their own, all instances come out, in order."""
    ordered = Ordered(direction, spread=SPREAD)
    records = sorted(plan, key=lambda record: direction * record[0])
    found: list[int] = []
    for moment, ages in records:
        found += [one.times["o"] for one in ordered.after(moment, [fact(moment - age) for age in ages])]
    found += [one.times["o"] for one in ordered.rest()]
    assert found == sorted((moment - age for moment, ages in records for age in ages), reverse=direction < 0)


def test_backwards_nothing_is_held_longer_than_needed() -> None:
    """The newest instances are given as soon as an older record is seen, so that the last few cost few records."""
    ordered = Ordered(-1, spread=SPREAD)
    assert not list(ordered.after(50, [fact(50), fact(45)]))
    assert [one.times["o"] for one in ordered.after(40, [fact(40)])] == [50, 45]


def test_without_a_spread_they_come_as_they_are() -> None:
    """Where records are read by the time of the change, instances are given at once."""
    ordered = Ordered(1, spread=None)
    assert [one.times["o"] for one in ordered.after(0, [fact(5), fact(3)])] == [5, 3]
    assert not list(ordered.rest())
