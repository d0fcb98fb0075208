"""The index on modifiedAt: coarse, so that most writes leave it alone, and still right for every query."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pymongo import ASCENDING, IndexModel

from tests.unit.broker.storage.mongo.conftest import Store
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.operations.batch import Batch
from tsunagu.broker.query.ast import EntityQuery
from tsunagu.broker.query.q import parse_q
from tsunagu.broker.storage.mongo.client import Databases
from tsunagu.broker.storage.mongo.entities import MongoReader
from tsunagu.broker.storage.mongo.spans import SPAN, SPAN_MS, span_of, span_operators

COMPARE = {
    "$gt": lambda one, other: one > other,
    "$gte": lambda one, other: one >= other,
    "$lt": lambda one, other: one < other,
    "$lte": lambda one, other: one <= other,
    "$in": lambda one, other: one in other,
}
moments = st.integers(-5 * SPAN_MS, 5 * SPAN_MS)


def holds(operators: dict[str, Any], value: int) -> bool:
    return all(COMPARE[operator](value, bound) for operator, bound in operators.items())


@given(
    modified=moments,
    operators=st.dictionaries(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), moments, min_size=1)
    | st.builds(lambda values: {"$in": values}, st.lists(moments, min_size=1)),
)
def test_what_matches_by_time_matches_by_span(modified: int, operators: dict[str, Any]) -> None:
    """A condition on the span never excludes what the condition on modifiedAt lets through."""
    if holds(operators, modified):
        assert holds(span_operators(operators), span_of(modified))


def gauge(number: int, level: int) -> dict[str, Any]:
    attrs = {CORE.attribute("level"): {"type": "Property", "value": level}}
    return {"id": f"urn:ngsi-ld:Gauge:{number}", "type": [CORE.expand_term("Gauge")], "attrs": attrs}


async def test_every_way_to_write_keeps_the_span(store: Store) -> None:
    """Created, updated, replaced, and deleted and made anew in one group: the span stored is that of modifiedAt."""
    batch, entities = Batch(store.committer), store.databases.of("")["entities"]
    await batch.create("", [gauge(number, 0) for number in range(4)])
    await entities.update_many({}, {"$set": {"modified": 5 * SPAN_MS + 1, SPAN: 5}})
    await batch.update("", [gauge(1, 1)])
    await batch.upsert("", [gauge(2, 1)])
    await batch.delete("", ["urn:ngsi-ld:Gauge:3"])
    await batch.create("", [gauge(3, 2)])
    held = await entities.find({}).sort("_id", 1).to_list(None)
    assert [row[SPAN] == span_of(row["modified"]) for row in held] == [True] * 4
    assert held[0][SPAN] == 5
    assert min(row[SPAN] for row in held[1:]) > 5


async def test_the_index_serves_queries_by_modification(store: Store) -> None:
    """A query by modifiedAt looks at the entities of its spans only, and finds exactly what it means."""
    await Batch(store.committer).create("", [gauge(number, 0) for number in range(100)])
    entities = store.databases.of("")["entities"]
    for number in range(90):
        moment = number * SPAN_MS // 10
        await entities.update_one(
            {"_id": f"urn:ngsi-ld:Gauge:{number}"}, {"$set": {"modified": moment, SPAN: span_of(moment)}}
        )
    query = EntityQuery(q=parse_q("modifiedAt<1970-01-01T00:05:00Z", CORE))
    reader = MongoReader(store.databases, store.settings)
    found = await reader.query("", query, limit=20)
    assert [document["_id"] for document in found.documents] == [f"urn:ngsi-ld:Gauge:{number}" for number in range(5)]
    plan = await store.databases.of("").command(
        {"explain": {"find": "entities", "filter": {SPAN: {"$lte": 0}}}, "verbosity": "executionStats"}
    )
    assert plan["executionStats"]["totalDocsExamined"] == 10


async def test_a_data_folder_from_before_spans_is_brought_up_to_date(store: Store) -> None:
    """Entities that an earlier version stored get their span and the old index goes, whichever worker is first."""
    entities = store.databases.of("")["entities"]
    await entities.create_indexes([IndexModel([("modified", ASCENDING)], name="modifiedAt")])
    await entities.insert_many([{"_id": f"urn:{n}", "modified": 1_800_000_000_000 + n * SPAN_MS} for n in range(3)])
    workers = [Databases(store.settings) for _ in range(3)]
    try:
        await asyncio.gather(*(databases.ready("") for databases in workers))
    finally:
        for databases in workers:
            await databases.close()
    rows = await entities.find({}).sort("_id", 1).to_list(None)
    assert [row[SPAN] for row in rows] == [3_000_000, 3_000_001, 3_000_002]
    assert (await entities.index_information()).keys() == {"_id_", "type", "geo", "members"}
