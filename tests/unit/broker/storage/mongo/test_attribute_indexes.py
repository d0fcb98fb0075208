"""Indexes that an operator declares."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.unit.broker.storage.mongo.conftest import Store
from tsunagu.broker.errors import ResourceNotFound
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.operations.batch import Batch
from tsunagu.broker.query.ast import EntityQuery
from tsunagu.broker.query.q import parse_q
from tsunagu.broker.query.types import parse_types
from tsunagu.broker.storage.mongo.attribute_indexes import AttributeIndexes
from tsunagu.broker.storage.mongo.catalogue import MongoCatalogue
from tsunagu.broker.storage.mongo.committer import Committer
from tsunagu.broker.storage.mongo.entities import MongoReader
from tsunagu.broker.storage.mongo.indexes import ensure_indexes

TYPE = CORE.expand_term("Gauge")
LEVEL = CORE.attribute("level")


def gauge(number: int, **instance: Any) -> dict[str, Any]:
    level = instance or {"type": "Property", "value": number}
    return {"id": f"urn:ngsi-ld:Gauge:{number:05d}", "type": [TYPE], "attrs": {LEVEL: level}}


def above(value: int) -> EntityQuery:
    return EntityQuery(types=parse_types("Gauge", CORE), q=parse_q(f"level>{value}", CORE))


@pytest.fixture
async def indexes(store: Store) -> AsyncIterator[AttributeIndexes]:
    """Give the declarations of a store that follows its catalogue."""
    catalogue = MongoCatalogue(store.databases)
    await store.databases.ready("")
    await catalogue.start()
    found = AttributeIndexes(store.databases, catalogue)
    await found.load()
    yield found
    await catalogue.close()


async def test_a_declared_index_serves_the_query(store: Store, indexes: AttributeIndexes) -> None:
    """With an index on a value a selective query looks at few entities, and explain tells its name."""
    reader = MongoReader(store.databases, store.settings, indexes=indexes)
    await Batch(store.committer).create("", [gauge(number) for number in range(400)])
    before = await reader.explain("", above(395), limit=20)
    assert before["entitiesExamined"] == 400
    await indexes.add("", TYPE, LEVEL)
    after = await reader.explain("", above(395), limit=20)
    assert after["entitiesExamined"] == 4
    assert any(name.startswith("attribute_") for name in after["indexes"])
    assert len((await reader.query("", above(395), limit=20)).documents) == 4
    await indexes.drop("", TYPE, LEVEL)
    assert (await reader.explain("", above(395), limit=20))["entitiesExamined"] == 400
    with pytest.raises(ResourceNotFound):
        await indexes.drop("", TYPE, LEVEL)


async def test_a_value_of_another_kind_is_found_all_the_same(store: Store, indexes: AttributeIndexes) -> None:
    """An attribute that was only a Property when the index was declared is found as a ListProperty, too."""
    committer = Committer(store.databases, store.settings, writer="w9", indexes=indexes)
    reader = MongoReader(store.databases, store.settings, indexes=indexes)
    await Batch(committer).create("", [gauge(1)])
    entry = await indexes.add("", TYPE, LEVEL)
    assert entry["members"] == ["value"]
    await Batch(committer).create("", [gauge(2, type="ListProperty", valueList=[1, 500])])
    found = await reader.query("", above(400), limit=20)
    assert [one["_id"] for one in found.documents] == ["urn:ngsi-ld:Gauge:00002"]
    assert [one["members"] for one in await indexes.declared("")] == [["value", "valueList"]]
    await committer.close()


async def test_an_index_of_an_earlier_version_is_built_anew(store: Store, indexes: AttributeIndexes) -> None:
    """An index that was partial by the member `type` gives way to one that is so by the keys, and serves on."""
    await Batch(store.committer).create("", [gauge(number) for number in range(100)])
    await indexes.add("", TYPE, LEVEL)
    entities = store.databases.of("")["entities"]
    (name,) = (name for name in await entities.index_information() if name.startswith("attribute_"))
    present = await entities.index_information()
    await entities.drop_index(name)
    former = "_".join(name.rsplit(".", 1))
    await entities.create_index(present[name]["key"], name=former, partialFilterExpression={"type": TYPE})
    await ensure_indexes(store.databases.of(""))
    assert await entities.index_information() == present
    reader = MongoReader(store.databases, store.settings, indexes=indexes)
    assert (await reader.explain("", above(95), limit=20))["entitiesExamined"] == 4
    await indexes.drop("", TYPE, LEVEL)
