"""Notifications under load while something dies or does not answer: nothing is missing, the order is kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.drills.broker import broker
from tests.drills.harness import LONG, eventually
from tests.drills.load import Load, versions
from tests.drills.receivers import Receivers, receivers

pytestmark = pytest.mark.drill

SUBSCRIPTIONS = 20


async def subscribe(session: aiohttp.ClientSession, broker: str, endpoint: str, **members: Any) -> str:
    """Subscribe an endpoint to all gauges; returns the subscription's URL."""
    body = {
        "type": "Subscription",
        "entities": [{"type": "Gauge"}],
        "notification": {"endpoint": {"uri": endpoint, "accept": "application/json"}},
        **members,
    }
    async with session.post(f"{broker}/ngsi-ld/v1/subscriptions", json=body) as answer:
        assert answer.status == 201, await answer.text()
        return broker + answer.headers["Location"]


async def came(target: Receivers, paths: list[str], expected: Callable[[], set[Any]], *, seconds: float) -> None:
    """Wait until every path has all expected values."""

    def missing() -> str:
        counts = {path: len(expected() - target.values(path)) for path in paths}
        return f"missing after {seconds} s: { {path: count for path, count in counts.items() if count} }"

    await eventually(
        lambda: all(expected() <= target.values(path) for path in paths), seconds=seconds, what=missing, every=0.5
    )


async def test_kill_9_of_the_writing_process(tmp_path: Path) -> None:
    """(a) kill -9 of the broker at 500 changes/s, 20 subscriptions: nothing is missing, and the order is kept."""
    kills, rate = (10, 500) if LONG else (1, 200)
    paths = [f"/{number}" for number in range(SUBSCRIPTIONS)]
    async with broker(tmp_path / "broker") as own, receivers() as target, aiohttp.ClientSession() as session:
        load = Load(own.url, entities=100, rate=rate)
        await load.create(session)
        for path in paths:
            await subscribe(session, own.url, target.url + path)
        working = asyncio.create_task(load.run(kills * 20))
        for _ in range(kills):
            await asyncio.sleep(4)
            await own.kill(own.workers[0])
            await own.start(own.workers[0])
        load.stop()
        await working
        stopped = time.monotonic()
        await came(target, paths, lambda: set(load.acknowledged), seconds=240)
        behind = time.monotonic() - stopped
        order = await versions(own.mongodb.uri)
        await came(target, paths, lambda: set(order) - {-1}, seconds=30)
        wrong = sum(target.out_of_order(path, order) for path in paths)
        print(
            f"(a) {kills} x kill -9 at {rate}/s, {SUBSCRIPTIONS} subscriptions: {len(load.acknowledged)} acknowledged, "
            f"{len(load.unsure)} without an answer, {len(order) - 1} in the log; deliveries expected "
            f"{SUBSCRIPTIONS * (len(order) - 1)}, missing 0, out of order {wrong}, repeats "
            f"{sum(map(target.repeats, paths))}, in {target.notifications} notifications; the last one {behind:.1f} s "
            f"after the load ended"
        )
        assert wrong == 0
        assert target.shared_twice == 0


async def test_kill_9_of_one_of_two_workers(tmp_path: Path) -> None:
    """(a) kill -9 of the delivering, then the other of two workers under load: nothing missing, order kept, in 15 s."""
    rounds, rate = (4, 300) if LONG else (1, 100)
    paths = ["/0", "/1", "/2"]
    async with broker(tmp_path / "broker", workers=2) as own, receivers() as target, aiohttp.ClientSession() as session:
        load = Load(own.url, entities=30, rate=rate)
        await load.create(session)
        for path in paths:
            await subscribe(session, own.url, target.url + path)
        working = asyncio.create_task(load.run(rounds * 60))
        silences: list[float] = []
        for _ in range(rounds):
            for worker in own.workers:
                await asyncio.sleep(3 + 0.3 * len(silences))
                await own.kill(worker)
                killed = time.monotonic()
                await asyncio.sleep(4)
                silences.append(max(target.silence(path, killed - 0.1, killed + 4) for path in paths))
                await own.start(worker)
        load.stop()
        await working
        order = await versions(own.mongodb.uri)
        await came(target, paths, lambda: set(load.acknowledged) | (set(order) - {-1}), seconds=60)
        wrong = sum(target.out_of_order(path, order) for path in paths)
        print(
            f"(a) two workers, {len(silences)} x kill -9 of one at {rate}/s: {len(load.acknowledged)} acknowledged, "
            f"missing 0, out of order {wrong}, repeats {sum(map(target.repeats, paths))}; without a notification for "
            f"{', '.join(f'{one:.1f}' for one in silences)} s"
        )
        assert wrong == 0
