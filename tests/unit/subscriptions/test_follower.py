"""One process delivers what all commit, in order, and another one takes over what it leaves."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from tests.unit.subscriptions.rig import SWIFT, value
from tsunagu.broker.changes import Position
from tsunagu.broker.storage.leases import Home
from tsunagu.subscriptions.home import MACHINE, here, known_dead

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.unit.subscriptions.receiver import Receiver
    from tests.unit.subscriptions.rig import Rig

    Start = Callable[..., Awaitable[Rig]]

SHORT_LEASE = replace(SWIFT, lease=0.6, forget=0.5)


async def first_look(rig: Rig, monkeypatch: pytest.MonkeyPatch, subscribing: Awaitable[str]) -> dict[str, Position]:
    """Return where a process begins to read the logs when somebody subscribes."""
    began: list[dict[str, Position]] = []
    since = rig.log.since
    monkeypatch.setattr(rig.log, "since", lambda *given, **more: began.append(given[1]) or since(*given, **more))
    await subscribing
    async with asyncio.timeout(5):
        while not began:
            await asyncio.sleep(0.01)
    return began[0]


async def _deaf(receiver: Receiver) -> None:
    await receiver.stop()


async def test_a_living_process_delivers_what_a_dead_one_left(rigs: Start, receiver: Receiver) -> None:
    """Changes that a process committed and did not deliver before it died arrive by another one, in order."""
    port = receiver.port
    first, second = await rigs(policy=SHORT_LEASE), await rigs(policy=SHORT_LEASE)
    await first.subscribe(receiver.url())
    await receiver.stop()
    await first.create("a", level=value(0))
    for number in range(1, 10):
        await first.patch("a", level=value(number))
    await first.crash()
    await receiver.start(port)
    await receiver.wait_entities(10, seconds=15)
    assert [one["level"]["value"] for one in receiver.entities] == list(range(10))
    async with asyncio.timeout(10):
        while list(await second.leases.writers()) != [second.writer]:
            await asyncio.sleep(0.05)


async def test_a_dead_process_is_taken_over_by_one_only(rigs: Start, receiver: Receiver) -> None:
    """Of several living processes one delivers what a dead one left: each change arrives once."""
    port = receiver.port
    first = await rigs(policy=SHORT_LEASE)
    for _ in range(3):
        await rigs(policy=SHORT_LEASE)
    await first.subscribe(receiver.url())
    await receiver.stop()
    for number in range(20):
        await first.create(f"e{number}", level=value(number))
    await first.crash()
    await receiver.start(port)
    await receiver.wait_entities(20, seconds=15)
    await asyncio.sleep(1)
    assert len(receiver.entities) == 20


async def test_the_heir_gets_what_was_parked(rigs: Start, receiver: Receiver) -> None:
    """What a dead process had parked is delivered by its heir before what stood in its log behind it."""
    policy = replace(SHORT_LEASE, queue=3, patience=0.2)
    port = receiver.port
    first, second = await rigs(policy=policy), await rigs(policy=policy)
    await first.subscribe(receiver.url())
    await receiver.stop()
    await first.create("a", level=value(0))
    for number in range(1, 30):
        await first.patch("a", level=value(number))
    await asyncio.sleep(0.5)
    assert len(await second.parked.subscriptions("")) == 1
    await first.crash()
    await receiver.start(port)
    await receiver.wait_entities(30, seconds=15)
    assert [one["level"]["value"] for one in receiver.entities] == list(range(30))


async def test_a_stopped_process_hands_over_at_once(rigs: Start, receiver: Receiver) -> None:
    """What an orderly stop could not deliver is delivered at the next start, without waiting for a lease."""
    port = receiver.port
    first = await rigs()
    await first.subscribe(receiver.url())
    await receiver.stop()
    for number in range(5):
        await first.create(f"e{number}", level=value(number))
    await first.stop()
    await receiver.start(port)
    await rigs()
    await receiver.wait_entities(5, seconds=5)


async def test_a_clean_stop_leaves_no_trace(rigs: Start, receiver: Receiver) -> None:
    """A process that delivered everything removes its registration when it stops."""
    first = await rigs()
    await first.subscribe(receiver.url())
    await first.create("a", level=value(0))
    await first.stop()
    assert len(receiver.entities) == 1
    second = await rigs()
    assert list(await second.leases.writers()) == [second.writer]


async def test_a_later_subscription_gets_no_older_changes(rigs: Start, receiver: Receiver) -> None:
    """A subscription made after a change is not told of it when the change is recovered."""
    port = receiver.port
    first, second = await rigs(policy=SHORT_LEASE), await rigs(policy=SHORT_LEASE)
    await first.subscribe(receiver.url("/old"))
    await receiver.stop()
    await first.create("a", level=value(0))
    await first.crash()
    await second.subscribe(receiver.url("/new"))
    await receiver.start(port)
    await receiver.wait(1, seconds=15)
    await asyncio.sleep(0.3)
    assert [path for path, _, _ in receiver.got] == ["/old"]


async def test_the_first_subscription_has_the_log_looked_at_at_once(rigs: Start, receiver: Receiver) -> None:
    """A tenant's log is looked at when it gets a subscription, not when changes come: these would wait in memory."""
    rig = await rigs()
    assert "" not in rig.dispatcher.follower._streams
    await rig.subscribe(receiver.url())
    async with asyncio.timeout(5):
        while (stream := rig.dispatcher.follower._streams.get("")) is None or stream.first:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("open_number", "begins"), [(None, 20), (18, 17)], ids=["all committed", "one is not yet"])
