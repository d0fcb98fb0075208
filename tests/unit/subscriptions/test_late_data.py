"""Readings that came too late for the current state: told to those subscriptions alone that ask for late data."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.subscriptions.rig import SWIFT, value
from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.jsonld.expand import expand_entity
from tsunagu.broker.operations.reports import Report, Reports

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.unit.subscriptions.receiver import Receiver
    from tests.unit.subscriptions.rig import Rig

    Start = Callable[..., Awaitable[Rig]]

SHORT_LEASE = replace(SWIFT, lease=0.6, forget=0.5)
PATIENCE = 15.0


def reading(minute: int, level: float, *, entity: str = "a", late: bool = False, **more: Any) -> Report:
    """Return a device's report of a level at 12:00 and some minutes."""
    level_then = {**value(level), "observedAt": f"2026-07-19T12:{minute:02d}:00Z"}
    body = {"id": f"urn:x:{entity}", "type": "River", "level": level_then, **more}
    return Report(expand_entity(body, CORE), receipt=f"{entity}/{minute}", late=late)


def told(receiver: Receiver, path: str) -> list[tuple[str, float]]:
    """Return what a path was told: minute and level, in order."""
    bodies = [body for where, _, body in receiver.got if where == path]
    return [(one["level"]["observedAt"][14:16], one["level"]["value"]) for body in bodies for one in body["data"]]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.02)


async def test_late_readings_are_told_to_those_who_ask(rigs: Start, receiver: Receiver) -> None:
    """Each once, as it was then, with the rest of the entity; conditions see the late value; others hear nothing."""
    rig = await rigs()
    reports = Reports(rig.committer)
    await rig.subscribe(receiver.url("/all"), lateData=True)
    await rig.subscribe(receiver.url("/high"), lateData=True, q="level>3")
    await rig.subscribe(receiver.url("/now"))
    await reports.take("", [reading(50, 1.0, name=value("Weir"))])
    backfill = [reading(minute, 4.0 if minute == 20 else 2.0) for minute in range(10, 40, 10)]
    random.Random(1).shuffle(backfill)
    await reports.take("", backfill)
    await reports.take("", backfill)
    await reports.take("", [reading(55, 1.5)])
    await until(lambda: len(told(receiver, "/all")) == 5 and len(told(receiver, "/now")) == 2)
    assert sorted(told(receiver, "/all")) == [("10", 2.0), ("20", 4.0), ("30", 2.0), ("50", 1.0), ("55", 1.5)]
    assert told(receiver, "/high") == [("20", 4.0)]
    assert told(receiver, "/now") == [("50", 1.0), ("55", 1.5)]
    (late,) = [body["data"][0] for path, _, body in receiver.got if path == "/high"]
    assert late["name"]["value"] == "Weir"
    state = await rig.entities.retrieve("", "urn:x:a")
    assert [one["value"] for name, one in state["attrs"].items() if "level" in name] == [1.5]


async def test_a_reading_that_is_late_by_policy_is_told_to_those_who_ask(rigs: Start, receiver: Receiver) -> None:
    """Also where it is the newest one known and becomes the current state."""
    rig = await rigs()
    await rig.subscribe(receiver.url("/all"), lateData=True)
    await rig.subscribe(receiver.url("/now"))
    await Reports(rig.committer).take("", [reading(10, 4.0, late=True), reading(20, 3.0)])
    await until(lambda: len(told(receiver, "/all")) == 2)
    await until(lambda: len(told(receiver, "/now")) == 1)
    assert told(receiver, "/all") == [("10", 4.0), ("20", 3.0)]
    assert told(receiver, "/now") == [("20", 3.0)]


async def test_late_readings_of_a_process_that_died_are_told_by_another(rigs: Start, receiver: Receiver) -> None:
    """What was committed is told, whoever committed it and whoever dies."""
    port = receiver.port
    first, second = await rigs(policy=SHORT_LEASE), await rigs(policy=SHORT_LEASE)
    await first.subscribe(receiver.url("/all"), lateData=True)
    await Reports(second.committer).take("", [reading(50, 1.0)])
    await until(lambda: told(receiver, "/all") == [("50", 1.0)])
    await receiver.stop()
    await Reports(second.committer).take("", [reading(10, 2.0)])
    await Reports(first.committer).take("", [reading(20, 2.5), reading(30, 2.6)])
    await first.crash()
    await receiver.start(port)
    await until(lambda: {minute for minute, _ in told(receiver, "/all")} == {"10", "20", "30", "50"})


async def test_who_asks_later_is_not_told_what_came_before(rigs: Start, receiver: Receiver) -> None:
    """Late data is told from the subscription on."""
    rig = await rigs()
    reports = Reports(rig.committer)
    await rig.subscribe(receiver.url("/now"))
    await reports.take("", [reading(50, 1.0)])
    await reports.take("", [reading(10, 2.0)])
    await asyncio.sleep(0.05)
    await rig.subscribe(receiver.url("/all"), lateData=True)
    await reports.take("", [reading(20, 2.5)])
    await until(lambda: len(told(receiver, "/all")) == 1)
    await asyncio.sleep(0.6)
    assert told(receiver, "/all") == [("20", 2.5)]


@pytest.mark.parametrize("other", [{"coalesce": True}, {"throttling": 1}, {"timeInterval": 1}])
async def test_what_tells_the_latest_alone_excludes_late_data(rigs: Start, other: dict[str, Any]) -> None:
    """A late value would pass for the latest."""
    rig = await rigs()
    with pytest.raises(BadRequestData, match="lateData"):
        await rig.subscribe("http://127.0.0.1:1/x", lateData=True, **other)
