"""The demo city, looked at from outside: MQTT and HTTP only. `make demo-check` runs this.

It starts a demo city of its own, on free ports and at a fast pace; with DEMO_DATA=FOLDER (`DEMO_DATA=.tsunagu make
demo-check`) it looks at the one that runs on that data folder.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.drills.running import Up
from tsunagu.up.demo import setup
from tsunagu.up.demo.doors import MqttDoor
from tsunagu.up.demo.recording import CAUTION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

pytestmark = pytest.mark.drill

PATIENCE = 120.0  # seconds that a check waits for what it wants to see
RIVER = "urn:ngsi-ld:RiverLevelObserved:282103"
# a gauge of each family and what stands behind it
GAUGES = {
    "K001": "ChirpStack, submersible",
    "K002": "ChirpStack, ultrasonic",
    "F012": "IoT-Agent JSON over MQTT",
    "F013": "Ultralight over HTTP",
}
PROBE = {
    "device_id": "CHECK1",
    "apikey": "kawakami-json",
    "entity_name": f"{RIVER}:CHECK1",
    "entity_type": "RiverLevelObserved",
    "timezone": "Asia/Tokyo",
}
JST = dt.timezone(dt.timedelta(hours=9))


@dataclass(frozen=True, slots=True)
class City:
    """The demo city as anybody outside sees it."""

    kawakami: httpx.AsyncClient
    kawashimo: httpx.AsyncClient
    mqtt: MqttDoor


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Give the addresses of a running demo city."""
    named = os.environ.get("DEMO_DATA")
    if named:
        yield json.loads((Path(named) / "addresses.json").read_text())
        return
    with Up(tmp_path_factory.mktemp("city") / "data", "--demo", "--pace", "0.05") as up:
        yield up.ready()


@pytest.fixture
async def city(addresses: dict[str, str]) -> AsyncIterator[City]:
    """Give clients of both brokers and of MQTT."""
    async with (
        httpx.AsyncClient(base_url=addresses["kawakami"], timeout=10) as kawakami,
        httpx.AsyncClient(base_url=addresses["kawashimo"], timeout=10) as kawashimo,
        MqttDoor(addresses["mqtt"]) as mqtt,
    ):
        yield City(kawakami, kawashimo, mqtt)


async def _until(look: Callable[[], Awaitable[Any]], right: Callable[[Any], bool] = bool) -> Any:
    """Look again and again until what is seen is right, and give it."""
    found = None
    for _ in range(int(PATIENCE / 0.1)):
        found = await look()
        if right(found):
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"not seen within {PATIENCE} s; the last look found {found}")


async def _entity(broker: httpx.AsyncClient, entity: str) -> dict[str, Any] | None:
    answer = await broker.get(f"/ngsi-ld/v1/entities/{entity}")
    return answer.json() if answer.status_code == 200 else None


async def _entities(broker: httpx.AsyncClient, kind: str) -> list[dict[str, Any]]:
    answer = await broker.get("/ngsi-ld/v1/entities", params={"type": kind, "limit": 100})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def _level(broker: httpx.AsyncClient, entity: str) -> float | None:
    found = await _entity(broker, entity)
    return None if found is None else found["waterLevel"]["value"]


@pytest.mark.parametrize("broker", ["kawakami", "kawashimo"])
@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/version", "/openapi.json", "/metrics"])
async def test_brokers_describe_themselves(city: City, broker: str, path: str) -> None:
    """Both brokers answer their health, version, API description and metrics."""
    assert (await getattr(city, broker).get(path)).status_code == 200


@pytest.mark.parametrize("gauge", GAUGES, ids=lambda gauge: f"{gauge} {GAUGES[gauge]}")
async def test_a_gauge_of_each_family_is_an_entity(city: City, gauge: str) -> None:
    """The gauge's level is at Kawakami in metres, with the gauge's own time of just now and its place."""
    entity = await _until(lambda: _entity(city.kawakami, f"{RIVER}:{gauge}"))
    level = entity["waterLevel"]
    assert level["type"] == "Property"
    assert 1.0 < level["value"] < 3.0
    assert level["unitCode"] == "MTR"
    assert abs(dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(level["observedAt"])) < dt.timedelta(minutes=10)
    assert entity["location"]["value"]["type"] == "Point"


async def test_levels_come_simplified_too(city: City) -> None:
    """The simplified form that the summary line names shows plain numbers."""
    await _until(lambda: _entity(city.kawakami, f"{RIVER}:F012"))
    answer = await city.kawakami.get(
        "/ngsi-ld/v1/entities", params={"type": "RiverLevelObserved", "format": "simplified"}
    )
    assert all(isinstance(entity["waterLevel"], float | int) for entity in answer.json())


async def test_three_tags_are_sighted_under_pseudonyms(city: City) -> None:
    """Three tags and no passer-by are sighted by readers; no number of a tag itself is in its entity."""
    tags = await _until(lambda: _entities(city.kawakami, "TagSighting"), lambda found: len(found) >= 3)
    assert len(tags) == 3
    for tag in tags:
        assert tag["refReader"]["object"].startswith("urn:ngsi-ld:TagReader:282103:R00")
        text = json.dumps(tag).lower()
        assert not [
            secret for secret in ("c4a1f011", "53092", "53093", "53094", "cf64", "5e11a2b3c4d5") if secret in text
        ]


