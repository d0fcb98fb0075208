"""Kakogawa's cameras: 1,560 of them from one file, heartbeats without history, each silence told once."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.drills.city import values_of

if TYPE_CHECKING:
    from tests.drills.city import City

pytestmark = pytest.mark.drill

CAMERAS = 1560
SILENT = 30
INTERVAL = 2.0  # seconds between heartbeats, for a minute in Kakogawa; a camera may miss three


def file_of(cameras: int, *, wrong: int) -> bytes:
    """Return a town hall's CSV in Shift_JIS; the line `wrong` (the first device is on line 2) has no real latitude."""
    lines = ["カメラ番号,名称,緯度,経度,所在地"]
    for number in range(cameras):
        latitude = "北緯34度" if number + 2 == wrong else f"{34.70 + number % 100 / 1000:.4f}"
        lines.append(f"CAM{number:04d},通学路{number},{latitude},{134.80 + number % 97 / 1000:.4f},加古川{number}")
    return "\r\n".join(lines).encode("shift_jis")


async def imported(city: City, body: bytes) -> dict[str, int]:
    """Import a file; return how many rows had which fate, and the number of a rejected one."""
    answer = await city.http.post(
        f"/tsunagu/v1/devices/import?apikey={city.tenant}&entity_type=Camera",
        content=body,
        headers={"NGSILD-Tenant": city.tenant, "content-type": "text/csv"},
    )
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return {**{name: found[name] for name in ("created", "changed", "unchanged", "rejected")}} | {
        f"row {row['row']}": 1 for row in found["rows"] if row["status"] == "rejected"
    }


async def beat(city: City, cameras: int) -> None:
    """Let each of the first cameras say once that it is alive, and an interval pass."""
    began = time.monotonic()
    for number in range(cameras):
        city.devices.publish(f"/camera/{city.tenant}/CAM{number:04d}/heartbeat", '{"status": "ok"}')
    await asyncio.to_thread(city.devices.settle)
    await asyncio.sleep(max(0.0, began + INTERVAL - time.monotonic()))


async def keep_beating(city: City, cameras: int) -> None:
    """Let the first cameras beat until cancelled."""
    while True:
        await beat(city, cameras)


async def test_cameras_come_from_one_file_and_each_silence_is_told_once(city: City) -> None:
    """1,560 cameras from one CSV, row 17 rejected alone; a second run changes nothing; 30 silent ones are told once."""
    health = {"interval": INTERVAL, "missed": 3}
    group = {"apikey": city.tenant, "resource": "/iot/camera", "entity_type": "Camera", "autoprovision": False}
    await city.provision({**group, "internal_attributes": {"health": health}}, [])
    began = time.monotonic()
    first = await imported(city, file_of(CAMERAS, wrong=17))
    took = time.monotonic() - began
    assert first == {"created": CAMERAS - 1, "changed": 0, "unchanged": 0, "rejected": 1, "row 17": 1}
    again = await imported(city, file_of(CAMERAS, wrong=17))
    assert again == {"created": 0, "changed": 0, "unchanged": CAMERAS - 1, "rejected": 1, "row 17": 1}
    assert await imported(city, file_of(CAMERAS, wrong=0)) == {
        "created": 1,
        "changed": 0,
        "unchanged": CAMERAS - 1,
        "rejected": 0,
    }
    for _ in range(2):
        await beat(city, CAMERAS)
    healthy = asyncio.create_task(keep_beating(city, CAMERAS - SILENT))
    kept = {"k": "updated", "x": {"$exists": False}}
    await city.until(lambda: city.records(kept), lambda found: len(found) >= SILENT)
    await asyncio.sleep(3 * INTERVAL)  # whoever is told twice, or falls silent by mistake, shows by now
    told = await city.records(kept)
    healthy.cancel()
    await asyncio.gather(healthy, return_exceptions=True)
    offline = [record["e"] for record in told if values_of([record], "deviceState") == ["offline"]]
    print(f"{CAMERAS} cameras imported in {took:.1f} s; {len(offline)} offline, {len(told)} records after creation")
    assert sorted(offline) == [f"urn:ngsi-ld:Camera:CAM{number:04d}" for number in range(CAMERAS - SILENT, CAMERAS)]
    assert len(told) == SILENT
    assert await city.count("Camera") == CAMERAS
    await city.until(lambda: city.records({"x": {"$exists": True}}), lambda found: not found)


async def test_a_gauge_is_patient_when_dry_and_strict_when_wet(city: City) -> None:
    """An hour is 0.3 s here: silent for 20 h a dry gauge is well, for 30 h it is not; a wet one is gone far sooner."""
    hour = 0.3
    health = {"interval": 24 * hour, "missed": 1, "alertInterval": 3 * hour, "above": {"waterLevel": 1.2}}
    group = {"apikey": city.tenant, "resource": "/iot/json", "entity_type": "RiverLevelObserved"}
    attributes = [{"object_id": "wl", "name": "waterLevel", "type": "Number"}]
    await city.provision(
        {**group, "attributes": attributes, "internal_attributes": {"health": health}},
        [{"device_id": name} for name in ("dry", "wet")],
    )
    began = time.monotonic()
    for name, level in (("dry", 0.4), ("wet", 2.4)):
        answer = await city.http.post(f"/iot/json?k={city.tenant}&i={name}", json={"wl": level})
        assert answer.status_code == 200, answer.text

    async def state(name: str) -> str:
        entity = await city.entity(f"urn:ngsi-ld:Device:{name}")
        assert entity is not None
        return str(entity["deviceState"]["value"])

    await asyncio.sleep(max(0.0, began + 20 * hour - time.monotonic()))
    assert await state("dry") == "online"
    assert await city.until(lambda: state("wet"), lambda found: found == "offline", seconds=30) == "offline"
    assert await city.until(lambda: state("dry"), lambda found: found == "offline", seconds=30) == "offline"
    assert time.monotonic() - began > 24 * hour
