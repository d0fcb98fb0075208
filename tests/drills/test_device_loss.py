"""Devices keep sending while processes are killed: every message is in the log once, over MQTT and over HTTP.

Short: 500 messages/s for 12 s; long (`make drills`): for 60 s. The worker takes devices in and is the broker too.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import httpx
import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from tests.bench import devices
from tests.drills.harness import LONG, Running, running
from tsunagu.up.mqtt import find_mosquitto

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pymongo.asynchronous.collection import AsyncCollection

pytestmark = pytest.mark.drill

RATE = 500
SECONDS = 60.0 if LONG else 12.0
FLEET = 200
PATIENCE = 90.0
TIMEOUT = aiohttp.ClientTimeout(total=10)


@asynccontextmanager
async def city(folder: Path) -> AsyncIterator[tuple[Running, AsyncCollection[dict[str, Any]]]]:
    """Give a running broker with 200 provisioned devices, and its change log."""
    async with running(folder / "data") as up:
        port = json.loads((folder / "data" / "ports.json").read_text())["mongod"]
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
            f"mongodb://127.0.0.1:{port}/?directConnection=true"
        )
        async with httpx.AsyncClient(timeout=60) as http:
            await devices.provision(http, up.url, FLEET)
        yield up, client["tsunagu"]["changes"]
        await client.close()


async def kill_in_turn(up: Running) -> list[str]:
    """Kill the worker, mongod and the worker again, evenly over the load; return whom."""
    killed = []
    for words in ("tsunagu.cli serve", "mongod", "tsunagu.cli serve"):
        await asyncio.sleep(SECONDS / 4)
        while not up.pids(words):
            await asyncio.sleep(0.05)
        up.kill(words)
        killed.append(words)
    return killed


async def counted(log: AsyncCollection[dict[str, Any]], total: int) -> dict[str, int]:
    """Count the messages in the log once nothing is missing, or after a while."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            found = await devices.count(log, total)
        except PyMongoError:
            found = {"missing": total}
        if not found["missing"] or time.monotonic() > end:
            return found
        await asyncio.sleep(1)


@pytest.mark.skipif(find_mosquitto() is None, reason="amqtt loses acknowledged messages")
async def test_kills_in_turn_at_500_messages_a_second_lose_and_double_nothing_over_mqtt(tmp_path: Path) -> None:
    """With kill -9 of worker, mongod and worker during 500 messages/s at QoS 1, stored is what was published, once."""
    async with city(tmp_path) as (up, log):
        target = urlsplit(up.mqtt)
        words = (str(target.hostname), str(target.port), devices.APIKEY, str(FLEET), str(RATE), str(SECONDS))
        publisher = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.publisher", *words), stdout=asyncio.subprocess.PIPE
        )
        killed = await kill_in_turn(up)
        output, _ = await publisher.communicate()
        total = round(RATE * SECONDS)
        assert json.loads(output)["acknowledged"] == total
        found = await counted(log, total)
        print(f"MQTT, kill -9 of {', '.join(killed)}: {total} published at {RATE}/s, {found}")
        assert found == {"stored": total, "missing": 0, "duplicates": 0}


async def test_kills_in_turn_lose_and_double_nothing_over_http(tmp_path: Path) -> None:
    """Devices that repeat a POST until it is answered 200 have every dated measure stored once, whoever is killed."""
    rate = RATE if LONG else 200
    total = round(rate * SECONDS)
    repeats = 0
    async with city(tmp_path) as (up, log), aiohttp.ClientSession(up.url, timeout=TIMEOUT) as client:

        async def send(number: int) -> None:
            nonlocal repeats
            body = {"t": 20.5, "h": 40, "n": number, "TimeInstant": datetime.now(UTC).isoformat()}
            while True:
                try:
                    async with client.post(
                        f"/iot/json?k={devices.APIKEY}&i=d{number % FLEET:03d}", json=body
                    ) as answer:
                        if answer.status == 200:
                            return
                        assert answer.status == 503, await answer.text()
                except (aiohttp.ClientError, TimeoutError):
                    pass
                repeats += 1
                await asyncio.sleep(0.5)

        began = time.monotonic()
        killer = asyncio.create_task(kill_in_turn(up))
        sending: set[asyncio.Task[None]] = set()
        for number in range(total):
            task = asyncio.create_task(send(number))
            sending.add(task)
            task.add_done_callback(sending.discard)
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        killed = await killer
        await asyncio.gather(*sending)
        found = await counted(log, total)
        print(f"HTTP, kill -9 of {', '.join(killed)}: {total} sent at {rate}/s, {repeats} repeated, {found}")
        assert found == {"stored": total, "missing": 0, "duplicates": 0}
