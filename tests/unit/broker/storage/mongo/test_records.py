"""The log record of a change: what it tells the history, and how a state follows from it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.broker.storage.mongo.histories import NOW, changes, entity
from tsunagu.broker.changes import Change
from tsunagu.broker.operations import patch
from tsunagu.broker.storage.mongo.facts import facts_of
from tsunagu.broker.storage.mongo.records import (
    LARGEST_LATE,
    SPREAD_MS,
    entries_of,
    late_records,
    records_of,
)
from tsunagu.schemas.times import format_ms

MINUTE = 60_000


def change(*observed: int | None) -> Change:
    """Return the creation of an entity with an attribute for each observedAt (ms before NOW, None: without)."""
    attrs = {
        f"a{n}": {"type": "Property", "value": n, **({} if age is None else {"observedAt": format_ms(NOW - age)})}
        for n, age in enumerate(observed)
    }
    outcome = patch.create(None, entity(attrs), NOW)
    return Change("", "w", 7, "urn:e", "created", NOW, None, outcome.after, outcome.touched)


def told(records: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Return the attributes that records tell, each with its time in the history."""
    return sorted((fact.attribute, fact.moment(None) or 0) for record in records for fact in facts_of(record))


def test_one_time_is_one_record_without_times_in_its_entries() -> None:
    """A change whose instances all have one time stands at that time."""
    (record,) = records_of(change(MINUTE, MINUTE))
    assert (record["h"], record["o"], "l" in record) == (NOW - MINUTE, True, False)
    assert record["t"] == ["a0", "a1"]
    assert entries_of(record) == [["a0", "created", None], ["a1", "created", None]]


def test_observed_and_not_observed_are_one_record() -> None:
    """Instances with observedAt shortly before the change and instances without stand in one record."""
    (record,) = records_of(change(None, MINUTE, 2 * MINUTE, None))
    assert (record["h"], record["l"], record["o"]) == (NOW, NOW - 2 * MINUTE, True)
    assert record["t"][:2] == ["a0", ["a1", "created", None, None, NOW - MINUTE, True]]
    assert entries_of(record)[0] == ["a0", "created", None, None, NOW]
    assert told([record]) == [("a0", NOW), ("a1", NOW - MINUTE), ("a2", NOW - 2 * MINUTE), ("a3", NOW)]


def test_what_was_observed_long_ago_is_told_apart() -> None:
    """Instances of times too far from most of the others are a late record, with the next number."""
    own, late = records_of(change(None, 100 * MINUTE, 101 * MINUTE, MINUTE, None))
    assert (own["h"], own["l"], own["_id"]["n"]) == (NOW, NOW - MINUTE, 7)
    assert (late["h"], late["l"], late["_id"]["n"], late["k"]) == (NOW - 100 * MINUTE, NOW - 101 * MINUTE, 8, "late")
    assert told([own]) == [("a0", NOW), ("a3", NOW - MINUTE), ("a4", NOW)]
    assert told([late]) == [("a1", NOW - 100 * MINUTE), ("a2", NOW - 101 * MINUTE)]


def test_a_change_kept_out_of_the_history_tells_nothing_apart() -> None:
    """A heartbeat is one record, marked for the outbox alone, whatever times it has."""
    (record,) = records_of(change(None, 100 * MINUTE), history=False)
    assert (record["x"], record["h"]) == ("w", NOW)


@given(changes())
def test_every_instance_is_told_once_at_its_time(history: list[Change]) -> None:
    """Whatever the times of a change, its records tell each touched instance exactly once, none too far from "h"."""
    for one in history:
        records = records_of(one)
        assert [record["_id"]["n"] for record in records] == list(range(one.number, one.number + len(records)))
        expected = []
        for name, deed, _ in one.touched:
            times = {} if deed == "deleted" or one.after is None else one.after["sys"][name]
            expected.append((name, times.get("o", one.at)))
        assert told(records) == sorted(expected)
        for record in records:
            moments = [fact.moment(None) or 0 for fact in facts_of(record)]
            assert record["h"] == max(moments, default=record["h"])
            assert record.get("l", record["h"]) == min(moments, default=record["h"]) >= record["h"] - SPREAD_MS
            assert record.get("o", False) == any("o" in fact.times for fact in facts_of(record))


@given(st.lists(st.integers(0, 40 * MINUTE), min_size=1, max_size=3 * LARGEST_LATE))
def test_late_instances_share_records_as_far_as_they_may(ages: list[int]) -> None:
    """Late records hold all instances, at most so many each and none too far apart, and no two could be one."""
    late = [("a", {"type": "Property", "value": n}, {"c": 0, "m": 0, "o": NOW - age}) for n, age in enumerate(ages)]
    document = {"_id": "urn:e", "type": ["T"], "v": 3}
    records = late_records("w", 5, document, NOW, late)
    assert told(records) == sorted(("a", NOW - age) for age in ages)
    assert [record["_id"]["n"] for record in records] == list(range(5, 5 + len(records)))
    for record in records:
        assert record["h"] - record.get("l", record["h"]) <= SPREAD_MS
        assert len(record["t"]) <= LARGEST_LATE
    for first, second in pairwise(records):
        full = len(first["t"]) == LARGEST_LATE
        assert full or second["h"] - first.get("l", first["h"]) > SPREAD_MS
