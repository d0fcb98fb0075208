"""What goes from the entity to the device besides commands: lazy attributes, and values that it has subscribed to."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as paho
import pytest

from tests.drills.city import city_of
from tests.drills.harness import children_of
from tests.drills.running import Up
from tsunagu.broker.storage.mongo.client import database_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.drills.city import City

pytestmark = pytest.mark.drill


class Device:
    """A device that listens to its topics; `answer` makes what it sends back, None for nothing."""

    def __init__(self, url: str, topics: list[str], answer: Callable[[str, bytes], tuple[str, Any] | None]) -> None:
        host, port = url.removeprefix("mqtt://").split(":")
        self.heard: list[tuple[str, Any]] = []
        self._answer = answer
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self.client.on_message = self._take
        self.client.connect(host, int(port))
        for topic in topics:
            self.client.subscribe(topic, 1)
        self.client.loop_start()

    def _take(self, client: paho.Client, _: Any, message: paho.MQTTMessage) -> None:
        self.heard.append((message.topic, json.loads(message.payload)))
        back = self._answer(message.topic, message.payload)
        if back is not None:
            client.publish(back[0], json.dumps(back[1]), qos=1)


@asynccontextmanager
async def device(
    city: City, topics: list[str], answer: Callable[[str, bytes], tuple[str, Any] | None] = lambda *_: None
) -> AsyncIterator[Device]:
    """Give a connected device."""
    one = await asyncio.to_thread(Device, city.up.ready()["mqtt"], topics, answer)
    await asyncio.sleep(0.3)
    yield one
    one.client.loop_stop()
    one.client.disconnect()


async def test_a_lazy_attribute_is_asked_for_when_its_entity_is_read(city: City) -> None:
    """All readers at one time make one question; a silent device costs two seconds once, and its last value stands."""
    key = city.tenant
    lazy = [{"object_id": "l", "name": "luminance", "type": "Number"}]
    group = {"apikey": key, "resource": "/iot/json", "entity_type": "Lamp", "lazy": lazy}
    await city.provision(group, [{"device_id": "lamp1"}])
    entity = "urn:ngsi-ld:Lamp:lamp1"
    values = iter(range(800, 900))
    silent = False

    def answer(_: str, payload: bytes) -> tuple[str, Any] | None:
        asked = json.loads(payload) == {"l": ""} and not silent
        return None if not asked else (f"/json/{key}/lamp1/cmdexe", {"l": next(values)})

    city.devices.publish(f"/json/{key}/lamp1/attrs", json.dumps({"state": "on"}))
    await city.until(lambda: city.count("Lamp"), lambda found: found == 1)
    async with device(city, [f"/{key}/lamp1/cmd"], answer) as lamp:
        found = await asyncio.gather(*(city.entity(entity) for _ in range(5)))
        assert [one["luminance"]["value"] for one in found if one] == [800] * 5
        assert len(lamp.heard) == 1
        await asyncio.sleep(1.1)
        later = await city.entity(entity)
        assert later is not None
        assert later["luminance"]["value"] == 801
        silent = True
        await asyncio.sleep(1.1)
        began = time.monotonic()
        for _ in range(3):
            last = await city.entity(entity)
            assert last is not None
            assert last["luminance"] == later["luminance"]
        print(f"three readings of a silent device: {time.monotonic() - began:.1f} s")
        assert len(lamp.heard) == 3
        body = {"type": "Property", "value": 5}
        answered = await city.http.patch(
            f"/ngsi-ld/v1/entities/{entity}/attrs/luminance", json=body, headers={"NGSILD-Tenant": key}
        )
        assert answered.status_code == 204, answered.text
        silent = False

        async def last_heard() -> Any:
            return lamp.heard[-1][1]

        await city.until(last_heard, lambda heard: heard == {"l": 5})


async def test_a_device_is_told_when_values_change_that_it_has_subscribed_to(city: City) -> None:
    """All its fields, at once and whenever one of them changes; not for other changes, and not after it ends it."""
    key = city.tenant
    group = {"apikey": key, "resource": "/iot/json", "entity_type": "Gauge", "transport": "MQTT"}
    statics = [{"name": "sleepTime", "type": "Number", "value": 600}]
    await city.provision(group, [{"device_id": "g1", "static_attributes": statics}])
    city.devices.publish(f"/json/{key}/g1/attrs", json.dumps({"wl": 1}))
    await city.until(lambda: city.count("Gauge"), lambda found: found == 1)
    entity, headers = "urn:ngsi-ld:Gauge:g1", {"NGSILD-Tenant": key}

    async def write(**values: Any) -> None:
        body = {name: {"type": "Property", "value": value} for name, value in values.items()}
        answer = await city.http.post(f"/ngsi-ld/v1/entities/{entity}/attrs", json=body, headers=headers)
        assert answer.status_code in (204, 207), answer.text

    async with device(city, [f"/{key}/g1/configuration/values"]) as gauge:

        async def heard() -> list[dict[str, Any]]:
            return [{name: value for name, value in body.items() if name != "dt"} for _, body in gauge.heard]

        def ask(kind: str, *fields: str) -> None:
            body = json.dumps({"type": kind, "fields": fields})
            city.devices.publish(f"/json/{key}/g1/configuration/commands", body)

        ask("subscription", "sleepTime", "alarmLevel")
        await city.until(heard, lambda found: found == [{"sleepTime": 600}])
        await write(alarmLevel=3)
        await city.until(heard, lambda found: found[-1] == {"sleepTime": 600, "alarmLevel": 3})
        await write(unrelated=1)
        await write(alarmLevel=4)
        await city.until(heard, lambda found: found[-1] == {"sleepTime": 600, "alarmLevel": 4})
        assert len(gauge.heard) == 3
        ask("subscription")
        await city.until(heard, lambda found: found[-1] == {})
        await write(alarmLevel=5)
        await asyncio.sleep(1)
        assert len(gauge.heard) == 4


async def test_a_device_is_told_what_changed_while_its_broker_was_down(tmp_path: Path) -> None:
    """A change that a killed worker committed and did not pass on reaches the device when the next one starts."""
    with Up(tmp_path / "data") as up:
        async with city_of(up, up.folder) as city:
            key = city.tenant
            group = {"apikey": key, "resource": "/iot/json", "entity_type": "Gauge", "transport": "MQTT"}
            await city.provision(group, [{"device_id": "g1"}])
            city.devices.publish(f"/json/{key}/g1/attrs", json.dumps({"alarmLevel": 3}))
            await city.until(lambda: city.count("Gauge"), lambda found: found == 1)
            async with device(city, [f"/{key}/g1/configuration/values"]) as gauge:

                async def heard() -> list[Any]:
                    return [body.get("alarmLevel") for _, body in gauge.heard]

                wish = {"type": "subscription", "fields": ["alarmLevel"]}
                city.devices.publish(f"/json/{key}/g1/configuration/commands", json.dumps(wish))
                await city.until(heard, lambda found: found == [3])
                (worker,) = [pid for pid, line in children_of(up.process.pid).items() if "tsunagu.cli serve" in line]
                kept = city.store[database_name("tsunagu", key)]["device_configurations"]
                await kept.update_many({}, {"$set": {"d.told": 0}})  # as if it had died between commit and sending
                os.kill(worker, signal.SIGKILL)
                await city.until(heard, lambda found: found == [3, 3])
