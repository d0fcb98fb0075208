"""How the operations fare as a broker grows: `python -m tests.bench.growth` prints a table.

Entities grow first, without subscriptions; then, with the most entities, subscriptions on other types and thresholds
that no change meets: what they cost is the looking. CPU in microseconds a request of broker and mongod, because that
travels better than requests a second. `--entities 10000,100000,1000000 --subscriptions 0,1000,100000` is the long form.
The first 10,000 entities come through the broker, further ones are copied within MongoDB, whose cache `--cache` sets:
the embedded one's is 0.5 GB, which a million entities outgrow. Subscriptions beyond 100 are copied, too, and the worker
is started again, which tells how long it takes to be ready.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from tests.bench.copies import CHUNK, multiply, multiply_subscriptions, set_cache
from tests.bench.processes import memory
from tests.bench.run import Load, fill, measure, sink
from tests.drills.harness import Running, running

AT_ONCE = 32
TYPES = 50
ORIGINALS = 100  # subscriptions that come through the broker; the others are copies
PATIENCE = 300.0


def subscription(number: int) -> dict[str, Any]:
    """Return a subscription: every other one on the stations, for a level they never reach, the rest on 50 types."""
    kind = "WaterLevelObserved" if number % 2 else f"Kind{number % TYPES}"
    return {
        "type": "Subscription",
        "entities": [{"type": kind}],
        "watchedAttributes": ["waterLevel"],
        "q": f"waterLevel>{1000 + number}",
        "notification": {"endpoint": {"uri": "http://127.0.0.1:9/never", "accept": "application/json"}},
    }


async def subscribe(url: str, beginning: int, end: int) -> None:
    """Create the subscriptions with these numbers, some at a time."""
    numbers = iter(range(beginning, end))
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:

        async def work() -> None:
            for number in numbers:
                answer = await client.post("/ngsi-ld/v1/subscriptions", json=subscription(number))
                answer.raise_for_status()

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))


async def restarted(up: Running) -> float:
    """Kill the worker, which starts again and reads all that there is; return the seconds until it answers."""
    old = up.kill("tsunagu.cli serve")
    began = time.monotonic()
    async with httpx.AsyncClient(timeout=5) as client:
        while time.monotonic() - began < PATIENCE:
            await asyncio.sleep(0.1)
            if up.pids("tsunagu.cli serve") in ([], [old]):
                continue
            with contextlib.suppress(httpx.HTTPError):
                if (await client.get(f"{up.url}/ngsi-ld/v1/entities?type=Kind0&limit=1")).status_code == HTTPStatus.OK:
                    return time.monotonic() - began
    raise SystemExit(f"the worker was not ready within {PATIENCE:.0f} s")


async def row(up: Running, operations: list[str], load: Load, subscriptions: int, sink_port: int) -> None:
    """Measure the operations at one size and print a line for each."""
    for operation in operations:
        for connections in load.connections:
            found = await measure(up, operation, load, connections, sink_port)
            print(
                f"{load.entities:8} entities {subscriptions:6} subscriptions {operation:9} c={connections:<3}"
                f"{found['rate']:8.0f}/s  p50 {found['p50']:7.2f} p99 {found['p99']:8.2f} ms  "
                f"broker {found['broker_us']:5.0f} µs {found['broker_mb']} MB  "
                f"mongod {found['mongod_us']:5.0f} µs {found['mongod_mb']} MB  bad {found['bad']}",
                flush=True,
            )


async def main(options: argparse.Namespace) -> None:
    """Grow and measure."""
    connections = tuple(map(int, options.connections.split(",")))
    operations = options.operations.split(",")
    with tempfile.TemporaryDirectory(prefix="tsunagu-bench-") as folder:
        async with running(Path(folder) / "data", "--workers", str(options.workers)) as up, sink() as sink_port:
            if options.cache:
                await set_cache(up.mongodb_uri, options.cache)
            there = 0
            for entities in map(int, options.entities.split(",")):
                began = time.monotonic()
                if there < CHUNK:
                    await fill(up.url, min(entities, CHUNK), beginning=there)
                if entities > CHUNK:
                    await multiply(up.mongodb_uri, "tsunagu", beginning=max(there, CHUNK), end=entities)
                print(f"{entities} entities: {(entities - there) / (time.monotonic() - began):.0f} stored a second")
                there = entities
                await row(up, operations, Load(entities, options.seconds, connections), 0, sink_port)
            there = 0
            for subscriptions in map(int, options.subscriptions.split(",")):
                if subscriptions:
                    await subscribe(up.url, there, min(subscriptions, ORIGINALS))
                    if subscriptions > ORIGINALS:
                        await multiply_subscriptions(
                            up.mongodb_uri, "tsunagu", ORIGINALS, beginning=max(there, ORIGINALS), end=subscriptions
                        )
                    took = await restarted(up)
                    memory_now = memory(up.pids("tsunagu.cli serve"))
                    print(
                        f"{subscriptions} subscriptions: worker ready after {took:.1f} s, {memory_now} MB", flush=True
                    )
                    there = subscriptions
                    await row(up, operations, Load(entities, options.seconds, connections), subscriptions, sink_port)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entities", default="10000,100000")
    parser.add_argument("--subscriptions", default="0,1000,10000")
    parser.add_argument("--operations", default="get,query,queryany,querysel,geo,patch")
    parser.add_argument("--connections", default="64")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--cache", type=float, help="GB of MongoDB's cache")
    asyncio.run(main(parser.parse_args()))
