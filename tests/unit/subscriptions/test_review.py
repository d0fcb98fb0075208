"""Seeing and steering deliveries: attempts, dead letters, replay, preview (operations.deliveries)."""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import orjson
import pytest
from aiohttp import web

from tests.unit.subscriptions.rig import SWIFT, value
from tests.unit.subscriptions.samples import body
from tsunagu.broker.errors import BadRequestData, ResourceNotFound
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.operations.deliveries import Deliveries
from tsunagu.schemas.times import format_ms

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.unit.subscriptions.receiver import Receiver
    from tests.unit.subscriptions.rig import Rig

    Start = Callable[..., Awaitable[Rig]]

BRIEF = replace(SWIFT, give_up=0.2, patience=0.1)
ALL = ("2000-01-01T00:00:00Z", "2099-01-01T00:00:00Z")


def deliveries(rig: Rig) -> Deliveries:
    return Deliveries(rig.subscriptions, rig.records, rig.parked, rig.dispatcher)


async def test_each_attempt_is_on_record(rig: Rig, receiver: Receiver) -> None:
    """An attempt tells when, of which changes, how it went, how long it took, and size and hash of the body."""
    bodies: list[bytes] = []

    async def answer(request: web.Request, body: dict[str, object]) -> web.StreamResponse:
        bodies.append(await request.read())
        return web.Response(status=500 if len(bodies) == 1 else 200)

    receiver.answer = answer
    subscription = await rig.subscribe(receiver.url())
    await rig.create("a", level=value(1))
    await receiver.wait(1)
    await asyncio.sleep(0.05)
    good, bad = await deliveries(rig).attempts("", subscription)
    assert good["ok"]
    assert good["status"] == 200
    assert good["changes"] == bad["changes"] == [f"{rig.writer}-1"]
    assert good["notification"] == bad["notification"] == receiver.bodies[0]["id"]
    assert not bad["ok"]
    assert (bad["status"], bad["reason"]) == (500, "500 Internal Server Error")
    assert bad["sha256"] == hashlib.sha256(bodies[0]).hexdigest()
    assert bad["size"] == len(bodies[0])
    assert 0 <= bad["latency"] < 1000
    assert [one["ok"] for one in await deliveries(rig).attempts("", subscription, before=good["at"])] == [False]


async def test_dead_letters_are_listed_and_redelivered(rigs: Start, receiver: Receiver) -> None:
    """What was given up is listed with its reason, and delivered again on demand: one, some, or all."""
    rig = await rigs(policy=BRIEF)
    failing = True

    async def answer(request: web.Request, body: dict[str, object]) -> web.StreamResponse:
        return web.Response(status=500 if failing else 200)

    receiver.answer = answer
    subscription = await rig.subscribe(receiver.url())
    for name in "abc":
        await rig.create(name, level=value(1))
    seen = deliveries(rig)
    async with asyncio.timeout(10):
        while len(await seen.dead_letters("", subscription)) < 3:
            await asyncio.sleep(0.02)
    letters = await seen.dead_letters("", subscription)
    assert [letter["entities"] for letter in letters] == [["urn:x:a"], ["urn:x:b"], ["urn:x:c"]]
    assert letters[0]["reason"] == "500 Internal Server Error"
    failing = False
    await asyncio.sleep(0.3)
    assert receiver.got == []
    assert await seen.redeliver("", subscription, ids=[letters[1]["id"]]) == 1
    await receiver.wait(1)
    assert receiver.entities[0]["id"] == "urn:x:b"
    assert await seen.redeliver("", subscription, since="2099-01-01T00:00:00Z") == 0
    assert await seen.redeliver("", subscription) == 2
    await receiver.wait_entities(3)
    assert await seen.dead_letters("", subscription) == []


