"""Times that attributes share are stored once, and everybody reads them as if they stood at each attribute."""

from __future__ import annotations

import copy
import json
import secrets
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.broker.storage.mongo.conftest import Store
from tests.unit.broker.storage.mongo.histories import NAMES, changes, without_usual_times
from tsunagu.broker.changes import Change
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.operations.batch import Batch
from tsunagu.broker.query.ast import EntityQuery
from tsunagu.broker.query.order import parse_order
from tsunagu.broker.query.q import parse_q
from tsunagu.broker.storage.history import Fact, Wish
from tsunagu.broker.storage.mongo.amendments import MongoAmendments
from tsunagu.broker.storage.mongo.entities import MongoReader
from tsunagu.broker.storage.mongo.facts import facts_of
from tsunagu.broker.storage.mongo.history import MongoHistory
from tsunagu.broker.storage.mongo.records import records_of
from tsunagu.broker.storage.mongo.states import bare
from tsunagu.broker.storage.mongo.usual_times import USUAL, fill_in, leave_out
from tsunagu.broker.storage.writes import Outcome, Write
from tsunagu.schemas.entity import NULL

ALL_TIME = 2**50
PLAIN: dict[str, Any] = {"type": "Property", "value": 1}
OBSERVED = PLAIN | {"observedAt": "2026-11-26T10:00:00Z"}
ACCURATE = PLAIN | {"accuracy": {"type": "Property", "value": 0.5}}
SEVERAL = [PLAIN, PLAIN | {"datasetId": "urn:d"}]
LONG_AGO = PLAIN | {"observedAt": "2020-01-01T00:00:00Z"}
DELETED = {"value": NULL}


def entity(entity_id: str, **attrs: Any) -> dict[str, Any]:
    return {"id": entity_id, "type": ["T"], "attrs": attrs}


@given(changes())
def test_what_is_left_out_is_filled_in(history: list[Change]) -> None:
    """Of any document, all times come back, none that others share stays in "sys", and the document stays as it is."""
    for document in [change.after for change in history if change.after is not None]:
        whole = copy.deepcopy(document)
        stored = without_usual_times(document)
        assert document == whole
        assert stored.get(USUAL) not in stored["sys"].values()
        assert (USUAL in stored) == any(times.keys() == {"c", "m"} for times in document["sys"].values())
        assert fill_in(stored) == whole
        assert fill_in(dict(document)) == whole, "as earlier versions stored it"


def test_times_of_several_instances_are_never_usual() -> None:
    """A list of two TIMES is none that attributes could share, and stays where it is."""
    times = [{"c": 1, "m": 1}, {"c": 1, "m": 1}]
    document: dict[str, Any] = {"attrs": {"a": [{}, {}]}, "sys": {"a": times}}
    leave_out(document)
    assert document == {"attrs": {"a": [{}, {}]}, "sys": {"a": times}}


async def test_what_mongodb_has(store: Store) -> None:
    """Created or changed whole, an entity has its shared times once; a change of some adds theirs and no others."""
    batch, entities = Batch(store.committer), store.databases.of("")["entities"]
    await batch.create("", [entity("urn:e", a=PLAIN, b=PLAIN, c=OBSERVED)])
    created = await entities.find_one({}) or {}
    assert created[USUAL] == {"c": created["created"], "m": created["created"]}
    assert created["sys"].keys() == {"c"}
    await batch.update("", [entity("urn:e", a=PLAIN)])
    changed = await entities.find_one({}) or {}
    assert changed[USUAL] == created[USUAL]
    assert changed["sys"] == {**created["sys"], "a": {"c": created["created"], "m": changed["modified"]}}
    await batch.update("", [entity("urn:e", a=PLAIN, b=PLAIN, c=OBSERVED)])
    whole = await entities.find_one({}) or {}
    assert whole[USUAL] == {"c": created["created"], "m": whole["modified"]}
    assert whole["sys"].keys() == {"c"}
    record = await store.databases.of("")["changes"].find_one({"v": whole["v"]}) or {}
    assert record["a"]["sys"] == whole["sys"]
    assert record["a"][USUAL] == whole[USUAL]


