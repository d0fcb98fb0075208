"""`make bench`: a fresh broker, every operation under load, and the machine's own ceilings in the same run.

Needs wrk (Debian's package). Prints a line an operation: requests a second, share of the ceiling, p50 and p99 in ms,
CPU in microseconds a request and in per cent of one core, and memory in MB, of broker and mongod. Figures travel badly
between machines: compare ratios of one run, or CPU a request. Beyond the operations of the peers' driver: queryany
(queries that are all different), mix (70 % reads, 25 % patches, 5 % batches), hot (16 entities), wide (attributes of
50 members), tenants (four of them).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.bench import ceilings, devices, store
from tests.bench.processes import cpu, memory
from tests.bench.stations import station
from tests.drills.harness import Running, running
from tsunagu.up.ports import free_port

HERE = Path(__file__).parent
DRIVER = ("get", "query", "querysel", "geo", "patch", "batch", "notif", "create")
OPERATIONS = (*DRIVER, "queryany", "mix", "hot", "wide", "tenants", "mqtt")
WRITES = frozenset({"patch", "batch", "notif", "create"})
TENANTS = ("bench1", "bench2", "bench3", "bench4")
OF_TENANT = 1000


@dataclass
class Load:
    """How the load is made: entities, seconds an operation, connections."""

    entities: int
    seconds: int
    connections: tuple[int, ...]


async def wrk(
    url: str, operation: str, connections: int, seconds: int, entities: int, *, pause: float = 0
) -> dict[str, Any]:
    """Run wrk once and return its figures; each connection waits `pause` ms after an answer, on average."""
    own = {"OP": operation, "N": str(entities), "SEED": str(time.time_ns() % 10**6), "PAUSE": str(pause)}
    environment = {**os.environ, **own}
    process = await asyncio.create_subprocess_exec(
        *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(HERE / "load.lua"), url),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    for line in output.decode().splitlines():
        if line.startswith("RESULT "):
            found: dict[str, Any] = json.loads(line[7:])
            return {**found, "rate": found["requests"] / found["seconds"]}
    raise SystemExit(f"wrk gave no result for {operation}: {output.decode()}")


async def fill(url: str, entities: int, *, beginning: int = 0, tenant: str = "") -> None:
    """Create the entities with numbers from `beginning` on, in batches of 100, as the load expects them."""
    headers = {"NGSILD-Tenant": tenant} if tenant else {}
    async with httpx.AsyncClient(timeout=60, headers=headers) as client:
        for first in range(beginning, entities, 100):
            batch = [station(number) for number in range(first + 1, first + 101)]
            answer = await client.post(f"{url}/ngsi-ld/v1/entityOperations/upsert", json=batch)
            answer.raise_for_status()


@contextlib.asynccontextmanager
async def sink() -> AsyncIterator[int]:
    """Run the notification sink; gives its port."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.bench.sink", str(port))
    await asyncio.sleep(1)
    try:
        yield port
    finally:
        process.terminate()
        await process.wait()


async def measure(up: Running, operation: str, load: Load, connections: int, sink_port: int) -> dict[str, Any]:
    """Measure one operation: figures of wrk, CPU and memory of broker and mongod, notifications delivered."""
    broker, mongod = up.pids("tsunagu.cli serve"), up.pids("mongod")
    subscription = ""
    async with httpx.AsyncClient(timeout=30) as client:
        if operation == "tenants":
            for tenant in TENANTS:
                await fill(up.url, OF_TENANT, tenant=tenant)
        if operation == "notif":
            body = {
                "type": "Subscription",
                "entities": [{"type": "WaterLevelObserved"}],
                "notification": {"endpoint": {"uri": f"http://127.0.0.1:{sink_port}/n", "accept": "application/json"}},
            }
            subscription = (await client.post(f"{up.url}/ngsi-ld/v1/subscriptions", json=body)).headers["location"]
        await wrk(up.url, operation, connections, 2, load.entities)
        await asyncio.sleep(1)
        before = int((await client.get(f"http://127.0.0.1:{sink_port}/count")).text)
        used = cpu(broker), cpu(mongod)
        began = time.monotonic()
        found = await wrk(up.url, operation, connections, load.seconds, load.entities)
        took = time.monotonic() - began
        for name, spent in (("broker", cpu(broker) - used[0]), ("mongod", cpu(mongod) - used[1])):
            found[f"{name}_cpu"] = 100 * spent / took
            found[f"{name}_us"] = 1e6 * spent / max(1, found["requests"])
        found["broker_mb"], found["mongod_mb"] = memory(broker), memory(mongod)
        if operation == "notif":
            await asyncio.sleep(1)
            delivered = int((await client.get(f"http://127.0.0.1:{sink_port}/count")).text) - before
            found["delivered"] = delivered
            await client.delete(up.url + subscription)
    return found