async def test_what_was_nobodys_is_not_read_again(
    rigs: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, open_number: int | None, begins: int
) -> None:
    """The first look begins behind what this process committed before anybody subscribed, but for what is open."""
    rig = await rigs(policy=replace(SWIFT, mark_interval=60))
    for number in range(20):
        await rig.create(f"e{number}", level=value(number))
    if open_number is not None:
        rig.committer._open[""].add(open_number)
    began = await first_look(rig, monkeypatch, rig.subscribe(receiver.url()))
    rig.committer._open[""].discard(open_number or 0)
    await rig.create("later", level=value(99))
    await receiver.wait_entities(1, seconds=5)
    assert began == {rig.writer: Position(begins)}
    assert [one["id"] for one in receiver.entities] == ["urn:x:later"]


async def test_beside_other_processes_the_first_look_begins_at_the_watermark(
    rigs: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may have answered a subscription before the deliverer heard of it: nothing is passed over."""
    first, second = await rigs(policy=replace(SWIFT, mark_interval=60)), await rigs()
    async with asyncio.timeout(5):
        while not first.dispatcher.presence.others:
            await asyncio.sleep(0.01)
    await first.create("a", level=value(1))
    began = await first_look(first, monkeypatch, second.subscribe(receiver.url()))
    assert began[first.writer] == Position(0)


async def test_what_nobody_subscribed_to_is_not_looked_for(rigs: Start, receiver: Receiver) -> None:
    """Changes made while a tenant had no subscription are passed over when there is one again, and leave no gaps."""
    rig = await rigs()
    first = await rig.subscribe(receiver.url())
    await rig.create("a", level=value(0))
    await receiver.wait_entities(1)
    await rig.subscriptions.delete("", first)
    await asyncio.sleep(0.1)
    for number in range(1, 30):
        await rig.patch("a", level=value(number))
    await rig.subscribe(receiver.url())
    await rig.patch("a", level=value(30))
    await receiver.wait_entities(2)
    assert [one["level"]["value"] for one in receiver.entities] == [0, 30]
    assert not rig.dispatcher.follower._streams[""].gaps[rig.writer].missing


def test_a_killed_process_is_known_dead() -> None:
    """A process of this machine that is gone is known to be dead, a running one is not."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    started = int(Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19])
    home = Home(MACHINE, child.pid, started)
    assert not known_dead(home)
    child.kill()
    child.wait()
    assert known_dead(home)
    assert not known_dead(here())
    assert not known_dead(Home("elsewhere", os.getpid(), 1))


async def test_what_is_throttled_for_long_survives(rigs: Start, receiver: Receiver) -> None:
    """A change that is held back for longer than the policy is patient does not hold the watermark, and is not lost."""
    policy = replace(SHORT_LEASE, patience=0.3)
    first = await rigs(policy=policy)
    await first.subscribe(receiver.url(), throttling=3600)
    await first.create("a", level=value(0))
    await receiver.wait(1)
    for number in range(1, 6):
        await first.patch("a", level=value(number))
    async with asyncio.timeout(5):
        while await first.log.watermark("", first.writer) < 6:
            await asyncio.sleep(0.02)
    assert await first.databases.of("")["parked"].count_documents({}) == 1
    await first.crash()
    await rigs(policy=policy)
    await receiver.wait(2, seconds=10)
    assert [one["level"]["value"] for one in receiver.entities] == [0, 5]


async def test_two_processes_throttle_together(rigs: Start, receiver: Receiver) -> None:
    """A throttled subscription gets one notification in an interval, whichever process commits the changes."""
    first, second = await rigs(), await rigs()
    await first.subscribe(receiver.url(), throttling=0.5)
    await first.create("a", level=value(0))
    await receiver.wait(1)
    began = time.monotonic()
    for number in range(1, 21):
        await (first, second)[number % 2].patch("a", level=value(number))
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.7)
    intervals = (time.monotonic() - began) / 0.5
    assert 2 <= len(receiver.got) <= 2 + intervals
    assert receiver.entities[-1]["level"]["value"] == 20


