"""Reading a history out of the log: what comes is what the records tell, whatever is asked for."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.unit.broker.storage.mongo.conftest import Store
from tests.unit.broker.storage.mongo.histories import (
    AGES,
    GONE,
    MINUTE,
    NAMES,
    NOW,
    changes,
    changes_of,
    without_usual_times,
)
from tsunagu.broker.changes import Change, all_touched
from tsunagu.broker.query.ast import EntityQuery, TemporalQuery
from tsunagu.broker.storage.history import Fact, Wish
from tsunagu.broker.storage.mongo.facts import facts_of
from tsunagu.broker.storage.mongo.history import MongoHistory
from tsunagu.broker.storage.mongo.records import LATE, records_of

ONCE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
moments = st.integers(-15, 80).map(lambda minutes: NOW + minutes * MINUTE)


@st.composite
def wishes(draw: st.DrawFn) -> Wish:
    """Return a wish with or without window, last and attributes, by any of the times."""
    member = draw(st.sampled_from([None, None, "o", "m", "d"]))
    start, end = draw(st.tuples(st.none() | moments, st.none() | moments))
    window = None if start is None and end is None else TemporalQuery("between", member or "o", start, end)
    attrs = draw(st.none() | st.frozensets(st.sampled_from(NAMES), min_size=1))
    return Wish(member=member, window=window, attrs=attrs, last=draw(st.none() | st.integers(1, 3)))


def _held(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record as MongoDB has it."""
    if record["k"] == LATE or "a" not in record:
        return record
    return {**record, "a": without_usual_times(record["a"])}


async def keep(store: Store, history: list[Change], records: list[dict[str, Any]]) -> MongoHistory:
    """Put an entity with its records into the store, in the place of what is there; return what reads them."""
    database = await store.databases.ready("")
    for name in ("changes", "entities", "evolutions"):
        await database[name].delete_many({})
    await database["changes"].insert_many([_held(one) for one in records])
    last = history[-1].after
    if last is not None:
        await database["entities"].insert_one(without_usual_times(last))
    await database["evolutions"].insert_one({"_id": "urn:e", "type": ["T"], "attrs": list(NAMES)})
    return MongoHistory(store.databases, store.settings)


def taken(facts: list[Fact], wish: Wish) -> Counter[tuple[str, int | None]]:
    """Return how often each (attribute, time) is to come, worked out the plain way."""
    found: Counter[tuple[str, int | None]] = Counter()
    for name in NAMES:
        own = sorted(fact.moment(wish.member) or 0 for fact in facts if fact.attribute == name and wish.takes(fact))
        found.update((name, moment) for moment in (own if wish.last is None else own[-wish.last :]))
    return found


@ONCE
@given(history=changes(), wish=wishes())
async def test_an_evolution_has_what_its_records_tell(store: Store, history: list[Change], wish: Wish) -> None:
    """Windows, last n, attributes: an evolution has what a plain filter over all instances gives, in order of time."""
    records = [record for change in history for record in records_of(change)]
    reader = await keep(store, history, records)
    every = [fact for record in records for fact in facts_of(record)]
    expected = taken(every, wish)
    evolution = await reader.evolution("", "urn:e", wish)
    assert evolution is not None
    found = [fact.moment(wish.member) for fact in evolution.facts]
    assert Counter((fact.attribute, fact.moment(wish.member)) for fact in evolution.facts) == expected
    assert found == sorted(moment or 0 for moment in found)
    streamed = [fact async for fact in reader.facts("", "urn:e", wish)]
    assert Counter(fact.id for fact in streamed) == Counter(fact.id for fact in every if wish.takes(fact))
    if wish.member in (None, "o"):
        times = [fact.moment(None) or 0 for fact in streamed]
        assert times == sorted(times)


