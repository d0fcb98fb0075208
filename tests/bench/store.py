"""Measures the committer alone: durable changes a second (w: majority, j: true, log record included).

Run by `make bench`. Groups of one are what a broker without group commit pays; groups of 64 what this one pays under
load. Prints both, the ratio, and the client's CPU per change. A benchmark is never a timed test.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvloop

from tsunagu.broker.changes import Touch
from tsunagu.broker.settings import Settings
from tsunagu.broker.storage.mongo.client import Databases
from tsunagu.broker.storage.mongo.committer import Committer
from tsunagu.broker.storage.writes import Outcome, Write
from tsunagu.up import mongod
from tsunagu.up.child import Child
from tsunagu.up.ports import free_port

NAMES = [f"https://uri．etsi．org/ngsi-ld/default-context/attribute{n}" for n in range(8)]
ENTITIES = 10_000


def fresh(entity_id: str, now: int) -> dict[str, Any]:
    """Return an entity of eight attributes, about 800 bytes."""
    return {
        "_id": entity_id,
        "type": ["https://uri.etsi.org/ngsi-ld/default-context/WaterLevelObserved"],
        "attrs": {name: {"type": "Property", "value": 1.5, "unitCode": "MTR"} for name in NAMES},
        "sys": {name: {"c": now, "m": now} for name in NAMES},
        "created": now,
        "modified": now,
        "v": 0,
    }


def write(number: int) -> Write:
    """Return a write that sets one attribute of an entity, and creates it if need be."""
    entity_id = f"urn:ngsi-ld:WaterLevelObserved:{number % ENTITIES:06d}"

    def apply(before: dict[str, Any] | None, now: int) -> Outcome:
        if before is None:
            return Outcome(fresh(entity_id, now), tuple(Touch(name, "created") for name in NAMES))
        attrs = {**before["attrs"], NAMES[0]: {"type": "Property", "value": number, "unitCode": "MTR"}}
        times = {**before["sys"], NAMES[0]: {"c": now, "m": now}}
        return Outcome({**before, "attrs": attrs, "sys": times, "modified": now}, (Touch(NAMES[0], "updated"),))

    return Write(entity_id, apply)


async def measure(databases: Databases, uri: str, *, size: int, in_flight: int, seconds: float) -> tuple[float, float]:
    """Return (changes a second, client CPU µs a change) with groups of `size`."""
    settings = Settings.from_environment({"MONGODB_URI": uri}, group_limit=size, groups_in_flight=in_flight)
    committer = Committer(databases, settings, writer=secrets.token_hex(4))
    next_number = iter(range(10**9))
    done = 0
    end = time.perf_counter() + seconds

    async def worker() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await committer.submit_all("", [write(next(next_number)) for _ in range(size)])
            done += size

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    took, used = time.perf_counter() - began, time.process_time() - cpu
    await committer.close()
    return done / took, used / done * 1e6


async def rate(uri: str, *, seconds: float) -> float:
    """Return the changes a second of the committer alone, in groups of 64, two in flight, on a database of its own."""
    settings = Settings.from_environment({"MONGODB_URI": uri}, database_prefix="bench" + secrets.token_hex(3))
    databases = Databases(settings)
    await _fill(databases, settings)
    found, _ = await measure(databases, uri, size=64, in_flight=2, seconds=seconds)
    await _drop(databases, settings)
    return found


async def _fill(databases: Databases, settings: Settings) -> None:
    filler = Committer(databases, settings, writer="fill")
    for start in range(0, ENTITIES, 500):
        await filler.submit_all("", [write(number) for number in range(start, start + 500)])
    await filler.close()


async def _drop(databases: Databases, settings: Settings) -> None:
    for name in await databases.client.list_database_names():
        if name.startswith(settings.database_prefix):
            await databases.client.drop_database(name)
    await databases.close()


async def main(uri: str, seconds: float, rounds: int) -> None:
    """Measure groups of 1 and of 64 in turn, several times, and print the medians and their ratio."""
    settings = Settings.from_environment({"MONGODB_URI": uri}, database_prefix="bench" + secrets.token_hex(3))
    databases = Databases(settings)
    await _fill(databases, settings)
    figures: dict[str, list[float]] = {}
    for _ in range(rounds):
        for label, size, in_flight in (
            ("one at a time", 1, 1),
            ("groups of 64", 64, 1),
            ("groups of 64, two in flight", 64, 2),
        ):
            rate, cpu = await measure(databases, uri, size=size, in_flight=in_flight, seconds=seconds)
            figures.setdefault(label, []).append(rate)
            print(f"{label:30} {rate:8.0f} changes/s   {cpu:6.0f} µs of client CPU a change", flush=True)
    middle = {label: sorted(rates)[len(rates) // 2] for label, rates in figures.items()}
    for label in list(middle)[1:]:
        print(f"{label}: {middle[label] / middle['one at a time']:.1f} times one at a time")
    await _drop(databases, settings)


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
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with mongodb(options.uri) as address:
        uvloop.run(main(address, options.seconds, options.rounds))
