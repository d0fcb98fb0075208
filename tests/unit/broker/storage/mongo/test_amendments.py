"""Amending instances of a change that tells several times: each alone, the others stay."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.unit.broker.storage.mongo.conftest import Store
from tsunagu.broker.operations.batch import Batch
from tsunagu.broker.storage.history import Wish
from tsunagu.broker.storage.mongo.amendments import MongoAmendments
from tsunagu.broker.storage.mongo.history import MongoHistory
from tsunagu.broker.storage.mongo.records import SPREAD_MS
from tsunagu.schemas.times import format_ms

ID = "urn:e"
SECOND = 1000


async def stored(store: Store) -> int:
    """Store an entity with attributes observed 1, 2 and 3 seconds ago and one without time; return the time now."""
    now = int(datetime.now(UTC).timestamp()) * SECOND
    attrs = {f"a{n}": {"type": "Property", "value": n, "observedAt": format_ms(now - n * SECOND)} for n in (1, 2, 3)}
    attrs["a0"] = {"type": "Property", "value": 0}
    result = await Batch(store.committer).create("", [{"id": ID, "type": ["T"], "attrs": attrs}])
    assert result.success == [ID]
    assert await store.databases.of("")["changes"].count_documents({}) == 1
    return now


async def told(store: Store) -> dict[str, tuple[object, int | None, str]]:
    """Return value, observedAt and instanceId of each attribute in the history."""
    evolution = await MongoHistory(store.databases, store.settings).evolution("", ID, Wish())
    assert evolution is not None
    return {fact.attribute: (fact.instance["value"], fact.times.get("o"), fact.id) for fact in evolution.facts}


@pytest.mark.parametrize("name", ["a0", "a1", "a2", "a3"])
async def test_one_instance_is_erased(store: Store, name: str) -> None:
    """Erasing an instance takes it out of the record and leaves the others, with their times and ids."""
    await stored(store)
    before = await told(store)
    assert await MongoAmendments(store.databases).erase_instance("", ID, name, before[name][2])
    assert await told(store) == {key: value for key, value in before.items() if key != name}


@pytest.mark.parametrize("shift", [0, 1500, -SPREAD_MS, -30 * SPREAD_MS, SPREAD_MS])
@pytest.mark.parametrize("name", ["a0", "a2"])
async def test_one_instance_is_corrected(store: Store, name: str, shift: int) -> None:
    """A corrected instance has its new value and time under its id, near or far from before; the others stay."""
    now = await stored(store)
    before = await told(store)
    moment = now - 2 * SECOND + shift
    instance = {"type": "Property", "value": "right", "observedAt": format_ms(moment)}
    times = {"c": now, "m": now + 5, "o": moment}
    amendments = MongoAmendments(store.databases)
    assert await amendments.correct("", ID, name, before[name][2], instance=instance, times=times)
    assert await told(store) == {**before, name: ("right", moment, before[name][2])}
    assert await amendments.correct("", ID, name, before[name][2], instance={**instance, "value": "again"}, times=times)
    assert await told(store) == {**before, name: ("again", moment, before[name][2])}
