"""Measures the committer alone: durable changes a second (w: majority, j: true, log record included), and their price.

Run by `make bench`. Prints for each kind of write and each size of group the changes a second, the CPU that a change
costs this process and mongod, and the bytes that MongoDB journals for it. On a busy machine only the last three are
worth anything. Groups of one are what a broker without group commit pays. A benchmark is never a timed test.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import itertools
import os
import random
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from tests.bench.processes import cpu
from tests.bench.stations import station
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.jsonld.expand import expand_entity, expand_fragment
from tsunagu.broker.operations import patch
from tsunagu.broker.settings import Settings
from tsunagu.broker.storage.mongo.client import Databases
from tsunagu.broker.storage.mongo.committer import Committer
from tsunagu.broker.storage.writes import Outcome, Write
from tsunagu.schemas.times import format_ms
from tsunagu.up import mongod
from tsunagu.up.child import Child
from tsunagu.up.ports import free_port

ENTITIES = 10_000


def upsert(number: int) -> Write:
    """Return a write of all eight attributes of a station, which has moved; it creates the station if need be.

    Its level was observed a moment ago, the others bring no observedAt.
    """
    body = station(number % ENTITIES)
    body["waterLevel"] |= {"value": random.random(), "observedAt": format_ms(time.time_ns() // 10**9 * 1000)}
    body["location"]["value"]["coordinates"][0] += random.random() / 100
    entity = expand_entity(body, CORE)

    def apply(before: dict[str, Any] | None, now: int) -> Outcome:
        return patch.create(None, entity, now) if before is None else patch.update(before, entity["id"], entity, now)

    return Write(entity["id"], apply)


def update(_number: int) -> Write:
    """Return a write of one attribute of any station."""
    entity_id = f"urn:ngsi-ld:WaterLevelObserved:{random.randrange(ENTITIES):06d}"
    level = {"type": "Property", "value": random.random(), "unitCode": "MTR", "observedAt": "2026-11-21T00:00:00Z"}
    fragment = expand_fragment({"waterLevel": level}, CORE)
    return Write(entity_id, lambda before, now: patch.update(before, entity_id, fragment, now))


def create(number: int) -> Write:
    """Return a write that creates a station."""
    body = {**station(number), "id": f"urn:ngsi-ld:New:{secrets.token_hex(4)}:{number}"}
    body["waterLevel"]["observedAt"] = format_ms(time.time_ns() // 10**9 * 1000)
    entity = expand_entity(body, CORE)
    return Write(entity["id"], lambda before, now: patch.create(before, entity, now))


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured: changes a second; a change costs µs of client and mongod CPU, and bytes of journal."""

    rate: float
    client: float
    mongod: float
    journal: float


@dataclass(frozen=True, slots=True)
class Server:
    """The MongoDB under test."""

    databases: Databases
    uri: str

    async def used(self) -> tuple[float, float, float]:
        """Return the CPU seconds of this process and of mongod, and the bytes of its journal so far."""
        status = await self.databases.client.admin.command("serverStatus")
        journal = status["wiredTiger"]["log"]["log bytes written"]
        return time.process_time(), cpu([int(status["pid"])]), float(journal)


async def measure(
    server: Server, make: Callable[[int], Write], *, size: int, in_flight: int, seconds: float
) -> Figures:
    """Commit writes for so many seconds, in groups of `size`, and say what they cost."""
    settings = Settings.from_environment({"MONGODB_URI": server.uri}, group_limit=size, groups_in_flight=in_flight)
    committer = Committer(server.databases, settings, writer=secrets.token_hex(4))
    numbers = itertools.count()
    done = 0
    end = time.perf_counter() + seconds

    async def worker() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await committer.submit_all("", [make(next(numbers)) for _ in range(size)])
            done += size

    gc.collect()
    gc.freeze()  # as the broker does
    before, began = await server.used(), time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    took = time.perf_counter() - began
    client, server_cpu, journal = (new - old for new, old in zip(await server.used(), before, strict=True))
    await committer.close()
    return Figures(done / took, client / done * 1e6, server_cpu / done * 1e6, journal / done)


async def rate(uri: str, *, seconds: float) -> float:
    """Return the updates a second of the committer alone, in groups of 64, two in flight, on a database of its own."""
    async with _filled(uri) as server:
        return (await measure(server, update, size=64, in_flight=2, seconds=seconds)).rate


@contextlib.asynccontextmanager
async def _filled(uri: str) -> Any:
    """Give a server with all stations in a database of its own, dropped afterwards."""
    settings = Settings.from_environment({"MONGODB_URI": uri}, database_prefix="bench" + secrets.token_hex(3))
    databases = Databases(settings)
    filler = Committer(databases, settings, writer="fill")
    for start in range(0, ENTITIES, 500):
        await filler.submit_all("", [upsert(number) for number in range(start, start + 500)])
    await filler.close()
    try:
        yield Server(databases, uri)
    finally:
        for name in await databases.client.list_database_names():
            if name.startswith(settings.database_prefix):
                await databases.client.drop_database(name)
        await databases.close()


ROWS: dict[str, Callable[..., Any]] = {
    "update, one at a time": partial(measure, make=update, size=1, in_flight=1),
    "update, groups of 16": partial(measure, make=update, size=16, in_flight=1),
    "update, groups of 64": partial(measure, make=update, size=64, in_flight=1),
    "update, groups of 64, two in flight": partial(measure, make=update, size=64, in_flight=2),
    "update, groups of 256": partial(measure, make=update, size=256, in_flight=1),
    "upsert of all, groups of 100": partial(measure, make=upsert, size=100, in_flight=1),
    "create, groups of 64": partial(measure, make=create, size=64, in_flight=1),
}


async def main(uri: str, seconds: float, rounds: int) -> None:
    """Measure every row in turn, several times, and print the medians."""
    found: dict[str, list[Figures]] = {label: [] for label in ROWS}
    async with _filled(uri) as server:
        for _ in range(rounds):
            for label, row in ROWS.items():
                found[label].append(await row(server, seconds=seconds))
    print(f"{'':36} changes/s   times one   client µs   mongod µs   journal bytes, each a change")
    alone = 0.0
    for label, figures in found.items():
        middle = Figures(*map(statistics.median, zip(*map(astuple, figures), strict=True)))
        alone = alone or middle.rate
        print(
            f"{label:36} {middle.rate:9.0f} {middle.rate / alone:11.1f} {middle.client:11.0f} {middle.mongod:11.0f} "
            f"{middle.journal:15.0f}",
            flush=True,
        )


@contextlib.contextmanager
def mongodb(uri: str | None) -> Iterator[str]:
    """Give the URI of a MongoDB: the one named, else of an embedded one that lives as long as the block."""
    if uri:
        yield uri
        return
    with tempfile.TemporaryDirectory(prefix="tsunagu-bench-") as folder:
        data = Path(folder)
        server = mongod.Mongod(mongod.find_binary(), data, free_port(), data / "mongod.log")
        child = Child(server.program)
        child.start()
        asyncio.run(server.ready(child))
        try:
            yield server.uri
        finally:
            asyncio.run(child.stop())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uri", default=os.environ.get("MONGODB_URI"), help="MongoDB; none: an embedded one")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with mongodb(options.uri) as address:
        uvloop.run(main(address, options.seconds, options.rounds))
