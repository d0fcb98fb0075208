"""Log records without what was erased, and with what was corrected: the rest stays as it was, ids and all."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.broker.storage.mongo.histories import NOW, changes
from tsunagu.broker.storage.history import Fact
from tsunagu.broker.storage.mongo.erasure import corrected, drop, erased, found_at, moved
from tsunagu.broker.storage.mongo.facts import facts_of, parse_instance_id
from tsunagu.broker.storage.mongo.records import records_of


def by_id(*records: dict[str, Any]) -> dict[str, Fact]:
    return {fact.id: fact for record in records for fact in facts_of(record)}


@st.composite
def told(draw: st.DrawFn) -> tuple[dict[str, Any], Fact, int]:
    """Return a record of some history, an instance that it tells, and its place there."""
    records = [record for change in draw(changes()) for record in records_of(change)]
    every = [(record, fact) for record in records for fact in facts_of(record)]
    assume(every)
    record, fact = draw(st.sampled_from(every))
    parsed = parse_instance_id(fact.id)
    assert parsed is not None
    return record, fact, int(parsed[1])


@given(told())
def test_what_is_erased_is_gone_and_nothing_else(found: tuple[dict[str, Any], Fact, int]) -> None:
    """Without one instance, a record tells all others as before; the value is nowhere in it; the original stays."""
    record, fact, place = found
    before, original = by_id(record), deepcopy(record)
    result = erased(record, lambda one, _name, _dataset: one == place)
    assert by_id(result) == {key: one for key, one in before.items() if key != fact.id}
    assert found_at(result, place, fact.attribute) is None
    assert fact.attribute not in result.get("b", {}).get("attrs", {})
    assert ("x" in result) == (len({entry[0] for entry in record["t"]}) == 1)
    assert record == original


@given(told())
def test_what_is_corrected_keeps_its_id(found: tuple[dict[str, Any], Fact, int]) -> None:
    """A correction that keeps the time changes that instance alone, and not its id."""
    record, fact, place = found
    assume("d" not in fact.times)
    before = by_id(record)
    result = corrected(record, place, {"type": "Property", "value": "right"}, {**fact.times, "m": NOW * 2})
    after = by_id(result)
    assert after.pop(fact.id).instance["value"] == "right"
    before.pop(fact.id)
    assert after == before


@given(told())
def test_what_is_moved_keeps_its_id(found: tuple[dict[str, Any], Fact, int]) -> None:
    """A correction that changes the time makes a late record, at the new time, under the old id."""
    record, fact, place = found
    late = moved(record, place, {"type": "Property", "value": "right"}, {"c": NOW, "m": NOW, "o": 5})
    (told,) = facts_of(late)
    assert (told.id, told.attribute, told.instance["value"], late["h"], late["o"]) == (
        *(fact.id, fact.attribute, "right"),
        *(5, True),
    )
    assert late["_id"] != record["_id"]


def test_of_several_instances_one_is_dropped() -> None:
    """Of an attribute of several instances, only that with the datasetId goes; the last one stands without a list."""
    part: dict[str, Any] = {
        "attrs": {"a": [{"value": 1}, {"value": 2, "datasetId": "urn:d"}]},
        "sys": {"a": [{"c": 1}, {"c": 2}]},
    }
    drop(part, "a", None, like={"value": 3})
    assert len(part["attrs"]["a"]) == 2
    drop(part, "a", None)
    assert part == {"attrs": {"a": {"value": 2, "datasetId": "urn:d"}}, "sys": {"a": {"c": 2}}}
    drop(part, "a", "urn:d")
    assert part == {"attrs": {}, "sys": {}}
