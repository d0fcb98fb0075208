"""Real processes are killed under load: what was acknowledged is there, and was notified."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.drills.city import Publisher
from tests.drills.harness import LONG, Running, eventually, running, sink, subscribe
from tests.drills.load import history
from tsunagu.up import mongod
from tsunagu.up.child import Child
from tsunagu.up.ports import free_port

pytestmark = pytest.mark.drill

ENTITIES = 20


def gauge(number: int, value: int) -> dict[str, Any]:
    return {"id": f"urn:ngsi-ld:Gauge:{number:03d}", "type": "Gauge", "level": {"type": "Property", "value": value}}


async def write_for(client: httpx.AsyncClient, url: str, *, seconds: float, rate: int, acknowledged: list[int]) -> None:
    """Write `rate` numbered changes a second for a while; note the numbers that were acknowledged."""
    began = time.monotonic()
    under_way: set[asyncio.Task[None]] = set()

    async def one(number: int) -> None:
        body = {"level": {"type": "Property", "value": number}}
        try:
            answer = await client.patch(
                f"{url}/ngsi-ld/v1/entities/urn:ngsi-ld:Gauge:{number % ENTITIES:03d}/attrs", json=body
            )
        except httpx.HTTPError:
            return
        if answer.status_code == 204:
            acknowledged.append(number)
        else:
            assert answer.status_code == 503, answer.text

    number = 0
    while time.monotonic() - began < seconds:
        task = asyncio.create_task(one(number))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        number += 1
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
    await asyncio.gather(*under_way)


async def test_kill_9_of_the_broker_loses_no_acknowledged_write_and_no_notification(tmp_path: Path) -> None:
    """After kill -9 of the broker during 200 writes/s every acknowledged write is stored and was notified."""
    kills = 5 if LONG else 1
    async with running(tmp_path) as up, sink() as target, httpx.AsyncClient(timeout=20) as client:
        await client.post(f"{up.url}/ngsi-ld/v1/entityOperations/upsert", json=[gauge(n, -1) for n in range(ENTITIES)])
        await subscribe(client, up.url, endpoint=target.url)
        acknowledged: list[int] = []
        for _ in range(kills):
            done: list[int] = []
            load = asyncio.create_task(write_for(client, up.url, seconds=4, rate=200, acknowledged=done))
            await asyncio.sleep(2)
            up.kill("tsunagu.cli serve")
            await load
            await eventually(lambda: up.pids("tsunagu.cli serve"), seconds=20, what="the broker did not come back")
            await ready(client, up)
            acknowledged += done
            expected = set(done)
            await eventually(
                lambda expected=expected: expected <= set(target.values("level")),
                seconds=30,
                what=lambda expected=expected: f"never notified: {sorted(expected - set(target.values('level')))[:20]}",
            )
        assert len(acknowledged) > 200 * kills
        # Requests that were under way at the same time, of different connections, may have been taken in any order.
        logged = await history(up.mongodb_uri)
        assert set(acknowledged) <= {level for levels in logged.values() for level in levels}
        for number in range(ENTITIES):
            entity = f"urn:ngsi-ld:Gauge:{number:03d}"
            answer = await client.get(f"{up.url}/ngsi-ld/v1/entities/{entity}?options=keyValues")
            assert answer.json()["level"] == logged[entity][-1]
        received = target.values("level")
        print(f"kill -9 of the broker x{kills}: {len(acknowledged)} acknowledged, {len(received)} notified, missing 0")


async def ready(client: httpx.AsyncClient, up: Running) -> None:
    """Wait until the broker answers again."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            if (await client.get(f"{up.url}/health/ready")).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        await asyncio.sleep(0.1)
    raise AssertionError("the broker is not ready")


async def provision(client: httpx.AsyncClient, url: str) -> None:
    """Provision the devices that the drill plays."""
    headers = {"Fiware-Service": "", "Fiware-ServicePath": "/"}
    group = {"apikey": "drill", "resource": "/iot/json", "entity_type": "Gauge", "autoprovision": False}
    answer = await client.post(f"{url}/iot/groups", json={"groups": [group]}, headers=headers)
    assert answer.status_code == 201, answer.text
    devices = [
        {
            "device_id": f"d{n}",
            "apikey": "drill",
            "entity_name": f"urn:ngsi-ld:Gauge:d{n}",
            "entity_type": "Gauge",
            "attributes": [{"object_id": "n", "name": "level", "type": "Number"}],
        }
        for n in range(ENTITIES)
    ]
    answer = await client.post(f"{url}/iot/devices", json={"devices": devices}, headers=headers)
    assert answer.status_code == 201, answer.text


