"""A running broker as the people around it see it: devices over MQTT and HTTP, an integrator, the store's own log."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import paho.mqtt.client as paho
from pymongo import AsyncMongoClient

from tests.bench.processes import memory
from tests.drills.harness import children_of
from tests.drills.running import Up
from tsunagu.broker.storage.mongo.client import database_name
from tsunagu.schemas.entity import iri_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path


class Publisher:
    """An MQTT publisher at QoS 1 that keeps what it has published until the MQTT broker acknowledged it."""

    def __init__(self, url: str) -> None:
        host, port = url.removeprefix("mqtt://").split(":")
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="drill-" + secrets.token_hex(4))
        self.client.max_queued_messages_set(0)
        self.client.max_inflight_messages_set(500)
        self.client.connect(host, int(port))
        self.client.loop_start()
        self.infos: list[paho.MQTTMessageInfo] = []

    def publish(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        """Publish a message."""
        self.infos.append(self.client.publish(topic, payload, qos=1, retain=retain))

    def settle(self) -> None:
        """Wait until everything is with the MQTT broker."""
        for info in self.infos:
            info.wait_for_publish(20)
        self.infos.clear()

    def finish(self) -> None:
        """Wait until everything is with the MQTT broker, and leave."""
        self.settle()
        self.client.loop_stop()
        self.client.disconnect()


@dataclass
class City:
    """One tenant of a running broker."""

    up: Up
    tenant: str
    url: str
    http: httpx.AsyncClient
    devices: Publisher
    store: AsyncMongoClient[dict[str, Any]]

    async def provision(self, group: dict[str, Any], devices: list[dict[str, Any]]) -> None:
        """Provision a group and its devices."""
        headers = {"Fiware-Service": self.tenant, "Fiware-ServicePath": "/"}
        answer = await self.http.post("/iot/groups", json={"groups": [group]}, headers=headers)
        assert answer.status_code == 201, answer.text
        whole = [{"apikey": group["apikey"], **device} for device in devices]
        for start in range(0, len(whole), 200):
            answer = await self.http.post("/iot/devices", json={"devices": whole[start : start + 200]}, headers=headers)
            assert answer.status_code == 201, answer.text

    async def entity(self, entity_id: str) -> dict[str, Any] | None:
        """Return an entity, normalized; None if there is none."""
        answer = await self.http.get(f"/ngsi-ld/v1/entities/{entity_id}", headers={"NGSILD-Tenant": self.tenant})
        assert answer.status_code in (200, 404), answer.text
        return answer.json() if answer.status_code == 200 else None

    async def count(self, kind: str) -> int:
        """Return how many entities of a type there are."""
        params = {"type": kind, "count": "true", "limit": "0"}
        answer = await self.http.get("/ngsi-ld/v1/entities", params=params, headers={"NGSILD-Tenant": self.tenant})
        assert answer.status_code == 200, answer.text
        return int(answer.headers["ngsild-results-count"])

    async def records(self, where: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return the records of the tenant's change log in the order of their commits."""
        log = self.store[database_name("tsunagu", self.tenant)]["changes"]
        return await log.find(where or {}).sort([("at", 1), ("v", 1), ("_id.n", 1)]).to_list(None)

    async def until(self, look: Any, right: Any, *, seconds: float = 60.0) -> Any:
        """Call `look` until what it gives is right; return that."""
        end = time.monotonic() + seconds
        while True:
            found = await look()
            if right(found):
                return found
            assert time.monotonic() < end, f"not seen within {seconds} s; the last look found {str(found)[:500]}"
            await asyncio.sleep(0.2)

    def memory(self) -> int:
        """Return the resident MB of the broker's worker."""
        return memory([pid for pid, line in children_of(self.up.process.pid).items() if "tsunagu.cli serve" in line])


def values_of(records: Iterable[dict[str, Any]], attribute: str) -> list[Any]:
    """Return the values that an attribute got, record by record; late ones too."""
    found = []
    for record in records:
        for name, instance in record.get("a", {}).get("attrs", {}).items():
            if iri_of(name).rpartition("/")[2] == attribute:
                found += [one["value"] for one in (instance if isinstance(instance, list) else [instance])]
    return found


@asynccontextmanager
async def city_of(up: Up, folder: Path) -> AsyncIterator[City]:
    """Give a fresh tenant of a running broker."""
    addresses = up.ready()
    port = json.loads((folder / "ports.json").read_text())["mongod"]
    store: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(f"mongodb://127.0.0.1:{port}/?directConnection=true")
    publisher = Publisher(addresses["mqtt"])
    async with httpx.AsyncClient(base_url=addresses["tsunagu"], timeout=120) as http:
        yield City(up, "t" + secrets.token_hex(4), addresses["tsunagu"], http, publisher, store)
    publisher.finish()
    await store.close()
