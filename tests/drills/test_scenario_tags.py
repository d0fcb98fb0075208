"""Children's tags: four readers of three makes, one of them on a bus; strangers leave no trace."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgpack
import pytest

from tests.drills.city import values_of
from tests.drills.harness import LONG

if TYPE_CHECKING:
    from tests.drills.city import City

pytestmark = pytest.mark.drill

UUID = "b5b182c7eab14988aa99b5c1517008d9"
ADVERT = bytes.fromhex("0201061aff4c000215" + UUID + "0001cf64c5")
MAC = "123b6a1a64cf"
STRANGERS = 1_000_000 if LONG else 50_000
BURST = 150


def iso(seconds: float) -> str:
    """Return epoch seconds as ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def point(longitude: float) -> dict[str, Any]:
    """Return a point on the way to school."""
    return {"type": "Point", "coordinates": [longitude, 34.757]}


def minew(reader: str, at: float, rssi: int) -> list[dict[str, Any]]:
    """Return a message of a Minew gateway that heard the child's tag twice."""
    heard = [
        {"timestamp": iso(at + n / 10), "mac": MAC.upper(), "rssi": rssi, "rawData": ADVERT.hex().upper()}
        for n in range(2)
    ]
    return [{"timestamp": iso(at), "type": "Gateway", "mac": reader}, *heard]


def aprilbrother(reader: str, rssi: int) -> bytes:
    """Return a message of an AprilBrother gateway, whose time is that since its start."""
    advert = b"\x00" + bytes.fromhex(MAC) + bytes((rssi + 256,)) + ADVERT
    body = {"v": "1.4.0", "mid": 3, "time": 77_482, "ip": "10.0.0.9", "mac": reader, "devices": [advert, advert]}
    return msgpack.packb(body)


def edge(reader: str, at: float, rssi: int) -> dict[str, Any]:
    """Return a message of a reader that judges by itself."""
    uuid = f"{UUID[:8]}-{UUID[8:12]}-{UUID[12:16]}-{UUID[16:20]}-{UUID[20:]}"
    event = {"gw": reader, "ts": round(at * 1000), "seq": 1, "ev": "enter", "vendor": "B", "uuid": uuid}
    return {**event, "major": 1, "minor": 53_092, "rssiMax": rssi, "n": 14}


async def readers(city: City) -> None:
    """Provision four readers, of which one is in a bus, and the bus's position."""
    tags = {"allow": {UUID[:8] + "-": "B"}, "merge_window": 1}
    group = {"apikey": city.tenant, "resource": "/iot/ble", "entity_type": "TagReader", "autoprovision": False}
    bus = "urn:ngsi-ld:Vehicle:bus7"
    devices = [
        {
            "device_id": f"ac233fc0000{number}",
            "static_attributes": [{"name": "location", "type": "geo:json", "value": point(134.84 + number / 1000)}],
        }
        for number in (1, 2, 4)
    ]
    moving = {"device_id": "BUS7", "internal_attributes": {"moving": True, "positionOf": bus}}
    await city.provision({**group, "internal_attributes": {"tags": tags}}, [*devices, moving])
    await city.provision(
        {
            "apikey": city.tenant,
            "resource": "/iot/json",
            "entity_type": "Vehicle",
            "attributes": [{"object_id": "gps", "name": "location", "type": "geo:point"}],
        },
        [{"device_id": "gps7", "entity_name": bus}],
    )


async def post(city: City, path: str, *, body: bytes, kind: str = "application/json") -> None:
    """Send a message over HTTP."""
    answer = await city.http.post(path, content=body, headers={"content-type": kind})
    assert answer.status_code == 200, answer.text


async def test_a_child_passes_four_readers_and_the_bus_is_where_it_was_then(city: City) -> None:
    """Four sightings in order, each with its reader's position at that time, from three makes over MQTT and HTTP."""
    await readers(city)
    start = time.time() - 40
    for second in range(0, 40, 4):
        position = {"gps": f"{134.86 + second / 1000:.3f}, 34.757", "TimeInstant": iso(start + second)}
        city.devices.publish(f"/json/{city.tenant}/gps7/attrs", json.dumps(position))
    await asyncio.to_thread(city.devices.settle)
    await city.until(lambda: city.records({"e": "urn:ngsi-ld:Vehicle:bus7"}), lambda found: len(found) == 10)
    sightings = {"e": {"$regex": "TagSighting"}, "k": {"$in": ["created", "updated"]}}

    async def seen(count: int) -> None:
        await city.until(lambda: city.records(sightings), lambda found: len(found) == count, seconds=20)

    city.devices.publish(f"/ble/minew/{city.tenant}/ac233fc00001", json.dumps(minew("AC233FC00001", start + 4, -70)))
    await seen(1)
    city.devices.publish(f"/ble/edge/{city.tenant}/BUS7", json.dumps(edge("BUS7", start + 16, -60)))
    await seen(2)
    body = json.dumps(minew("AC233FC00002", start + 26, -50)).encode()
    await post(city, f"/iot/ble/minew?k={city.tenant}", body=body)
    await seen(3)
    body = aprilbrother("AC233FC00004", -40)
    await post(city, f"/iot/ble/aprilbrother?k={city.tenant}", body=body, kind="application/msgpack")
    await seen(4)
    records = await city.records(sightings)
    assert len({record["e"] for record in records}) == 1
    assert "b5b182c7" not in records[0]["e"]
    assert values_of(records, "presence") == ["enter"] * 4
    places = [one["coordinates"][0] for one in values_of(records, "location")]
    assert places == [134.841, 134.876, 134.842, 134.844]
    times = [next(iter(record["a"]["attrs"].values()))["observedAt"] for record in records]
    assert times == sorted(times)


async def test_strangers_tags_make_no_entity_and_bounded_memory(city: City) -> None:
    """However many random tags a reader hears, no entity comes of them and memory stays."""
    await readers(city)
    before = city.memory()
    topic = f"/ble/minew/{city.tenant}/ac233fc00001"
    for number in range(0, STRANGERS, BURST):
        adverts = [
            {
                "timestamp": iso(time.time()),
                "mac": secrets.token_hex(6).upper(),
                "rssi": -50,
                "rawData": f"0201061AFF4C000215{secrets.token_hex(16).upper()}00010001C5",
            }
            for _ in range(BURST)
        ]
        city.devices.publish(topic, json.dumps([{"type": "Gateway", "mac": "AC233FC00001"}, *adverts]))
        if number % (BURST * 100) == 0:
            await asyncio.to_thread(city.devices.settle)
    city.devices.publish(topic, json.dumps(minew("AC233FC00001", time.time(), -70)))
    await asyncio.to_thread(city.devices.settle)
    await city.until(lambda: city.count("TagSighting"), lambda found: found == 1)
    after = city.memory()
    print(f"{STRANGERS} strangers' tags: no entity, worker {before} → {after} MB")
    assert after - before < 120  # 80 MB after 1,000,000, and no more after 1,500,000