async def test_several_processes_change_one_entity(rigs: Start, receiver: Receiver) -> None:
    """Changes of one entity arrive in the order of its versions, whichever of several processes makes each."""
    all_rigs = [await rigs() for _ in range(3)]
    await all_rigs[0].subscribe(receiver.url())
    await all_rigs[0].create("a", level=value(0))
    for number in range(1, 60):
        await all_rigs[number % 3].patch("a", level=value(number))
    await receiver.wait_entities(60, seconds=15)
    assert [one["level"]["value"] for one in receiver.entities] == list(range(60))


async def test_what_another_process_replays_is_delivered(rigs: Start, receiver: Receiver) -> None:
    """A replay that is asked of a process that does not deliver arrives all the same."""
    first, second = await rigs(), await rigs()
    assert first.dispatcher.presence.delivering
    assert not second.dispatcher.presence.delivering
    subscription = await first.subscribe(receiver.url())
    await first.create("a", level=value(0))
    await first.patch("a", level=value(1))
    await receiver.wait_entities(2)
    async with asyncio.timeout(5):
        while second.dispatcher.store.get(("", subscription)) is None:
            await asyncio.sleep(0.01)
    assert await second.dispatcher.replay("", subscription, 0, 1 << 60) == 2
    await receiver.wait_entities(4, seconds=5)
    assert [one["level"]["value"] for one in receiver.entities] == [0, 1, 0, 1]


async def test_a_process_that_ends_leaves_its_role_to_another(rigs: Start, receiver: Receiver) -> None:
    """When the deliverer stops in order, another process delivers at once, without waiting for a lease."""
    first, second = await rigs(), await rigs()
    await first.subscribe(receiver.url())
    await first.create("a", level=value(0))
    await receiver.wait(1)
    await first.stop()
    async with asyncio.timeout(2):
        while not second.dispatcher.presence.delivering:
            await asyncio.sleep(0.01)
    await second.patch("a", level=value(1))
    await receiver.wait_entities(2)
    assert [one["level"]["value"] for one in receiver.entities] == [0, 1]


async def test_a_storm(rigs: Start, receiver: Receiver) -> None:
    """With an endpoint that fails at random, tiny queues and processes that die one after the other, all arrives."""
    dice = random.Random(7)
    seen: set[str] = set()
    told: dict[str, list[int]] = {}

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(dice.random() * 0.01)
        if dice.random() < 0.3:
            return web.Response(status=dice.choice([500, 503, 400, 404]))
        if body["id"] not in seen:
            seen.add(body["id"])
            for entity in body["data"]:
                told.setdefault(entity["id"], []).append(entity["level"]["value"])
        return web.Response(status=dice.choice([200, 200, 200, 502]))

    receiver.answer = answer
    policy = replace(SHORT_LEASE, queue=8, concurrency=3, patience=0.1, longest_delay=0.05, group=3)
    rig = await rigs(policy=policy)
    await rig.subscribe(receiver.url())
    for entity in "abcdef":
        await rig.create(entity, level=value(0))
    number = 0
    for _ in range(3):
        for _ in range(25):
            number += 1
            await asyncio.gather(*(rig.patch(entity, level=value(number)) for entity in "abcdef"))
        following = await rigs(policy=policy)
        await rig.crash()
        rig = following
    expected = list(range(number + 1))
    async with asyncio.timeout(60):
        while not all(set(expected) == set(told.get(f"urn:x:{entity}", ())) for entity in "abcdef"):
            await asyncio.sleep(0.05)