async def test_replay(rig: Rig, receiver: Receiver) -> None:
    """A replay sends what concerned the subscription again, in order, marked, with the ids of the first time."""
    subscription = await rig.subscribe(receiver.url(), q="level>1")
    await rig.create("a", level=value(0))
    for number in range(1, 6):
        await rig.patch("a", level=value(number))
    await receiver.wait(4)
    assert await deliveries(rig).replay("", subscription, start=ALL[0], end=ALL[1]) == 4
    await receiver.wait(8)
    assert [one["level"]["value"] for one in receiver.entities] == [2, 3, 4, 5, 2, 3, 4, 5]
    assert ["Tsunagu-Replay" in headers for _, headers, _ in receiver.got] == [False] * 4 + [True] * 4
    ids = [one["id"] for one in receiver.bodies]
    assert ids[:4] == ids[4:]


async def test_a_replay_has_bounds(rig: Rig, receiver: Receiver) -> None:
    """Only changes between the two times are sent again."""
    subscription = await rig.subscribe(receiver.url())
    await rig.create("a", level=value(0))
    await asyncio.sleep(0.01)
    start = format_ms(time.time_ns() // 1_000_000)
    await rig.patch("a", level=value(1))
    await asyncio.sleep(0.01)
    end = format_ms(time.time_ns() // 1_000_000)
    await rig.patch("a", level=value(2))
    await receiver.wait(3)
    assert await deliveries(rig).replay("", subscription, start=start, end=end) == 1
    await receiver.wait(4)
    assert receiver.entities[3]["level"]["value"] == 1


async def test_preview_sends_nothing(rig: Rig, receiver: Receiver) -> None:
    """A preview shows which of the latest changes would have been told, and how; of a draft as well."""
    await rig.create("a", level=value(0))
    for number in range(1, 6):
        await rig.patch("a", level=value(number))
    draft = body(q="level>=4", notification={"format": "simplified"}, endpoint={"uri": receiver.url()})
    found = await deliveries(rig).preview("", draft, CORE, count=10)
    assert [orjson.loads(one.body)["data"] for one in found] == [
        [{"id": "urn:x:a", "type": "River", "level": 4}],
        [{"id": "urn:x:a", "type": "River", "level": 5}],
    ]
    assert dict(found[0].headers)["Content-Type"] == "application/json"
    subscription = await rig.subscribe(receiver.url(), isActive=False)
    assert len(await deliveries(rig).preview("", subscription, CORE, count=2)) == 2
    await asyncio.sleep(0.1)
    assert receiver.got == []


async def test_pause_and_resume(rig: Rig, receiver: Receiver) -> None:
    """A paused subscription is told nothing until it is resumed."""
    subscription = await rig.subscribe(receiver.url())
    seen = deliveries(rig)
    await seen.pause("", subscription, CORE)
    await rig.create("a", level=value(0))
    await seen.resume("", subscription, CORE)
    await rig.patch("a", level=value(1))
    await receiver.wait(1)
    await asyncio.sleep(0.05)
    assert [one["level"]["value"] for one in receiver.entities] == [1]


async def test_bad_requests_are_named(rig: Rig) -> None:
    """Malformed times and numbers, and unknown subscriptions, are refused."""
    subscription = await rig.subscribe("http://127.0.0.1:9/")
    seen = deliveries(rig)
    with pytest.raises(BadRequestData, match="from"):
        await seen.replay("", subscription, start="now", end=ALL[1])
    with pytest.raises(BadRequestData, match="from"):
        await seen.replay("", subscription, start=ALL[1], end=ALL[0])
    with pytest.raises(BadRequestData, match="since"):
        await seen.redeliver("", subscription, since="yesterday")
    with pytest.raises(BadRequestData, match="limit"):
        await seen.attempts("", subscription, limit=0)
    with pytest.raises(BadRequestData, match="last"):
        await seen.preview("", subscription, CORE, count=100_000)
    with pytest.raises(BadRequestData, match="notification"):
        await seen.preview("", {"type": "Subscription"}, CORE, count=1)
    with pytest.raises(ResourceNotFound):
        await seen.dead_letters("", "urn:s:none")