async def bare_rate(load: Load, size: int) -> float:
    """Return the requests a second of bare uvicorn, answering as many bytes as a GET by id does."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.ceilings", "serve", str(port), str(size)
    )
    try:
        await asyncio.sleep(2)
        return float((await wrk(f"http://127.0.0.1:{port}", "get", 64, load.seconds, load.entities))["rate"])
    finally:
        process.terminate()
        await process.wait()


async def main(options: argparse.Namespace) -> None:
    """Run the whole benchmark and print it."""
    if shutil.which("wrk") is None:
        raise SystemExit("make bench needs wrk: apt-get install wrk")
    load = Load(options.entities, options.seconds, tuple(map(int, options.connections.split(","))))
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="tsunagu-bench-") as folder:
        data = Path(folder) / "data"
        async with running(data, "--workers", str(options.workers)) as up, sink() as sink_port:
            uri = up.mongodb_uri
            began = time.monotonic()
            await fill(up.url, load.entities)
            print(f"loaded {load.entities} entities in {time.monotonic() - began:.1f} s, {options.workers} worker(s)")
            if options.index:
                command = (sys.executable, "-m", "tsunagu.cli", "index", "add", "WaterLevelObserved", "waterLevel")
                process = await asyncio.create_subprocess_exec(*command, "--data", str(data))
                await process.wait()
            reads = await ceilings.finds(uri, "tsunagu", entities=load.entities, seconds=load.seconds)
            uvicorn_rate = await bare_rate(load, 700)
            commits = await store.rate(uri, seconds=load.seconds)
            print(
                f"ceilings: bare uvicorn {uvicorn_rate:.0f} requests/s; finds of 32: {reads:.0f} documents/s; "
                f"committer alone: {commits:.0f} changes/s"
            )
            results["ceilings"] = {"uvicorn": uvicorn_rate, "finds": reads, "committer": commits}
            for operation in options.operations.split(","):
                if operation == "mqtt":
                    fleet = devices.Fleet(rate=options.mqtt_rate, seconds=options.mqtt_seconds)
                    results[operation] = await devices.measure(up, uri, fleet)
                    print(devices.line(fleet, results[operation]), flush=True)
                    continue
                for connections in load.connections:
                    found = await measure(up, operation, load, connections, sink_port)
                    results[f"{operation} {connections}"] = found
                    print(line(operation, connections, found, results["ceilings"]), flush=True)
    if options.out:
        Path(options.out).write_text(json.dumps(results, indent=1) + "\n")


def line(operation: str, connections: int, found: dict[str, Any], limits: dict[str, float]) -> str:
    """Return a line of the report."""
    changes = found["rate"] * (100 if operation == "batch" else 1)
    limit = limits["committer"] if operation in WRITES else min(limits["uvicorn"], limits["finds"])
    more = f", delivered {found['delivered']} of {found['requests']}" if "delivered" in found else ""
    return (
        f"{operation:9} c={connections:<3} {found['rate']:8.0f}/s {changes / limit:5.0%} of the ceiling  "
        f"p50 {found['p50']:7.2f} p99 {found['p99']:8.2f} ms  "
        f"broker {found['broker_us']:5.0f} µs {found['broker_cpu']:3.0f} % {found['broker_mb']} MB  "
        f"mongod {found['mongod_us']:5.0f} µs {found['mongod_cpu']:3.0f} % {found['mongod_mb']} MB  "
        f"bad {found['bad']} errors {found['errors']}{more}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entities", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--connections", default="1,16,64")
    parser.add_argument("--operations", default=",".join(OPERATIONS))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--mqtt-rate", type=float, default=8000, help="messages a second of the op mqtt")
    parser.add_argument("--mqtt-seconds", type=float, default=60)
    parser.add_argument("--index", action="store_true", help="declare an index on waterLevel first")
    parser.add_argument("--out", help="write all figures as JSON to this file")
    asyncio.run(main(parser.parse_args()))
