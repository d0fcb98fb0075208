"""What happens to deliveries and timers when the process that delivers is gone: how long until another one does it."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pymongo import AsyncMongoClient

from tests.drills.broker import Broker, broker
from tests.drills.harness import LONG, eventually
from tests.drills.load import Load, versions
from tests.drills.receivers import Receivers, receivers
from tests.drills.test_deliveries import came, subscribe
from tsunagu.up.child import Child

pytestmark = pytest.mark.drill

LEASE = 10.0  # the default of TSUNAGU_LEASE_SECONDS


async def deliverer(own: Broker) -> Child:
    """Return the worker that delivers at present."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(own.mongodb.uri)
    try:
        while True:
            system = client["tsunagu-system"]
            role = await system["roles"].find_one({"_id": "deliverer"})
            writer = await system["writers"].find_one({"_id": role["writer"]}) if role else None
            for worker in own.workers:
                if writer is not None and worker.pid == writer["pid"]:
                    return worker
            await asyncio.sleep(0.1)
    finally:
        await client.close()


async def taken_over(target: Receivers, since: float) -> dict[str, float]:
    """Return after how many seconds a notification of a change, and one of a timer, came that another one sent."""

    def after(path: str) -> list[float]:
        # What was on its way when the deliverer went may still come within a moment.
        return [at - since for at, _, _ in target.got[path] if at > since + 0.2]

    await eventually(lambda: after("/changes") and after("/timer"), seconds=60, what=lambda: "nobody delivers")
    return {path: min(after(path)) for path in ("/changes", "/timer")}


async def test_the_deliverer_is_gone(tmp_path: Path) -> None:
    """With the default lease: kill -9 of the delivering one of three workers, or its suspension; others go on."""
    deeds = [signal.SIGKILL] * 4 + [signal.SIGSTOP] * 2 if LONG else [signal.SIGKILL]
    took: list[str] = []
    async with broker(tmp_path / "broker", workers=3) as own, receivers() as target, aiohttp.ClientSession() as session:
        load = Load(own.url, entities=30, rate=60)
        await load.create(session)
        await subscribe(session, own.url, f"{target.url}/changes")
        await subscribe(session, own.url, f"{target.url}/timer", timeInterval=1)
        working = asyncio.create_task(load.run(600))
        await eventually(lambda: target.got["/timer"], seconds=30, what=lambda: "the timer has not fired")
        for deed in deeds:
            await asyncio.sleep(LEASE / 4 if deed is signal.SIGKILL else LEASE)
            gone = await deliverer(own)
            since = time.monotonic()
            gone.signal(deed)
            found = await taken_over(target, since)
            took.append(f"{deed.name} {found['/changes']:.1f} and {found['/timer']:.1f} s")
            await own.kill(gone)
            await own.start(gone)
        load.stop()
        await working
        order = await versions(own.mongodb.uri)
        await came(target, ["/changes"], lambda: set(order) - {-1}, seconds=60)
        wrong = target.out_of_order("/changes", order)
        print(
            f"(a) three workers, lease {LEASE:g} s, until another one delivers changes and fires timers: "
            f"{'; '.join(took)}; {len(load.acknowledged)} changes, missing 0, out of order {wrong}"
        )
        assert wrong == 0