async def test_kill_9_of_mongod_during_ingest_loses_no_message(tmp_path: Path) -> None:
    """After kill -9 of mongod during MQTT ingest every message is stored; meanwhile the broker answers 503."""
    pause = 10.0 if LONG else 4.0
    (tmp_path / "mongo").mkdir()
    server = mongod.Mongod(mongod.find_binary(), tmp_path / "mongo", free_port(), tmp_path / "mongod.log")
    child = Child(server.program)
    child.start()
    try:
        await server.ready(child)
        async with (
            running(tmp_path / "up", environment={"MONGODB_URI": server.uri}) as up,
            httpx.AsyncClient(timeout=20) as client,
        ):
            await provision(client, up.url)
            publisher = Publisher(up.mqtt)
            total = 0

            async def publish_for(seconds: float) -> None:
                nonlocal total
                end = time.monotonic() + seconds
                while time.monotonic() < end:
                    for _ in range(10):
                        publisher.publish(f"/json/drill/d{total % ENTITIES}/attrs", f'{{"n": {total}}}')
                        total += 1
                    await asyncio.sleep(0.05)

            await publish_for(1.5)
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            await child.wait()
            load = asyncio.create_task(publish_for(pause + 2))
            await asyncio.sleep(pause / 2)
            began = time.monotonic()
            answer = await client.post(f"{up.url}/ngsi-ld/v1/entities", json=gauge(999, 1))
            waited = time.monotonic() - began
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) > 0
            assert answer.json()["title"]
            await asyncio.sleep(max(0.0, pause / 2 - waited))
            child.start()
            await server.ready(child)
            await load
            publisher.finish()
            expected = set(range(total))
            found: set[Any] = set()
            end = time.monotonic() + 40
            while not expected <= found and time.monotonic() < end:
                await asyncio.sleep(0.5)
                found = {level for levels in (await history(server.uri)).values() for level in levels}
            assert expected <= found, f"missing: {sorted(expected - found)[:20]} of {total}"
            await ready(client, up)
            print(f"kill -9 of mongod: {total} published, {len(expected & found)} stored, 503 after {waited:.1f} s")
    finally:
        await child.stop()


async def test_a_hanging_subscriber_delays_nobody_else(tmp_path: Path) -> None:
    """While one endpoint hangs, another endpoint's notifications take as long as before."""
    async with running(tmp_path) as up, sink() as good, sink() as hanging, httpx.AsyncClient(timeout=20) as client:
        await client.post(f"{up.url}/ngsi-ld/v1/entityOperations/upsert", json=[gauge(n, -1) for n in range(ENTITIES)])
        await subscribe(client, up.url, endpoint=good.url)

        async def latencies(numbers: range) -> list[float]:
            took = []
            for number in numbers:
                path = f"{up.url}/ngsi-ld/v1/entities/urn:ngsi-ld:Gauge:{number % ENTITIES:03d}/attrs"
                body = {"level": {"type": "Property", "value": number}}
                sent = time.monotonic()
                assert (await client.patch(path, json=body)).status_code == 204
                await eventually(lambda number=number: number in good.values("level"), seconds=10, what="not notified")
                arrived = next(
                    at for at, one in good.received if one["data"][0].get("level", {}).get("value") == number
                )
                took.append(arrived - sent)
            return sorted(took)

        alone = await latencies(range(100))
        hanging.delay = 30.0
        await subscribe(client, up.url, endpoint=hanging.url)
        beside = await latencies(range(100, 200))
        print(
            f"notified after: alone p50 {alone[50] * 1000:.1f} ms p90 {alone[90] * 1000:.1f} ms, "
            f"beside a hanging endpoint p50 {beside[50] * 1000:.1f} ms p90 {beside[90] * 1000:.1f} ms"
        )
        assert beside[50] < max(2 * alone[50], 0.05)
