"""What a lone request waits for: `python -m tests.bench.idle` prints medians in ms of an idle broker.

In turns, with pauses between: a PATCH over HTTP, the bare transaction that it cannot do without (find, update, log
record, commit with w: majority and j: true) from this process, and a device message over HTTP until its notification
arrives here.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from aiohttp import web
from pymongo import AsyncMongoClient, WriteConcern
from pymongo.read_concern import ReadConcern

from tests.bench.devices import APIKEY, provision
from tests.bench.run import fill
from tests.bench.stations import station
from tests.drills.harness import running

ENTITIES = 1000
PAUSE = 0.03


class Arrivals:
    """An endpoint that says when notifications come."""

    def __init__(self) -> None:
        self.came = asyncio.Event()
        self.at = 0.0

    async def take(self, _: web.Request) -> web.Response:
        """Take a notification."""
        self.at = time.perf_counter()
        self.came.set()
        return web.Response()

    async def serve(self) -> web.AppRunner:
        """Start on a free port."""
        application = web.Application()
        application.router.add_post("/", self.take)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner


class Bare:
    """The transaction alone, on collections of its own."""

    def __init__(self, uri: str) -> None:
        self._client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(uri)
        self._database = self._client["bare"]
        self._number = 0

    async def ready(self) -> None:
        """Make the collections."""
        await self._database["entities"].insert_many({"_id": n, **station(n)} for n in range(100))
        await self._database["changes"].insert_one({"_id": 0})

    async def commit(self) -> float:
        """Commit one change; return the milliseconds."""
        self._number += 1
        number = self._number
        began = time.perf_counter()
        async with self._client.start_session() as session:
            await session.start_transaction(
                read_concern=ReadConcern("snapshot"), write_concern=WriteConcern("majority", j=True)
            )
            document = await self._database["entities"].find_one({"_id": number % 100}, session=session)
            assert document is not None
            await self._database["entities"].update_one(
                {"_id": number % 100}, {"$set": {"waterLevel.value": number}}, session=session
            )
            await self._database["changes"].insert_one({"_id": number, "a": document["waterLevel"]}, session=session)
            await session.commit_transaction()
        return (time.perf_counter() - began) * 1000


async def patch(client: httpx.AsyncClient, number: int) -> float:
    """Change one attribute; return the milliseconds."""
    path = f"/ngsi-ld/v1/entities/urn:ngsi-ld:WaterLevelObserved:{number % ENTITIES + 1:06d}/attrs"
    began = time.perf_counter()
    (await client.patch(path, json={"flowRate": {"type": "Property", "value": number}})).raise_for_status()
    return (time.perf_counter() - began) * 1000


async def message(client: httpx.AsyncClient, arrivals: Arrivals, number: int) -> float:
    """Send a device message; return the milliseconds until its notification is here."""
    arrivals.came.clear()
    began = time.perf_counter()
    answer = await client.post(f"/iot/json?k={APIKEY}&i=d000", json={"t": number, "h": 50, "n": number})
    answer.raise_for_status()
    async with asyncio.timeout(10):
        await arrivals.came.wait()
    return (arrivals.at - began) * 1000


async def main(rounds: int) -> None:
    """Measure in turns and print the medians and the worst of twenty."""
    times: dict[str, list[float]] = {"lone PATCH": [], "bare transaction": [], "device message to notification": []}
    with tempfile.TemporaryDirectory(prefix="tsunagu-bench-") as folder:
        async with running(Path(folder) / "data") as up, httpx.AsyncClient(base_url=up.url, timeout=30) as client:
            arrivals, bare = Arrivals(), Bare(up.mongodb_uri)
            runner = await arrivals.serve()
            await bare.ready()
            await fill(up.url, ENTITIES)
            await provision(client, up.url, 1)
            subscription = {
                "type": "Subscription",
                "entities": [{"type": "Station"}],
                "notification": {"endpoint": {"uri": f"http://127.0.0.1:{runner.addresses[0][1]}/"}},
            }
            (await client.post("/ngsi-ld/v1/subscriptions", json=subscription)).raise_for_status()
            for number in range(rounds + 10):
                seen = (await patch(client, number), await bare.commit(), await message(client, arrivals, number))
                if number >= 10:
                    for into, one in zip(times.values(), seen, strict=True):
                        into.append(one)
                await asyncio.sleep(PAUSE)
            await runner.cleanup()
    middle = {name: statistics.median(values) for name, values in times.items()}
    for name, values in times.items():
        print(f"{name:32} median {middle[name]:6.2f} ms, 95 % within {statistics.quantiles(values, n=20)[-1]:6.2f} ms")
    print(f"a lone PATCH takes {middle['lone PATCH'] / middle['bare transaction']:.2f} times the bare transaction")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    asyncio.run(main(parser.parse_args().rounds))
