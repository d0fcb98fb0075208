"""A tenant's own MQTT broker and webhooks, on a running broker with two workers."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.adapters.test_mqtt_door import Publisher
from tests.drills.harness import running

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.drill

NORTH = {"NGSILD-Tenant": "north"}
FIWARE = {"Fiware-Service": "north", "Fiware-ServicePath": "/"}
BASE = "/tsunagu/v1/devices"


async def test_what_a_tenants_broker_sends_reaches_its_entities(tmp_path: Path) -> None:
    """Both workers connect, each message is stored once, a changed route is followed, a webhook needs its secret."""
    ports = {"TSUNAGU_NORTH_PORT": "0", "TSUNAGU_SOUTH_PORT": "0"}
    async with (
        running(tmp_path / "data", "--workers", "2", environment={**os.environ, **ports}) as up,
        httpx.AsyncClient(base_url=up.url, timeout=20, headers=NORTH) as client,
    ):

        async def post(path: str, body: object, **headers: str) -> None:
            answer = await client.post(path, json=body, headers=headers)
            assert answer.status_code in (200, 201), answer.text

        async def values() -> dict[str, object]:
            answer = await client.get("/ngsi-ld/v1/entities?type=Gauge&format=simplified&limit=100")
            return {one["id"]: one["n"] for one in answer.json()} if answer.status_code == 200 else {}

        group = {"apikey": "k", "resource": "/iot/json", "entity_type": "Gauge"}
        await post("/iot/groups", {"groups": [group]}, **FIWARE)
        await post(f"{BASE}/connections", {"id": "plant", "url": up.mqtt})
        route = {"topic": "v3/{app}@{org}/devices/{dev}/up", "format": "iotagent_json", "device": "{dev}"}
        await post(f"{BASE}/routes", {"id": "up", "connection": "plant", "apikey": "k", **route})
        hook = {"id": "hook", "path": "/iot/hooks/vendor", "format": "iotagent_json", "apikey": "k"}
        hook |= {"device": {"header": "X-Device"}, "require": {"header": "X-Key", "value": "long-enough"}}
        await post(f"{BASE}/routes", hook)
        for _ in range(200):
            shown = (await client.get(f"{BASE}/connections/plant")).json()
            if [worker["connected"] for worker in shown["workers"]] == [True, True]:
                break
            await asyncio.sleep(0.05)
        assert [worker["connected"] for worker in shown["workers"]] == [True, True], shown
        device = await asyncio.to_thread(Publisher, up.mqtt)
        try:
            await asyncio.gather(*(device.publish(f"v3/a@b/devices/d{n}/up", {"n": n}) for n in range(20)))
            for _ in range(100):
                if len(await values()) == 20:
                    break
                await asyncio.sleep(0.05)
            assert await values() == {f"urn:ngsi-ld:Gauge:d{n}": n for n in range(20)}
            changed = {"connection": "plant", "apikey": "k", **route, "topic": "other/{dev}"}
            assert (await client.put(f"{BASE}/routes/up", json=changed)).status_code == 200
            await asyncio.sleep(2)
            await device.publish("other/e1", {"n": 100})
            await post("/iot/hooks/vendor", {"n": 101}, **{"X-Device": "e2", "X-Key": "long-enough"})
            refused = await client.post("/iot/hooks/vendor", json={"n": 1}, headers={"X-Device": "e3"})
            assert refused.status_code == 401
            for _ in range(100):
                if "urn:ngsi-ld:Gauge:e1" in await values():
                    break
                await asyncio.sleep(0.05)
            found = await values()
            assert (found["urn:ngsi-ld:Gauge:e1"], found["urn:ngsi-ld:Gauge:e2"]) == (100, 101)
        finally:
            await asyncio.to_thread(device.close)
