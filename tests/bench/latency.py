"""Measures what a lone PATCH takes beside a bare transaction of the same commands on the same MongoDB, turn by turn.

`python -m tests.bench.latency` prints the medians in ms and their ratio, which the machine's load hardly changes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop
from pymongo import AsyncMongoClient, WriteConcern
from pymongo.read_concern import ReadConcern

from tests.bench.run import fill
from tests.drills.harness import running
from tsunagu.schemas.entity import DEFAULT_VOCAB, stored_name

ENTITIES = 1000
LEVEL = stored_name(DEFAULT_VOCAB + "waterLevel")


class Client:
    """One HTTP connection that is kept open; nothing but what a request needs."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def patch(self, entity_id: str, value: float) -> int:
        """Update one attribute of an entity; returns the status."""
        body = json.dumps({"waterLevel": {"type": "Property", "value": value, "unitCode": "MTR"}})
        self._writer.write(
            f"PATCH /ngsi-ld/v1/entities/{entity_id}/attrs HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        head = await self._reader.readuntil(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1])


async def transaction(database: Any, entity_id: str, value: float, number: int) -> None:
    """Read an entity, update one attribute, append a record to a log: durable, by PyMongo's own means."""
    async with (
        database.client.start_session() as session,
        await session.start_transaction(
            read_concern=ReadConcern("snapshot"), write_concern=WriteConcern(w="majority", j=True)
        ),
    ):
        before = await database.entities.find_one({"_id": entity_id}, session=session)
        instance = {"type": "Property", "value": value, "unitCode": "MTR"}
        await database.entities.update_one(
            {"_id": entity_id}, {"$set": {f"attrs.{LEVEL}": instance}, "$inc": {"v": 1}}, session=session
        )
        record = {"_id": {"w": "bare", "n": number}, "e": entity_id, "v": before["v"] + 1, "b": before["attrs"][LEVEL]}
        await database.bench.insert_one({**record, "a": instance}, session=session)


async def main(rounds: int) -> None:
    """Take turns between a lone PATCH and a bare transaction, and print what each takes."""
    patches: list[float] = []
    bare: list[float] = []
    with tempfile.TemporaryDirectory(prefix="tsunagu-bench-") as folder:
        data = Path(folder) / "data"
        async with running(data, "--workers", "1") as up:
            await fill(up.url, ENTITIES)
            port = json.loads((data / "ports.json").read_text())["mongod"]
            mongo: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
                f"mongodb://127.0.0.1:{port}/?directConnection=true"
            )
            address = urlsplit(up.url)
            client = Client(*await asyncio.open_connection(address.hostname, address.port))
            await mongo.tsunagu.create_collection("bench")
            for number in range(rounds):
                entity_id = f"urn:ngsi-ld:WaterLevelObserved:{random.randint(1, ENTITIES):06d}"
                began = time.perf_counter()
                status = await client.patch(entity_id, random.random())
                patches.append(time.perf_counter() - began)
                assert status == 204, status
                began = time.perf_counter()
                await transaction(mongo.tsunagu, entity_id, random.random(), number)
                bare.append(time.perf_counter() - began)
            await mongo.close()
    patch, alone = (1000 * statistics.median(found[rounds // 10 :]) for found in (patches, bare))
    print(f"a lone PATCH {patch:.2f} ms, a bare transaction {alone:.2f} ms: {patch / alone:.2f} times")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    uvloop.run(main(parser.parse_args().rounds))
