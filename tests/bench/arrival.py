"""How soon a lone device message is notified: `python -m tests.bench.arrival` prints the median in ms.

Over HTTP, on an idle broker, with pauses between: from the sending of a message until its notification is here. What a
lone PATCH takes is measured by `tests.bench.latency`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import httpx
from aiohttp import web

from tests.bench.devices import APIKEY, provision
from tests.drills.harness import running

PAUSE = 0.03
WARMING = 10


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
    """Measure and print the median and the worst of twenty."""
    with tempfile.TemporaryDirectory(prefix="tsunagu-bench-") as folder:
        async with running(Path(folder) / "data") as up, httpx.AsyncClient(base_url=up.url, timeout=30) as client:
            arrivals = Arrivals()
            runner = await arrivals.serve()
            await provision(client, up.url, 1)
            subscription = {
                "type": "Subscription",
                "entities": [{"type": "Station"}],
                "notification": {"endpoint": {"uri": f"http://127.0.0.1:{runner.addresses[0][1]}/"}},
            }
            (await client.post("/ngsi-ld/v1/subscriptions", json=subscription)).raise_for_status()
            times = []
            for number in range(rounds + WARMING):
                times.append(await message(client, arrivals, number))
                await asyncio.sleep(PAUSE)
            await runner.cleanup()
    times = times[WARMING:]
    middle, slow = statistics.median(times), statistics.quantiles(times, n=20)[-1]
    print(f"a lone device message is notified after {middle:.1f} ms (median), 95 % within {slow:.1f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    asyncio.run(main(parser.parse_args().rounds))
