"""Which entity types are frequent."""

from __future__ import annotations

import pytest

from tests.unit.broker.storage.mongo.conftest import Store
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.operations.batch import Batch
from tsunagu.broker.query.types import parse_types
from tsunagu.broker.storage.mongo import frequent
from tsunagu.broker.storage.mongo.frequent import FrequentTypes


async def test_a_type_is_frequent_from_a_number_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is counted is the selection, of one type, several or all; it is counted again after a while."""
    monkeypatch.setattr(frequent, "MANY", 5)
    numbers = {"Gauge": 4, "Camera": 3}
    for kind, number in numbers.items():
        entities = [{"id": f"urn:{kind}:{n}", "type": [CORE.expand_term(kind)], "attrs": {}} for n in range(number)]
        await Batch(store.committer).create("", entities)
    gauges, both = parse_types("Gauge", CORE), parse_types("Gauge|Camera", CORE)
    types = FrequentTypes(store.databases)
    assert not await types.many("", gauges)
    assert await types.many("", both)
    assert await types.many("", None)
    assert not await types.many("elsewhere", None)
    await Batch(store.committer).create("", [{"id": "urn:Gauge:9", "type": [CORE.expand_term("Gauge")], "attrs": {}}])
    assert not await types.many("", gauges)
    monkeypatch.setattr(frequent, "KEPT_SECONDS", 0.0)
    assert await FrequentTypes(store.databases).many("", gauges)
