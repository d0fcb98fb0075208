"""The op `mqtt` of `make bench`: measures a second from a device's publication to the committed log record.

200 devices publish IoT-Agent JSON of three values over MQTT at QoS 1, at a steady rate, from a process of their own,
through a real mosquitto. Stored is what the change log holds; at the end every message is looked for by its number.
`python -m tests.bench.devices [--rate 8000] [--seconds 60] [--timed]` runs it alone, on a fresh broker.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
from pymongo import AsyncMongoClient

from tests.bench.processes import cpu, memory
from tests.drills.harness import Running, running
from tsunagu.schemas.entity import DEFAULT_VOCAB, instances, stored_name

if TYPE_CHECKING:
    from pymongo.asynchronous.collection import AsyncCollection

APIKEY = "bench"
NUMBER = stored_name(DEFAULT_VOCAB + "n")
PATIENCE = 60.0


@dataclass
class Fleet:
    """How the devices publish: how many there are, messages a second, seconds, whether they say the time."""

    devices: int = 200
    rate: float = 8000
    seconds: float = 60
    timed: bool = False


@dataclass
class Processes:
    """The pids of the processes that share the work."""

    broker: list[int]
    mongod: list[int]
    mosquitto: list[int]

    def cpu(self) -> dict[str, float]:
        """Return the CPU seconds that each kind has used."""
        return {name: cpu(pids) for name, pids in vars(self).items()}

    def memory(self) -> dict[str, int]:
        """Return the resident MB of each kind."""
        return {name: memory(pids) for name, pids in vars(self).items()}


@dataclass
class Samples:
    """What was seen once a second: (seconds since the start, records in the log, MB by process)."""

    rows: list[tuple[float, int, dict[str, int]]] = field(default_factory=list)

    def line(self, count: int = 7) -> str:
        """Return some samples, evenly spread, as text."""
        step = max(1, (len(self.rows) - 1) // (count - 1)) if len(self.rows) > 1 else 1
        return ", ".join(f"{at:.0f} s: {stored} stored, {mb['broker']} MB" for at, stored, mb in self.rows[::step])


async def provision(client: httpx.AsyncClient, url: str, devices: int) -> None:
    """Provision the devices; each has three attributes."""
    headers = {"Fiware-Service": "", "Fiware-ServicePath": "/"}
    attributes = [
        {"object_id": "t", "name": "temperature", "type": "Number"},
        {"object_id": "h", "name": "humidity", "type": "Number"},
        {"object_id": "n", "name": "n", "type": "Number"},
    ]
    group = {"apikey": APIKEY, "resource": "/iot/json", "entity_type": "Station", "attributes": attributes}
    answer = await client.post(f"{url}/iot/groups", json={"groups": [group]}, headers=headers)
    answer.raise_for_status()
    fleet = [{"device_id": f"d{number:03d}", "apikey": APIKEY} for number in range(devices)]
    (await client.post(f"{url}/iot/devices", json={"devices": fleet}, headers=headers)).raise_for_status()


async def measure(up: Running, mongodb_uri: str, fleet: Fleet) -> dict[str, Any]:
    """Publish and wait until all is stored; return the figures."""
    target = urlsplit(up.mqtt)
    processes = Processes(up.pids("tsunagu.cli serve"), up.pids("mongod"), up.pids("mosquitto"))
    async with httpx.AsyncClient(timeout=60) as client:
        await provision(client, up.url, fleet.devices)
    store: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongodb_uri)
    log = store["tsunagu"]["changes"]
    already = await log.estimated_document_count()
    words = (str(target.hostname), str(target.port), APIKEY, str(fleet.devices), str(fleet.rate), str(fleet.seconds))
    used, began = processes.cpu(), time.monotonic()
    publisher = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.publisher", *words, *(["timed"] if fleet.timed else [])),
        stdout=asyncio.subprocess.PIPE,
    )
    samples = Samples()
    publishing = asyncio.create_task(publisher.communicate())
    total, at_end = round(fleet.rate * fleet.seconds), 0
    while True:
        stored = await log.estimated_document_count() - already
        samples.rows.append((time.monotonic() - began, stored, processes.memory()))
        if not publishing.done():
            at_end = stored
        if stored >= total or time.monotonic() - began > fleet.seconds + PATIENCE:
            break
        await asyncio.sleep(0.25 if publishing.done() else 1.0)
    took = time.monotonic() - began
    spent = {name: after - used[name] for name, after in processes.cpu().items()}
    output, _ = await publishing
    published: dict[str, Any] = json.loads(output)
    figures = await count(log, total)
    await store.close()
    return {
        **figures,
        "rate": figures["stored"] / took,
        "published": published["acknowledged"],
        "behind": total - at_end,
        "microseconds": {
            name: seconds / max(1, figures["stored"]) * 1e6
            for name, seconds in {**spent, "publisher": published["cpu"]}.items()
        },
        "memory": samples.rows[-1][2],
        "samples": samples.line(),
    }


async def count(log: AsyncCollection[dict[str, Any]], total: int) -> dict[str, int]:
    """Count the messages in the log by their numbers: stored, missing, duplicates."""
    times_seen = bytearray(total)
    async for record in log.find({f"a.attrs.{NUMBER}": {"$exists": True}}, {f"a.attrs.{NUMBER}.value": 1, "_id": 0}):
        for one in instances(record["a"]["attrs"][NUMBER]):
            times_seen[one["value"]] += 1
    missing = times_seen.count(0)
    return {"stored": total - missing, "missing": missing, "duplicates": sum(times_seen) - (total - missing)}


def line(fleet: Fleet, found: dict[str, Any]) -> str:
    """Return the report."""
    parts = ", ".join(f"{name} {value:.0f}" for name, value in found["microseconds"].items())
    return (
        f"mqtt      {found['rate']:8.0f} measures/s stored of {fleet.rate:.0f} published for {fleet.seconds:.0f} s "
        f"({'with' if fleet.timed else 'without'} TimeInstant): {found['stored']} stored, {found['missing']} missing, "
        f"{found['duplicates']} duplicates, {found['published']} acknowledged to the publisher, "
        f"{found['behind']} waiting when it ended\n"
        f"          CPU in µs a message: {parts}; all {sum(found['microseconds'].values()):.0f}\n"
        f"          memory in MB: {found['memory']}; {found['samples']}"
    )


async def main(options: argparse.Namespace) -> None:
    """Run the op alone, on a fresh broker."""
    fleet = Fleet(rate=options.rate, seconds=options.seconds, timed=options.timed)
    with tempfile.TemporaryDirectory(prefix="tsunagu-bench-") as folder:
        data = Path(folder) / "data"
        async with running(data) as up:
            port = json.loads((data / "ports.json").read_text())["mongod"]
            uri = f"mongodb://127.0.0.1:{port}/?directConnection=true"
            print(line(fleet, await measure(up, uri, fleet)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=8000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--timed", action="store_true", help="the devices say the time (TimeInstant)")
    asyncio.run(main(parser.parse_args()))