plans = st.lists(
    st.dictionaries(
        st.sampled_from(NAMES), st.sampled_from([PLAIN, PLAIN, OBSERVED, ACCURATE, SEVERAL, DELETED]), min_size=1
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=plans)
async def test_everybody_reads_the_times_that_were_written(store: Store, plan: list[dict[str, Any]]) -> None:
    """Whatever is written in whatever order: the entity, the log and the history tell the times of its changes."""
    entity_id = f"urn:{secrets.token_hex(8)}"
    batch = Batch(store.committer)
    await batch.create("", [entity(entity_id, **{name: one for name, one in plan[0].items() if one != DELETED})])
    for attrs in plan[1:]:
        await batch.update("", [entity(entity_id, **attrs)])
    heard = [change for change in store.heard.changes if change.entity_id == entity_id]
    assert heard[-1].after is not None
    found = await MongoReader(store.databases, store.settings).get("", entity_id)
    assert found is not None
    assert found["sys"] == heard[-1].after["sys"]
    assert bare(found) == heard[-1].after
    assert [one async for one in store.log.between("", 0, ALL_TIME) if one.entity_id == entity_id] == heard
    facts = [fact for change in heard for record in records_of(change) for fact in facts_of(record)]
    history = MongoHistory(store.databases, store.settings)
    for attrs in (None, *(frozenset({name}) for name in NAMES)):
        evolution = await history.evolution("", entity_id, Wish(attrs=attrs))
        expected = [fact for fact in facts if attrs is None or fact.attribute in attrs]
        assert times_of(() if evolution is None else evolution.facts) == times_of(expected)
        assert (set() if evolution is None else evolution.names) == {fact.attribute for fact in expected}


def times_of(facts: Any) -> Counter[tuple[str, ...]]:
    return Counter((fact.attribute, fact.id, json.dumps(fact.times, sort_keys=True)) for fact in facts)


async def facts_by_attribute(store: Store) -> dict[str, list[Fact]]:
    evolution = await MongoHistory(store.databases, store.settings).evolution("", "urn:e", Wish())
    assert evolution is not None
    return {name: [fact for fact in evolution.facts if fact.attribute == name] for name in NAMES}


async def test_the_last_instances_have_their_times(store: Store) -> None:
    """Also of attributes that were set with the entity and never again, for which the whole history is not read."""
    batch = Batch(store.committer)
    await batch.create("", [entity("urn:e", a=PLAIN, b=PLAIN, c=OBSERVED)])
    await batch.update("", [entity("urn:e", b=PLAIN)])
    created, changed = (change.at for change in store.heard.changes)
    evolution = await MongoHistory(store.databases, store.settings).evolution("", "urn:e", Wish(last=1))
    assert evolution is not None
    assert {fact.attribute: (fact.times["c"], fact.times["m"]) for fact in evolution.facts} == {
        "a": (created, created),
        "b": (created, changed),
        "c": (created, created),
    }


@pytest.mark.parametrize("place", [0, 1])
async def test_amending_leaves_the_times_of_the_others(store: Store, place: int) -> None:
    """What is erased or corrected in a record whose times are left out costs none of the others its times."""
    batch, amendments = Batch(store.committer), MongoAmendments(store.databases)
    await batch.create("", [entity("urn:e", **dict.fromkeys(NAMES, PLAIN))])
    await batch.update("", [entity("urn:e", **dict.fromkeys(NAMES, PLAIN | {"value": 2}))])
    before = await facts_by_attribute(store)
    assert await amendments.erase_instance("", "urn:e", "a", before["a"][place].id)
    right = {"instance": PLAIN | {"value": 3}, "times": {"c": 1, "m": ALL_TIME}}
    assert await amendments.correct("", "urn:e", "b", before["b"][place].id, **right)
    after = await facts_by_attribute(store)
    assert after["a"] == [fact for fact in before["a"] if fact is not before["a"][place]]
    assert [fact.times["c"] for fact in after["b"]] == [fact.times["c"] for fact in before["b"]]
    assert (after["c"], after["d"]) == (before["c"], before["d"])
    found = await MongoReader(store.databases, store.settings).get("", "urn:e")
    assert found is not None
    assert bare(found) == store.heard.changes[-1].after


async def test_erasing_an_attribute_leaves_the_times_of_the_others(store: Store) -> None:
    """All instances of an attribute go, the others keep their times."""
    batch = Batch(store.committer)
    await batch.create("", [entity("urn:e", **dict.fromkeys(NAMES, PLAIN))])
    before = await facts_by_attribute(store)
    amendments = MongoAmendments(store.databases)
    assert await amendments.erase_attribute("", "urn:e", "a", dataset_id=None, every=True)
    assert await facts_by_attribute(store) == {**before, "a": []}


async def test_what_a_record_tells_apart_is_erased_in_both(store: Store) -> None:
    """An instance that its change tells in a record of its own goes out of the change's record, too."""
    batch = Batch(store.committer)
    await batch.create("", [entity("urn:e", a=PLAIN, b=PLAIN | {"value": "secret"}, c=LONG_AGO, d=LONG_AGO)])
    await batch.create("", [entity("urn:f", c=LONG_AGO)])
    before = await facts_by_attribute(store)
    assert await MongoAmendments(store.databases).erase_instance("", "urn:e", "b", before["b"][0].id)
    assert await facts_by_attribute(store) == {**before, "b": []}
    async for record in store.databases.of("")["changes"].find({}):
        assert "secret" not in str(record)


async def test_erasing_a_late_reading_leaves_the_record_of_its_version(store: Store) -> None:
    """What came too late has the version that was there then, whose record keeps its instances and their times."""
    await Batch(store.committer).create("", [entity("urn:e", a=PLAIN, b=PLAIN)])

    def too_late(before: dict[str, Any] | None, now: int) -> Outcome:
        return Outcome(before, late=(("a", OBSERVED, {"c": now, "m": now, "o": now - 5}),))

    before = await facts_by_attribute(store)
    await store.committer.submit("", Write("urn:e", too_late))
    (late,) = (fact for fact in (await facts_by_attribute(store))["a"] if "o" in fact.times)
    assert await MongoAmendments(store.databases).erase_instance("", "urn:e", "a", late.id)
    assert await facts_by_attribute(store) == before


async def test_entities_are_put_in_order_by_times_left_out(store: Store) -> None:
    """Ordering by when an attribute changed reads the shared times and its own ones; so does a query by them."""
    batch, level = Batch(store.committer), CORE.attribute("level")
    for name in ("urn:1", "urn:2", "urn:3"):
        await batch.create("", [entity(name, **{level: PLAIN, "b": PLAIN})])
    await batch.update("", [entity("urn:1", **{level: PLAIN})])
    reader = MongoReader(store.databases, store.settings)
    latest = parse_order("level.modifiedAt;desc", CORE)
    page = await reader.query("", EntityQuery(order=latest), limit=10)
    assert [document["_id"] for document in page.documents] == ["urn:1", "urn:3", "urn:2"]
    moments = [change.at for change in store.heard.changes]
    assert len(set(moments)) == len(moments), "changes of one millisecond could not be told apart"
    for q, expected in (
        ("level.modifiedAt", 3),
        ("level.createdAt", 3),
        ("level.observedAt", 0),
        ("other.createdAt", 0),
    ):
        page = await reader.query("", EntityQuery(q=parse_q(q, CORE)), limit=10, count=True)
        assert (len(page.documents), page.count) == (expected, expected)
    inexact = EntityQuery(q=parse_q("level.modifiedAt;level[k]==1..3", CORE))
    assert (await reader.query("", inexact, limit=10)).documents == []
    await batch.create("", [entity("urn:4", **{level: PLAIN | {"value": {"k": 2}}, "b": PLAIN})])
    for order in ((), latest, parse_order("level", CORE)):
        page = await reader.query("", EntityQuery(q=inexact.q, order=order), limit=10)
        assert [document["_id"] for document in page.documents] == ["urn:4"]
    streamed = [document async for document in reader.stream("", EntityQuery())]
    assert [document["sys"].keys() for document in streamed] == [{level, "b"}] * 4
