"""The indexes of a tenant's collections: which there are, what they serve, how old ones go."""

from __future__ import annotations

from typing import Any

import pytest
from bson import Regex
from pymongo import ASCENDING, IndexModel

from tests.unit.broker.storage.mongo.conftest import Store
from tsunagu.broker.storage.mongo.indexes import ensure_indexes


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ({"due": {"$lte": 5}}, 6),
        ({"span": {"$gte": 95}, "modified": {"$gte": 95}}, 5),
        ({"scope": {"$in": ["/a/7", "a/7"]}}, 1),
        ({"scope": {"$in": [Regex("^/a/9"), Regex("^a/9")]}}, 11),
    ],
    ids=["due", "span", "scope", "scopes below"],
)
async def test_one_index_serves_the_members_that_stand_alone(store: Store, where: dict[str, Any], found: int) -> None:
    """Expiry, time of modification and scopes are looked up in one index, and nothing else is looked at."""
    database = await store.databases.ready("")
    rows = [
        {"_id": f"urn:{n}", "type": ["T"], "due": n, "span": n, "modified": n, "scope": [f"/a/{n}", "/b"]}
        for n in range(100)
    ]
    await database["entities"].insert_many(rows)
    plan = await database.command({"explain": {"find": "entities", "filter": where}, "verbosity": "executionStats"})
    assert "'indexName': 'members'" in str(plan["queryPlanner"]["winningPlan"])
    assert (plan["executionStats"]["nReturned"], plan["executionStats"]["totalDocsExamined"]) == (found, found)


async def test_indexes_of_earlier_versions_go(store: Store) -> None:
    """What stood on the same members before is dropped at start, once the index that takes its place is there."""
    database = await store.databases.ready("")
    entities = database["entities"]
    before = await entities.index_information()
    models = [IndexModel([(member, ASCENDING)], name=member, sparse=True) for member in ("scope", "due")]
    await entities.create_indexes([*models, IndexModel([("span", ASCENDING)], name="modifiedAt")])
    await ensure_indexes(database)
    assert await entities.index_information() == before
