"""Databases of before 2026-11-26 are brought up to date: their attribute names had U+FF0E for each dot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tsunagu.broker.changes import Change, Position
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.jsonld.expand import expand_entity, expand_fragment
from tsunagu.broker.operations import patch
from tsunagu.broker.operations.subscription_form import new_entry
from tsunagu.broker.storage.mongo import renaming
from tsunagu.broker.storage.mongo.attribute_indexes import KIND, AttributeIndexes, index_id, index_name
from tsunagu.broker.storage.mongo.catalogue import MongoCatalogue
from tsunagu.broker.storage.mongo.parked import MongoParkedDeliveries
from tsunagu.broker.storage.parked import Parked
from tsunagu.broker.storage.writes import Write
from tsunagu.schemas.entity import iri_of

if TYPE_CHECKING:
    from tests.unit.broker.storage.mongo.conftest import Store

ACCURACY = {"type": "Property", "value": 2}
LEVEL = {"type": "Property", "value": 1, "observedAt": "2026-11-01T00:00:00Z", "accuracy": ACCURACY}
OTHER_LEVEL = {"type": "Property", "value": 3, "datasetId": "urn:d:1", "https://example.org/x.y": ACCURACY}
GAUGE: dict[str, Any] = {
    "id": "urn:ngsi-ld:Gauge:1",
    "type": "Gauge",
    "level": [LEVEL, OTHER_LEVEL],
    "note": {"type": "Property", "value": {"３．５": "３．５ m", "a.b": "~c"}},
    "https://smartdatamodels.org/dataModel.X/kind": {"type": "VocabProperty", "vocab": "a"},
    "urn:x:plain": {"type": "Property", "value": 5},
    "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [139.7, 35.6]}},
}
SUBSCRIPTION: dict[str, Any] = {
    "type": "Subscription",
    "entities": [{"type": "Gauge"}],
    "watchedAttributes": ["level", "https://example.org/x.y"],
    "q": 'note=="３．５";level.accuracy>1',
    "notification": {"endpoint": {"uri": "http://127.0.0.1/"}, "attributes": ["level"]},
}
KEPT = ("entities", "changes", "evolutions", "parked", "deadletters", "subscriptions", KIND)


def former(name: str) -> str:
    """Return the former stored name of an attribute; what is no stored name (it has dots) stays as it is."""
    return name if "." in name else iri_of(name).replace(".", renaming.FORMER_DOT)


async def fill(store: Store) -> AttributeIndexes:
    """Put something of everything that holds names into the default tenant; return the declared indexes."""

    async def write(step: Any) -> None:
        await store.committer.submit("", Write(GAUGE["id"], step))

    entity = expand_entity(orjson.loads(orjson.dumps(GAUGE)), CORE)
    fragment = expand_fragment({"level": GAUGE["level"]}, CORE)
    await write(lambda before, now: patch.create(before, entity, now))
    await write(lambda before, now: patch.update(before, GAUGE["id"], fragment, now))
    await write(lambda before, now: patch.delete_attribute(before, GAUGE["id"], CORE.attribute("location"), now))
    earlier = {**LEVEL, "observedAt": "2026-10-01T00:00:00Z"}
    late = expand_entity(orjson.loads(orjson.dumps({**GAUGE, "level": earlier})), CORE)
    await write(lambda before, now: patch.report(before, late, now))
    catalogue = MongoCatalogue(store.databases)
    await catalogue.insert("", "subscriptions", "urn:s:1", new_entry(SUBSCRIPTION, CORE, now=1_795_000_000_000))
    changes = tuple(store.heard.changes)
    parked = Parked("urn:s:1|1", "urn:s:1", 1, "urn:x:1", changes)
    await MongoParkedDeliveries(store.databases).put("", [parked])
    database = store.databases.of("")
    await database["deadletters"].insert_many(await database["parked"].find({}).to_list(None))
    indexes = AttributeIndexes(store.databases, catalogue)
    await indexes.add("", CORE.expand_term("Gauge"), CORE.attribute("level"))
    return indexes


async def everything(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Return all documents of the collections that hold names."""
    database = store.databases.of("")
    return {name: await database[name].find({}).sort("_id", 1).to_list(None) for name in KEPT}


async def age(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bring everything back to its former names, as if an earlier version had written it."""
    with monkeypatch.context() as patched:
        patched.setattr(renaming, "renamed", former)
        await renaming.bring_up_to_date(store.databases)
    await store.databases.system[renaming.FORMAT].delete_many({})


async def test_everything_stored_under_former_names_is_renamed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entities, log, notes, what is parked, subscriptions, indexes: all as if written today, values untouched."""
    indexes = await fill(store)
    fresh = await everything(store)
    assert all(fresh.values())
    await age(store, monkeypatch)
    aged = await everything(store)
    assert all(one != other for one, other in zip(fresh.values(), aged.values(), strict=True))
    assert all("https://uri\uff0eetsi\uff0eorg/ngsi-ld/" in str(rows) for rows in aged.values())
    await renaming.bring_up_to_date(store.databases)
    assert await everything(store) == fresh
    read = [change async for change in store.log.since("", {"w1": Position(0)}) if isinstance(change, Change)]
    assert [change.after for change in read] == [change.after for change in store.heard.changes]
    present = await store.databases.of("")["entities"].index_information()
    declared = index_id(CORE.expand_term("Gauge"), CORE.attribute("level"))
    assert [name for name in present if name.startswith("attribute_")] == [index_name(declared, "value")]
    await indexes.drop("", CORE.expand_term("Gauge"), CORE.attribute("level"))


async def test_it_is_done_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is up to date is not looked through again; one that is new is so from the start."""
    await renaming.bring_up_to_date(store.databases)
    await fill(store)
    with monkeypatch.context() as patched:
        patched.setattr(renaming, "renamed", former)
        before = await everything(store)
        await renaming.bring_up_to_date(store.databases)
    assert await everything(store) == before


async def test_what_changed_meanwhile_is_left_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entity that has another version by now than was read is not put back to that: its writer renamed it."""
    await fill(store)
    await age(store, monkeypatch)
    aged = (await everything(store))["entities"]

    def read_before(document: dict[str, Any]) -> dict[str, Any]:
        new = renaming.entity(document)
        document["v"] -= 1
        return new

    monkeypatch.setitem(renaming._STEPS, "entities", read_before)
    await renaming.bring_up_to_date(store.databases)
    assert (await everything(store))["entities"] == aged