async def test_cameras_show_that_they_are_alive(city: City) -> None:
    """Each camera's heartbeat makes a Camera with its state and the time of its last word."""
    for camera in ("CAM0482", "CAM0483"):
        entity = await _until(lambda camera=camera: _entity(city.kawakami, f"urn:ngsi-ld:Camera:282103:{camera}"))
        assert {"deviceState", "dateLastValueReported"} <= entity.keys()


async def test_people_are_counted(city: City) -> None:
    """The camera's cumulative totals become counts of people who passed since the last message."""
    crowd = "urn:ngsi-ld:CrowdFlowObserved:282103:CAM0482:Device1Scenario2"
    entity = await _until(
        lambda: _entity(city.kawakami, crowd), lambda found: found is not None and "peopleCount" in found
    )
    assert 0 <= entity["peopleCount"]["value"] <= 36


async def test_the_neighbour_receives_the_river_above_its_caution_level(city: City) -> None:
    """Every gauge passes the caution level; Kawashimo has a reading of each above it, and none at or below."""
    for gauge in GAUGES:
        await _until(lambda gauge=gauge: _entity(city.kawashimo, f"{RIVER}:{gauge}"))
    levels = {
        entity["id"]: entity["waterLevel"]["value"] for entity in await _entities(city.kawashimo, "RiverLevelObserved")
    }
    assert min(levels.values()) > CAUTION, levels


async def test_the_river_falls_again_at_kawakami_only(city: City) -> None:
    """While Kawakami shows a gauge below the caution level after the flood, Kawashimo keeps the last reading above."""
    gauge = f"{RIVER}:F012"
    await _until(lambda: _level(city.kawashimo, gauge), lambda level: level is not None and level > CAUTION)
    await _until(lambda: _level(city.kawakami, gauge), lambda level: level is not None and level <= CAUTION)
    level = await _level(city.kawashimo, gauge)
    assert level is not None
    assert level > CAUTION


async def test_nothing_else_is_shared_with_the_neighbour(city: City) -> None:
    """Tags and cameras stay at Kawakami: the agreement is about the river."""
    await _until(lambda: _entities(city.kawakami, "TagSighting"))
    await _until(lambda: _entities(city.kawashimo, "RiverLevelObserved"))
    for kind in ("TagSighting", "TagReader", "Camera", "CrowdFlowObserved"):
        assert await _entities(city.kawashimo, kind) == []


async def test_only_readings_above_the_caution_level_are_forwarded(city: City) -> None:
    """A gauge that says 2.5, 1.9, 2.6 m is all of that at Kawakami; 2.5 stays at Kawashimo until 2.6 comes."""
    probe = PROBE["entity_name"]
    answer = await city.kawakami.post("/iot/devices", json={"devices": [PROBE]}, headers=setup.FIWARE)
    assert answer.status_code in (201, 409), answer.text
    try:
        for said, shown in ((2.5, 2.5), (1.9, 2.5), (2.6, 2.6)):
            now = dt.datetime.now(JST).isoformat(timespec="milliseconds")
            await city.mqtt.send(
                "/json/kawakami-json/CHECK1/attrs", json.dumps({"wl": said, "TimeInstant": now}).encode()
            )
            await _until(lambda: _level(city.kawakami, probe), lambda level, said=said: level == said)
            await _until(lambda: _level(city.kawashimo, probe), lambda level, shown=shown: level == shown)
            await asyncio.sleep(1 if said < CAUTION else 0)
            assert await _level(city.kawashimo, probe) == shown
    finally:
        await city.kawakami.delete("/iot/devices/CHECK1", params={"apikey": PROBE["apikey"]}, headers=setup.FIWARE)
        for broker in (city.kawakami, city.kawashimo):
            await broker.delete(f"/ngsi-ld/v1/entities/{probe}")


async def test_rubbish_over_mqtt_changes_nothing(city: City) -> None:
    """Broken messages of two families are stored nowhere, and the next good message of the gauge is taken."""
    await _until(lambda: _entity(city.kawakami, f"{RIVER}:F012"))
    await city.mqtt.send("/json/kawakami-json/F012/attrs", b'{"wl": ')
    await city.mqtt.send("/ble/minew/kawakami-ble/ac233fc00001", b"\xff\xd8\xff\xe0 no JSON")
    before = (await _entity(city.kawakami, f"{RIVER}:F012"))["waterLevel"]
    await _until(lambda: _entity(city.kawakami, f"{RIVER}:F012"), lambda found: found["waterLevel"] != before)
    assert (await city.kawakami.get("/health/ready")).status_code == 200


async def test_rubbish_over_http_is_a_4xx(city: City) -> None:
    """A broken device body and an entity without a valid id are refused with a problem document."""
    headers = {"Content-Type": "application/json"}
    answer = await city.kawakami.post("/iot/json?k=kawakami-json&i=F012", content=b"[1, ", headers=headers)
    assert 400 <= answer.status_code < 500, answer.text
    answer = await city.kawakami.post("/ngsi-ld/v1/entities", json={"id": "no URI", "type": "X"})
    assert answer.status_code == 400
    assert {"type", "title", "detail"} <= answer.json().keys()
