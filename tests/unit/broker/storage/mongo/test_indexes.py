"""The indexes of a tenant's collections: which there are, what they serve, how old ones go."""

from __future__ import annotations

from typing import Any

import pytest
from bson import Regex
from pymongo import ASCENDING, IndexModel

from tests.unit.broker.storage.mongo.conftest import Store
from tsunagu.broker.storage.mongo.indexes import ensure_indexes
from tsunagu.broker.storage.mongo.keys import due_before, held
from tsunagu.broker.storage.mongo.spans import SPAN_MS


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (due_before(5), 6),
        ({"keys": {"$elemMatch": {"$gte": 95}}, "modified": {"$gte": 95}}, 5),
        ({"keys": {"$in": ["/a/7"]}}, 1),
        ({"keys": {"$in": ["/a/9", Regex("^/a/9")]}}, 11),
        ({"keys": "T7"}, 10),
    ],
    ids=["due", "span", "scope", "scopes below", "type"],
)
async def test_one_index_serves_all_keys(store: Store, where: dict[str, Any], found: int) -> None:
    """Types, expiry, time of modification and scopes are looked up in one index, and nothing else is looked at."""
    database = await store.databases.ready("")
    rows = [
        {"_id": f"urn:{n}", "type": [f"T{n % 10}"], "due": n, "modified": n * SPAN_MS, "scope": [f"/a/{n}", "/b"]}
        for n in range(100)
    ]
    await database["entities"].insert_many(map(held, rows))
    plan = await database.command({"explain": {"find": "entities", "filter": where}, "verbosity": "executionStats"})
    assert "'indexName': 'keys'" in str(plan["queryPlanner"]["winningPlan"])
    assert (plan["executionStats"]["nReturned"], plan["executionStats"]["totalDocsExamined"]) == (found, found)


async def test_indexes_of_earlier_versions_go(store: Store) -> None:
    """What stood on the same members before is dropped at start, once the index that takes its place is there."""
    database = await store.databases.ready("")
    entities = database["entities"]
    before = await entities.index_information()
    models = [IndexModel([(member, ASCENDING)], name=member, sparse=True) for member in ("scope", "due")]
    members = IndexModel([("$**", ASCENDING)], name="members", wildcardProjection={"scope": 1, "span": 1, "due": 1})
    types = IndexModel([("type", ASCENDING), ("_id", ASCENDING)], name="type")
    modified = IndexModel([("span", ASCENDING)], name="modifiedAt")
    await entities.create_indexes([*models, members, types, modified])
    await ensure_indexes(database)
    assert await entities.index_information() == before
