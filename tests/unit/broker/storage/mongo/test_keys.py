"""The keys of an entity: right after every write, the same in Python and in MongoDB, and brought to older data."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from bson.datetime_ms import DatetimeMS
from pymongo import IndexModel

from tests.unit.broker.storage.mongo.conftest import Store
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.jsonld.expand import expand_entity
from tsunagu.broker.operations.batch import Batch
from tsunagu.broker.query.ast import EntityQuery
from tsunagu.broker.query.q import parse_q
from tsunagu.broker.query.scope import parse_scope
from tsunagu.broker.query.types import parse_types
from tsunagu.broker.storage.mongo.client import Databases
from tsunagu.broker.storage.mongo.entities import MongoReader
from tsunagu.broker.storage.mongo.indexes import ensure_indexes
from tsunagu.broker.storage.mongo.keys import IN_MONGODB, KEYS, keys_differ, keys_of
from tsunagu.broker.storage.mongo.spans import SPAN_MS

DUE = 1_900_000_000_123


def gauge(number: int, level: int, **members: Any) -> dict[str, Any]:
    body = {"id": f"urn:ngsi-ld:Gauge:{number}", "type": "Gauge", "level": {"type": "Property", "value": level}}
    return expand_entity(body | members, CORE)


def test_keys_are_told_apart_by_their_kind() -> None:
    """Types and scopes are texts, of which scopes begin with a slash; the span is a number, the expiry a date."""
    document = {"type": ["urn:t", "urn:u"], "scope": ["/a/b", "c"], "modified": 5 * SPAN_MS + 1, "due": DUE}
    assert keys_of(document) == ["urn:t", "urn:u", 5, "/a/b", "/c", DatetimeMS(DUE)]
    assert keys_of({"type": ["urn:t"], "modified": 0}) == ["urn:t", 0]


@pytest.mark.parametrize(
    ("modified", "parts", "differ"),
    [
        (1, ({"attrs": {}}, {"attrs": {}, "geo": {}}), False),
        (SPAN_MS, ({}, {}), True),
        (1, ({"type": ["urn:t"]}, {"type": ["urn:u"]}), True),
        (1, ({}, {"scope": ["/a"]}), True),
        (1, ({"due": 5}, {}), True),
    ],
    ids=["nothing of it", "the span", "types", "a scope that comes", "an expiry that goes"],
)
def test_when_keys_differ(modified: int, parts: tuple[dict[str, Any], dict[str, Any]], differ: bool) -> None:
    """The keys are written again only if something changed that they are made of."""
    assert keys_differ({"modified": 0}, {"modified": modified}, *parts) is differ


async def by_expression(store: Store) -> list[list[Any]]:
    """Return the keys of all entities as MongoDB works them out, in the order of ids."""
    pipeline = [{"$sort": {"_id": 1}}, {"$project": {"found": IN_MONGODB}}]
    rows = await store.databases.of("")["entities"].aggregate(pipeline)
    return [row["found"] async for row in rows]


async def stored(store: Store) -> list[list[Any]]:
    """Return the keys of all entities, in the order of ids."""
    return [row[KEYS] async for row in store.databases.of("")["entities"].find({}).sort("_id", 1)]


async def test_every_way_to_write_keeps_the_keys(store: Store) -> None:
    """Created, updated, replaced, given a type, a scope, an expiry, deleted and made anew: the keys follow."""
    batch, entities = Batch(store.committer), store.databases.of("")["entities"]
    expiry = {"expiresAt": "2040-03-17T17:46:40.123Z"}
    scoped = gauge(5, 0, scope=["/a", "/b"]), gauge(6, 0, scope="/a", **expiry), gauge(7, 0, **expiry)
    await batch.create("", [*(gauge(number, 0) for number in range(5)), *scoped])
    assert await stored(store) == await by_expression(store)
    await entities.update_many({}, [{"$set": {"modified": 5 * SPAN_MS + 1}}, {"$set": {KEYS: IN_MONGODB}}])
    await batch.update("", [gauge(1, 1)])
    await batch.upsert("", [gauge(2, 1), gauge(6, 1)])
    await batch.delete("", ["urn:ngsi-ld:Gauge:3"])
    await batch.create("", [gauge(3, 2)])
    await batch.merge("", [gauge(4, 1, type=["Gauge", "Pump"], scope="/c", **expiry)])
    await batch.update("", [gauge(5, 1, scope="/c/d")])
    await batch.update("", [gauge(7, 1, expiresAt="2041-03-17T17:46:40.123Z")])
    keys = await stored(store)
    assert keys == await by_expression(store)
    now = (await entities.find_one({"_id": "urn:ngsi-ld:Gauge:1"}) or {})["modified"] // SPAN_MS
    texts = [[key for key in found if isinstance(key, str)] for found in keys]
    assert keys[0] == [CORE.expand_term("Gauge"), 5]
    assert all(any(key in (now, now + 1) for key in found) for found in keys[1:])
    assert texts[4] == [CORE.expand_term("Gauge"), CORE.expand_term("Pump"), "/c"]
    assert texts[5][1:] == ["/c/d"]
    assert len(keys[6]) == 2
    assert str(keys[7][-1]).startswith("2041-03-17 17:46:40.123")


async def test_keys_in_mongodb_are_those_of_python(store: Store) -> None:
    """What is worked out for the entities of earlier versions is what a write would give them."""
    dice = random.Random(5)
    documents: list[dict[str, Any]] = []
    for number in range(60):
        document = {"_id": f"{number:02}", "type": dice.sample(["urn:t", "urn:u"], dice.randint(1, 2))}
        document["modified"] = dice.randrange(4 * SPAN_MS) * dice.choice([1, 1_000_000])
        if dice.random() < 0.5:
            document["scope"] = dice.sample(["/a/b", "c/d", "/e"], dice.randint(1, 3))
        if dice.random() < 0.5:
            document["due"] = dice.choice([5, DUE])
        documents.append(document)
    await store.databases.ready("")
    await store.databases.of("")["entities"].insert_many([{**one, KEYS: keys_of(one)} for one in documents])
    assert await stored(store) == await by_expression(store)


async def test_an_entity_of_an_earlier_version_is_found_by_all_its_keys(store: Store) -> None:
    """A data folder from before there were keys is brought up to date at start, whichever worker is first."""
    await Batch(store.committer).create("", [gauge(n, n, scope=f"/a/s{n}") for n in range(3)])
    entities = store.databases.of("")["entities"]
    await entities.drop_index(KEYS)
    await entities.create_indexes([IndexModel([("type", 1), ("_id", 1)], name="type")])
    await entities.update_many({}, [{"$set": {"span": 5}}, {"$unset": KEYS}])
    workers = [Databases(store.settings) for _ in range(3)]
    try:
        await asyncio.gather(*(databases.ready("") for databases in workers))
    finally:
        for databases in workers:
            await databases.close()
    assert await stored(store) == await by_expression(store)
    assert [row async for row in entities.find({"span": {"$exists": True}})] == []
    assert (await entities.index_information()).keys() == {"_id_", "geo", "keys"}
    reader = MongoReader(store.databases, store.settings)
    query = EntityQuery(
        types=parse_types("Gauge", CORE),
        scope=parse_scope("/a/s1"),
        q=parse_q("modifiedAt>2026-01-01T00:00:00Z", CORE),
    )
    assert [one["_id"] for one in (await reader.query("", query, limit=5)).documents] == ["urn:ngsi-ld:Gauge:1"]


async def test_an_interrupted_step_is_taken_again(store: Store) -> None:
    """Where a process ended before all entities had keys, the next one gives them to the others."""
    await Batch(store.committer).create("", [gauge(n, n) for n in range(3)])
    entities = store.databases.of("")["entities"]
    await entities.drop_index(KEYS)
    await entities.update_many({"_id": {"$ne": "urn:ngsi-ld:Gauge:1"}}, {"$unset": {KEYS: ""}})
    await ensure_indexes(store.databases.of(""))
    assert await stored(store) == await by_expression(store)


async def test_queries_by_modification_look_at_their_spans_only(store: Store) -> None:
    """A query by modifiedAt finds exactly what it means, and MongoDB looks at the entities of its spans."""
    await Batch(store.committer).create("", [gauge(number, 0) for number in range(100)])
    entities = store.databases.of("")["entities"]
    for number in range(90):
        moment = number * SPAN_MS // 10
        changed: list[dict[str, Any]] = [{"$set": {"modified": moment}}, {"$set": {KEYS: IN_MONGODB}}]
        await entities.update_one({"_id": f"urn:ngsi-ld:Gauge:{number}"}, changed)
    query = EntityQuery(q=parse_q("modifiedAt<1970-01-01T00:05:00Z", CORE))
    reader = MongoReader(store.databases, store.settings)
    found = await reader.query("", query, limit=20)
    assert [document["_id"] for document in found.documents] == [f"urn:ngsi-ld:Gauge:{number}" for number in range(5)]
    assert (await reader.explain("", query, limit=20))["entitiesExamined"] == 10
