"""What is read back from the log is what the listener heard, wherever the reading begins."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import pytest

from tests.unit.broker.storage.mongo.conftest import Store
from tsunagu.broker.changes import Change, Position
from tsunagu.broker.operations import patch
from tsunagu.broker.storage.mongo.amendments import MongoAmendments
from tsunagu.broker.storage.mongo.changes import MongoChangeLog
from tsunagu.broker.storage.mongo.records import WHOLE
from tsunagu.broker.storage.writes import Outcome, Write
from tsunagu.schemas.entity import LOCATION, NULL, Document
from tsunagu.schemas.times import format_ms

ID = "urn:ngsi-ld:Gauge:1"
SOON = 2_000_000_000_000


def level(value: int, **members: Any) -> dict[str, Any]:
    """Return an instance of a Property."""
    return {"type": "Property", "value": value, **members}


def place(value: int) -> dict[str, Any]:
    """Return the location of a gauge that moves."""
    return {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [139.0 + value / 100, 35.0]}}


def upsert(attrs: dict[str, Any], *, types: tuple[str, ...] = ("T",), **members: Any) -> Write:
    """Return a write that creates the gauge or updates these attributes of it."""
    entity = {"id": ID, "type": list(types), "attrs": attrs, **members}

    def apply(before: Document | None, now: int) -> Outcome:
        if before is not None:
            return patch.update(before, ID, entity, now)
        there = {name: one for name, one in attrs.items() if one != {"value": NULL}}
        return patch.create(None, {**entity, "attrs": there}, now)

    return Write(ID, apply)


def drawn(draw: random.Random, number: int) -> Write:
    """Return some write: mostly of all attributes, of some, with other members, deletions, reports, heartbeats."""
    every = {
        "a": level(number),
        "b": level(number, observedAt=format_ms(1_795_000_000_000 + number), expiresAt=format_ms(SOON + number)),
        LOCATION: place(number // 2),
    }
    kind = draw.choice(["all"] * 8 + ["one", "gone", "more", "type", "scope", "beat", "delete", "report"])
    if kind == "delete":
        return Write(ID, lambda before, _: Outcome(None) if before is None else patch.delete(before, ID))
    if kind == "report":
        entity = {"id": ID, "type": ["T"], "attrs": {"a": level(number), "c": level(number)}}
        return Write(ID, lambda before, now: patch.report(before, entity, now))
    write = {
        "one": partial(upsert, {"a": level(number)}),
        "gone": partial(upsert, {**every, "b": {"value": NULL}}),
        "more": partial(upsert, {**every, "d": [level(number), level(number, datasetId="urn:d")]}),
        "type": partial(upsert, every, types=("T", f"U{number}")),
        "scope": partial(upsert, every, scope=[f"/{number}"]),
    }.get(kind, partial(upsert, every))()
    write.history = kind != "beat"
    return write


async def read(store: Store, position: int) -> list[Change]:
    """Read the log behind a position, as a process does that has just started."""
    log = MongoChangeLog(store.databases, writer="w1", open_number=lambda _: None)
    return [one async for one in log.since("", {"w1": Position(position)}) if isinstance(one, Change)]


@pytest.mark.parametrize("seed", range(8))
async def test_changes_are_read_back_as_they_were_heard(store: Store, seed: int) -> None:
    """Whatever was written, alone or in groups, a reading that begins anywhere gives the same documents."""
    draw = random.Random(seed)
    number = 0
    while number < 40:
        count = draw.choice([1, 1, 1, 2, 3])
        await store.committer.submit_all("", [drawn(draw, number + n) for n in range(count)])
        number += count
    heard = store.heard.changes
    for position in [0, *(change.number for change in heard[::3])]:
        expected = [change for change in heard if change.number > position]
        assert [tuple(change) for change in await read(store, position)] == [tuple(change) for change in expected]
    between = [change async for change in store.log.between("", heard[7].at, 2**60)]
    expected = [change for change in heard if change.at >= heard[7].at]
    assert [tuple(change) for change in between] == [tuple(change) for change in expected]


async def test_what_was_before_is_kept_once(store: Store) -> None:
    """Where the record below tells all attributes, a record of all attributes does not repeat them."""
    for number in range(3):
        await store.committer.submit("", upsert({"a": level(number), "b": level(number)}))
    await store.committer.submit("", upsert({"a": level(3)}))
    await store.committer.submit("", upsert({"a": level(4), "b": level(4)}))
    records = await store.databases.of("")["changes"].find().sort("_id", 1).to_list()
    assert ["b" in record for record in records] == [False, False, False, True, True]
    assert [record.get("p", False) for record in records] == [False, True, True, False, False]
    assert [change.before and change.before["attrs"]["a"]["value"] for change in await read(store, 1)] == [0, 1, 2, 3]


async def test_an_erased_history_is_no_longer_built_on(store: Store) -> None:
    """After an amendment the next record has what was before; a change whose past was erased has no past attributes."""
    both = [{"a": level(number), "b": level(number)} for number in range(4)]
    for attrs in both[:2]:
        await store.committer.submit("", upsert(attrs))
    await store.log.move_watermark("", "w1", 1)
    assert await MongoAmendments(store.databases).erase("", ID)
    entity = await store.databases.of("")["entities"].find_one({"_id": ID})
    assert entity is not None
    assert WHOLE not in entity
    (change,) = await read(store, 1)
    assert change.before is not None
    assert (change.before["attrs"], change.before["v"]) == ({}, entity["v"] - 1)
    await store.committer.submit("", upsert(both[2]))
    record = await store.databases.of("")["changes"].find_one({"_id.n": 3})
    assert record is not None
    assert record["b"]["attrs"] == both[1]