@ONCE
@example(history=changes_of([(0, {"a": GONE})]), wish=Wish())
@given(history=changes(), wish=wishes())
async def test_an_entity_is_found_if_it_has_what_is_asked_for(store: Store, history: list[Change], wish: Wish) -> None:
    """A query has the entity exactly if some instance is within the window, of an attribute asked for."""
    records = [record for change in history for record in records_of(change)]
    reader = await keep(store, history, records)
    found = await reader.page("", EntityQuery(), wish, limit=5)
    assert bool(found) == any(wish.takes(fact) for record in records for fact in facts_of(record))
    assert await reader.count("", EntityQuery(), wish) == len(found)


@ONCE
@given(history=changes(), ages=st.sets(st.sampled_from([age for age in AGES if age not in (None, GONE)])))
async def test_what_was_observed_at_a_time_is_found(store: Store, history: list[Change], ages: set[int]) -> None:
    """Looking for instances by their observedAt finds them all, also where their record stands at a later time."""
    records = [record for change in history for record in records_of(change)]
    reader = await keep(store, history, records)
    wanted = {change.at - age for change in history for age in ages}
    found = await reader.observed("", "urn:e", NAMES, wanted)
    every = [fact for record in records for fact in facts_of(record)]
    assert Counter(fact.id for fact in found) == Counter(fact.id for fact in every if fact.times.get("o") in wanted)


async def test_the_limit_cuts_between_times(store: Store) -> None:
    """With a limit, the first instances come and not more than the rest of the last time; `whole` says that it cut."""
    at = NOW - 5 * MINUTE
    attrs = {name: {"type": "Property", "value": 1} for name in NAMES}
    sys = {name: {"c": NOW, "m": NOW, **({} if name == "a" else {"o": at})} for name in NAMES}
    document = {"_id": "urn:e", "type": ["T"], "attrs": attrs, "sys": sys, "created": NOW, "modified": NOW, "v": NOW}
    change = Change("", "w", 1, "urn:e", "created", NOW, None, document, all_touched(document, "created"))
    reader = await keep(store, [change], records_of(change))
    evolution = await reader.evolution("", "urn:e", Wish(limit=2))
    assert evolution is not None
    assert ([fact.attribute for fact in evolution.facts], evolution.whole) == (["b", "c", "d"], False)


async def test_records_of_earlier_versions_tell_what_they_told(store: Store) -> None:
    """A change that was stored as two records, its own and a late one, reads as it did then."""
    attrs = {"a": {"type": "Property", "value": 1}, "b": {"type": "Property", "value": 2, "observedAt": "…"}}
    sys = {"a": {"c": NOW, "m": NOW}, "b": {"c": NOW, "m": NOW, "o": NOW - MINUTE}}
    document = {"_id": "urn:e", "type": ["T"], "attrs": attrs, "sys": sys, "created": NOW, "modified": NOW, "v": NOW}
    entries = [["a", "created", None], ["b", "created", None]]
    common = {"e": "urn:e", "at": NOW, "v": NOW}
    own = {"_id": {"w": "w", "n": 1}, "k": "created", "h": NOW, "t": entries, "a": document, **common}
    part = {"type": ["T"], "attrs": {"b": [attrs["b"]]}, "sys": {"b": [sys["b"]]}}
    late = {
        "_id": {"w": "w", "n": 2},
        "k": "late",
        "h": NOW - MINUTE,
        "o": True,
        "t": [entries[1]],
        "a": part,
        **common,
    }
    change = Change("", "w", 1, "urn:e", "created", NOW, None, document, ())
    reader = await keep(store, [change], [own, late])
    for window, names in (
        (None, ["b", "a"]),
        ((NOW - MINUTE, NOW), ["b"]),
        ((NOW, None), ["a"]),
        ((None, NOW - 9), ["b"]),
    ):
        asked = None if window is None else TemporalQuery("between", "o", *window)
        evolution = await reader.evolution("", "urn:e", Wish(window=asked))
        assert evolution is not None
        assert [fact.attribute for fact in evolution.facts] == names
