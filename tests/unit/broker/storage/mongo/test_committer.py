"""Group commit: what is answered is durable, in order, once, and nothing else is there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from tests.unit.broker.storage.mongo.conftest import Store
from tsunagu.broker.changes import Change, Position, Touch
from tsunagu.broker.errors import BadRequestData, NgsiError, ResourceNotFound, Unavailable
from tsunagu.broker.operations.reports import Report, Reports
from tsunagu.broker.settings import Settings
from tsunagu.broker.storage.mongo.changes import MongoChangeLog
from tsunagu.broker.storage.mongo.client import Databases, database_name
from tsunagu.broker.storage.mongo.committer import Committer
from tsunagu.broker.storage.mongo.group import Group
from tsunagu.broker.storage.mongo.lane import MOST_ENTITIES
from tsunagu.broker.storage.writes import DUPLICATE, Outcome, Write

NAME = "https://example^org/level"


def document(entity_id: str, value: Any, now: int) -> dict[str, Any]:
    return {
        "_id": entity_id,
        "type": ["https://example.org/T"],
        "attrs": {
            NAME: {"type": "Property", "value": value},
            "other": {"type": "Property", "value": 0},
            "third": {"type": "Property", "value": 0},
        },
        "sys": {NAME: {"c": now, "m": now}, "other": {"c": now, "m": now}, "third": {"c": now, "m": now}},
        "created": now,
        "modified": now,
        "v": 0,
    }


def put(entity_id: str, value: Any, **more: Any) -> Write:
    """Return a write that creates the entity, or sets its level."""

    def apply(before: dict[str, Any] | None, now: int) -> Outcome:
        if before is None:
            return Outcome(document(entity_id, value, now), (Touch(NAME, "created"),), "created")
        after = {**before, "attrs": {**before["attrs"], NAME: {"type": "Property", "value": value}}, "modified": now}
        return Outcome(after, (Touch(NAME, "updated"),), before["attrs"][NAME]["value"])

    return Write(entity_id, apply, **more)


def remove(entity_id: str) -> Write:
    def apply(before: dict[str, Any] | None, _: int) -> Outcome:
        if before is None:
            raise ResourceNotFound(entity_id)
        return Outcome(None, (Touch(NAME, "deleted"),), "deleted")

    return Write(entity_id, apply)


async def stored(store: Store, entity_id: str) -> Any:
    found = await store.databases.of("")["entities"].find_one({"_id": entity_id})
    return found["attrs"][NAME]["value"] if found else None


async def test_a_write_is_in_the_store_and_in_the_log_when_it_is_answered(store: Store) -> None:
    """State and log record are there together once the caller has its answer."""
    assert await store.committer.submit("", put("urn:a", 1)) == "created"
    assert await stored(store, "urn:a") == 1
    record = await store.databases.of("")["changes"].find_one({})
    assert record["_id"] == {"w": "w1", "n": 1}
    assert record["k"] == "created"
    assert record["a"]["attrs"][NAME]["value"] == 1
    assert [change.number for change in store.heard.changes] == [1]


async def test_writes_to_one_entity_see_each_other_in_arrival_order(store: Store) -> None:
    """Of many concurrent writes to one entity each sees the one before it, whatever group it falls into."""
    answers = await asyncio.gather(*(store.committer.submit("", put("urn:a", n)) for n in range(300)))
    assert answers == ["created", *range(299)]
    assert await stored(store, "urn:a") == 299
    versions = [change.after["v"] for change in store.heard.changes if change.after]
    assert versions == sorted(versions)
    assert len(set(versions)) == 300


async def test_a_refused_write_fails_alone(store: Store) -> None:
    """A write that refuses gives its caller the error; the others of the group are committed."""
    answers = await store.committer.submit_all("", [put("urn:a", 1), remove("urn:missing"), put("urn:b", 2)])
    assert answers[0] == answers[2] == "created"
    assert isinstance(answers[1], ResourceNotFound)
    assert await stored(store, "urn:b") == 2


async def test_no_writes_are_answered_at_once(store: Store) -> None:
    """A batch of which all was refused before must not be waited for."""
    async with asyncio.timeout(10):
        assert await store.committer.submit_all("", []) == []
        assert await store.committer.queue("", []) == []


async def test_a_document_that_mongodb_refuses_fails_alone(store: Store) -> None:
    """Crossed polygons, huge integers and NUL in keys are the client's fault and cost no other write."""

    def crossed(before: dict[str, Any] | None, now: int) -> Outcome:
        after = document("urn:crossed", 1, now)
        ring = [[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]
        after["geo"] = {"type": "Polygon", "coordinates": [ring]}
        return Outcome(after)

    writes = [
        put("urn:a", 1),
        Write("urn:crossed", crossed),
        put("urn:huge", 2**70),
        put("urn:nul", {"a\0b": 1}),
        put("urn:b", 2),
    ]
    answers = await store.committer.submit_all("", writes)
    assert [type(answer) for answer in answers] == [str, BadRequestData, BadRequestData, BadRequestData, str]
    assert "urn:crossed" in answers[1].detail
    assert await store.databases.of("")["entities"].count_documents({}) == 2
    assert await store.databases.of("")["changes"].count_documents({}) == 2


async def test_a_receipt_takes_effect_once(store: Store) -> None:
    """A write whose receipt was seen before, in its group or an earlier one, is answered and does nothing."""
    first = await store.committer.submit_all("", [put("urn:a", 1, receipt="r1"), put("urn:a", 2, receipt="r1")])
    again = await store.committer.submit("", put("urn:a", 3, receipt="r1"))
    assert first[0] == "created"
    assert first[1] is DUPLICATE
    assert again is DUPLICATE
    assert await stored(store, "urn:a") == 1
    assert await store.databases.of("")["changes"].count_documents({}) == 1


async def test_versions_grow_over_a_deletion(store: Store) -> None:
    """An entity that is deleted and created again has a higher version than ever before."""
    for write in (put("urn:a", 1), put("urn:a", 2), remove("urn:a"), put("urn:a", 3)):
        await store.committer.submit("", write)
    first, _, _, last = store.heard.changes
    assert last.after is not None
    assert first.after is not None
    assert last.after["v"] > first.after["v"] + 2
    mixed = await store.committer.submit_all("", [remove("urn:a"), put("urn:a", 4)])
    assert mixed == ["deleted", "created"]
    assert store.heard.changes[-1].after is not None
    assert store.heard.changes[-1].after["v"] > last.after["v"] + 1


async def test_two_processes_on_one_entity_lose_no_write(store: Store) -> None:
    """Two committers that count up one entity at once end with the sum: conflicts are tried again."""
    other = Committer(store.databases, store.settings, writer="w2")

    def count(before: dict[str, Any] | None, now: int) -> Outcome:
        if before is None:
            return Outcome(document("urn:n", 1, now), (Touch(NAME, "created"),))
        value = before["attrs"][NAME]["value"] + 1
        return Outcome(
            {**before, "attrs": {**before["attrs"], NAME: {"type": "Property", "value": value}}, "modified": now},
            (Touch(NAME, "updated"),),
        )

    async def run(committer: Committer) -> None:
        for _ in range(25):
            await committer.submit("", Write("urn:n", count))

    await asyncio.gather(run(store.committer), run(other))
    await other.close()
    assert await stored(store, "urn:n") == 50


async def test_two_processes_at_the_same_entities_in_groups_lose_nothing(store: Store) -> None:
    """Two processes that count up the same entities, a group at a time, lose no count and give no version twice."""
    databases = Databases(store.settings)
    other = Committer(databases, store.settings, writer="w2")
    ids = [f"urn:n:{number}" for number in range(7)]

    def count(entity_id: str) -> Write:
        def apply(before: dict[str, Any] | None, now: int) -> Outcome:
            value = 0 if before is None else before["attrs"][NAME]["value"]
            return put(entity_id, value + 1).apply(before, now)

        return Write(entity_id, apply)

    async def run(committer: Committer) -> None:
        for turn in range(30):
            answers = await committer.submit_all("", [count(ids[(turn * 3 + n) % 7]) for n in range(5)])
            assert [answer for answer in answers if isinstance(answer, NgsiError)] == []

    try:
        await asyncio.gather(*(run(committer) for committer in (store.committer, other) * 2))
    finally:
        await other.close()
        await databases.close()
    total = 0
    for entity_id in ids:
        records = await store.databases.of("")["changes"].find({"e": entity_id}).sort("v", 1).to_list(None)
        assert [later["v"] - earlier["v"] for earlier, later in pairwise(records)] == [1] * (len(records) - 1)
        assert [row["a"]["attrs"][NAME]["value"] for row in records] == list(range(1, len(records) + 1))
        assert await stored(store, entity_id) == len(records)
        total += len(records)
    assert total == 600


async def test_tenants_do_not_see_each_other(store: Store) -> None:
    """Each tenant has a database of its own, also those whose names MongoDB could not take."""
    for tenant in ("", "kobe", "Kobe", "神戸" * 20):
        await store.committer.submit(tenant, put("urn:a", tenant or "default"))
    for tenant in ("", "kobe", "Kobe", "神戸" * 20):
        found = await store.databases.of(tenant)["entities"].find_one({"_id": "urn:a"})
        assert found is not None
        assert found["attrs"][NAME]["value"] == (tenant or "default")
    assert sorted(await store.databases.tenants()) == sorted(["", "kobe", "Kobe", "神戸" * 20])
    assert len(database_name("x" * 20, "神戸" * 200).encode()) < 63


@dataclass
class HeldUp:
    """A committer whose groups wait at a gate before their transaction; `taken` has the sizes of those that started."""

    committer: Committer
    taken: list[int] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def started(self, *counts: int) -> list[int]:
        """Send so many writes to entities of their own, one batch after the other; return the groups that started."""
        self.taken.clear()
        self.gate.clear()
        tasks = []
        for batch, count in enumerate(counts):
            writes = [put(f"urn:{batch}:{number}", number) for number in range(count)]
            tasks.append(asyncio.create_task(self.committer.submit_all("", writes)))
            for _ in range(20):  # turns of the event loop: far more than it takes a group to start
                await asyncio.sleep(0)
        started = list(self.taken)
        self.gate.set()
        await asyncio.gather(*tasks)
        return started


@pytest.fixture
async def held_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> HeldUp:
    """Give the store's committer, held up."""
    held = HeldUp(store.committer)
    transact = store.committer._transact

    async def waiting(group: Group) -> None:
        held.taken.append(len(group.items))
        await held.gate.wait()
        await transact(group)

    monkeypatch.setattr(store.committer, "_transact", waiting)
    await store.databases.ready("")
    return held


async def test_a_group_beside_another_is_as_large(held_up: HeldUp) -> None:
    """Beside a group in flight another one starts only when as many writes wait as that one has."""
    assert await held_up.started(20, 12) == [20]
    assert await held_up.started(20, 20) == [20, 20]


@pytest.mark.parametrize(("limit", "whole"), [(512, MOST_ENTITIES), (30, 30)])
async def test_a_third_group_is_a_whole_one(
    held_up: HeldUp, monkeypatch: pytest.MonkeyPatch, limit: int, whole: int
) -> None:
    """Beside two groups in flight a third one starts only when as many writes wait as a group may hold."""
    monkeypatch.setattr(held_up.committer, "_limit", limit)
    assert await held_up.started(20, 20, whole - 1) == [20, 20]
    assert await held_up.started(20, 20, whole) == [20, 20, whole]


async def test_a_full_queue_closes_the_door(mongo_uri: str) -> None:
    """When more writes wait than the limit allows, the next one is refused with 503 and the waiting ones go through."""
    settings = Settings.from_environment(
        {"MONGODB_URI": mongo_uri}, database_prefix="tfull", queue_limit=5, group_limit=1, groups_in_flight=1
    )
    databases = Databases(settings)
    committer = Committer(databases, settings, writer="w1")
    try:
        await committer.submit("", put("urn:a", 0))
        answers = await asyncio.gather(
            *(committer.submit("", put("urn:a", n)) for n in range(20)), return_exceptions=True
        )
        refused = [answer for answer in answers if isinstance(answer, Unavailable)]
        assert refused
        assert len(refused) + len([answer for answer in answers if not isinstance(answer, BaseException)]) == 20
    finally:
        await committer.close()
        await databases.client.drop_database("tfull")
        await databases.client.drop_database("tfull-system")
        await databases.close()


async def test_a_store_that_is_away_gives_503_within_its_time() -> None:
    """Without MongoDB a write is refused with Unavailable within the store's timeout, not later and not with a 500."""
    settings = Settings.from_environment(
        {"MONGODB_URI": "mongodb://127.0.0.1:9/?directConnection=true"}, store_timeout=1.0
    )
    databases = Databases(settings)
    committer = Committer(databases, settings, writer="w1")
    try:
        async with asyncio.timeout(4):
            with pytest.raises(Unavailable):
                await committer.submit("", put("urn:a", 1))
    finally:
        await committer.close()
        await databases.close()


@dataclass
class Order:
    """A succession."""

    broken: bool = False


async def test_no_write_of_a_succession_overtakes_one_that_failed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a write could not be taken, what waits behind it and what its sender queues next are refused too."""
    order = Order()
    await store.committer.submit("", put("urn:a", 0))
    with monkeypatch.context() as broken:
        broken.setattr(store.committer, "_commit", away)
        first = store.committer.queue("", [put("urn:a", 1), put("urn:b", 1)], succession=order)
        second = store.committer.queue("", [put("urn:a", 2)], succession=order)
        answers = [*await first, *await second]
    assert [type(answer) for answer in answers] == [Unavailable] * 3
    assert order.broken
    with pytest.raises(Unavailable):
        store.committer.queue("", [put("urn:a", 3)], succession=order)
    assert await store.committer.submit("", put("urn:a", 4)) == 0
    order.broken = False
    assert await store.committer.queue("", [put("urn:a", 5)], succession=order) == [4]


async def away(tenant: str, items: Any) -> None:
    """Behave like a store that is away, after a while."""
    await asyncio.sleep(0.01)
    raise Unavailable(f"{tenant}: {len(items)} writes were not taken")


async def test_half_a_group_that_cannot_be_committed_refuses_what_waits(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a group is split and MongoDB goes away meanwhile, what was committed is answered, the rest is refused."""
    commit, halves = store.committer._commit, store.committer._halves
    calls: list[int] = []

    async def split_first(tenant: str, items: list[Any]) -> None:
        calls.append(len(items))
        if len(calls) == 1:
            return await halves(tenant, items)
        if len(calls) > 2:
            raise Unavailable("away")
        return await commit(tenant, items)

    monkeypatch.setattr(store.committer, "_commit", split_first)
    both = store.committer.queue("", [put("urn:a", 1), put("urn:b", 1)])
    await asyncio.sleep(0)
    later = store.committer.queue("", [put("urn:b", 2)])
    assert [type(answer) for answer in [*await both, *await later]] == [str, Unavailable, Unavailable]
    assert calls == [2, 1, 1]


async def test_the_log_tells_every_state(store: Store) -> None:
    """Changes read back from the log have the very documents before and after that the listener saw."""
    for write in (put("urn:a", 1), put("urn:a", 2), put("urn:b", 7), remove("urn:a"), put("urn:a", 3), put("urn:a", 4)):
        await store.committer.submit("", write)
    read = [c async for c in store.log.since("", {"w1": Position(0)}) if isinstance(c, Change)]
    assert [(c.number, c.kind, c.before, c.after, c.touched) for c in read] == [
        (c.number, c.kind, c.before, c.after, c.touched) for c in store.heard.changes
    ]
    late = [c async for c in store.log.since("", {"w1": Position(4)}) if isinstance(c, Change)]
    assert [(c.before, c.after) for c in late] == [(c.before, c.after) for c in store.heard.changes[4:]]
    latest = [change.number async for change in store.log.latest("", 2)]
    assert latest == [5, 6]
    span = [change.number async for change in store.log.between("", 0, 2**60)]
    assert sorted(span) == [1, 2, 3, 4, 5, 6]


async def test_what_is_read_once_is_not_kept(store: Store) -> None:
    """A process reads its own log once, at first, and keeps nothing of it; of logs that it follows it keeps states."""
    for write in (put("urn:a", 1), put("urn:b", 2)):
        await store.committer.submit("", write)
    own = [one async for one in store.log.since("", {"w1": Position(0)})]
    assert len(own) == 2
    assert not store.log._states.get("")
    follower = MongoChangeLog(store.databases, writer="w2", open_number=lambda _: None)
    followed = [one async for one in follower.since("", {"w1": Position(0)})]
    assert followed == own
    assert list(follower._states[""]) == ["urn:a", "urn:b"]


async def test_the_watermark_never_passes_an_open_number(store: Store) -> None:
    """A number that is still being committed holds the mark below it, and the mark never moves back."""
    store.committer._open[""].add(4)
    await store.databases.ready("")
    await store.log.move_watermark("", "w1", 9)
    assert await store.log.watermark("", "w1") == 3
    store.committer._open[""].clear()
    await store.log.move_watermark("", "w1", 9)
    await store.log.move_watermark("", "w1", 5)
    assert await store.log.watermark("", "w1") == 9


async def test_changes_without_history_leave_the_log_once_delivered(store: Store) -> None:
    """A heartbeat's record serves as outbox only: it goes when the watermark passes it."""
    await store.committer.submit("", put("urn:a", 1))
    await store.committer.submit("", put("urn:a", 2, history=False))
    assert await store.databases.of("")["changes"].count_documents({}) == 2
    await store.log.move_watermark("", "w1", 2)
    assert await store.databases.of("")["changes"].count_documents({}) == 1


async def test_nothing_changes_nothing_is_logged(store: Store) -> None:
    """A write that leaves the document as it is makes no version and no record."""
    await store.committer.submit("", put("urn:a", 1))
    answer = await store.committer.submit("", Write("urn:a", lambda before, _: Outcome(before, (), "same")))
    assert answer == "same"
    assert len(store.heard.changes) == 1
    assert not isinstance(answer, NgsiError)


async def test_what_comes_too_late_goes_to_the_history_alone(store: Store) -> None:
    """A reading older than the current one is kept in the log alone: state, version and subscribers do not notice."""
    reports = Reports(store.committer)

    def reading(value: int, minute: int) -> Report:
        level = {"type": "Property", "value": value, "observedAt": f"2026-11-21T10:{minute:02d}:00Z"}
        return Report({"id": "urn:a", "type": ["https://example.org/T"], "attrs": {NAME: level}}, receipt=f"r{value}")

    answers = await reports.take("", [reading(1, 10), reading(2, 5), reading(3, 20), reading(4, 15)])
    assert [len(answer) for answer in answers] == [0, 1, 0, 1]
    assert await stored(store, "urn:a") == 3
    kept = await store.databases.of("")["changes"].find({}).sort("_id.n", 1).to_list(None)
    assert [row["k"] for row in kept] == ["created", "late", "updated", "late"]
    assert [one["value"] for row in kept if row["k"] == "late" for one in row["a"]["attrs"][NAME]] == [2, 4]
    assert [change.kind for change in store.heard.changes] == ["created", "updated"]
    read = [one async for one in store.log.since("", {"w1": Position(0)}) if isinstance(one, Change)]
    assert [(change.before, change.after) for change in read] == [
        (one.before, one.after) for one in store.heard.changes
    ]
    again = await reports.take("", [reading(2, 5), reading(4, 15)])
    assert again == [DUPLICATE, DUPLICATE]
    assert await store.databases.of("")["changes"].count_documents({}) == 4
    assert store.committer.open_number("") is None
