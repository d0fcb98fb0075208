"""What comes late or twice: backfill, offline check-ins, a patrol car's batch, repaired messages."""

from __future__ import annotations

import asyncio
import json
import random
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.drills.city import values_of
from tests.drills.harness import LONG, sink

if TYPE_CHECKING:
    from tests.drills.city import City

pytestmark = pytest.mark.drill

GAUGES, HOURS = 40, 6
EVACUEES = 200
FINDINGS = 3000
WRONG = 10_000 if LONG else 1000


def iso(seconds: float) -> str:
    """Return epoch seconds as ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


async def gauges(city: City, ids: list[str], **rules: Any) -> None:
    """Provision river gauges; `rules` are internal attributes of their group."""
    group = {"apikey": city.tenant, "resource": "/iot/json", "entity_type": "RiverLevelObserved"}
    attributes = [{"object_id": "wl", "name": "waterLevel", "type": "Number"}]
    await city.provision(
        {**group, "attributes": attributes, "internal_attributes": rules}, [{"device_id": one} for one in ids]
    )


async def alarm(city: City, url: str, **members: Any) -> None:
    """Subscribe to levels above 3 m."""
    body = {
        "type": "Subscription",
        "entities": [{"type": "RiverLevelObserved"}],
        "q": "waterLevel>3",
        "notification": {"endpoint": {"uri": url, "accept": "application/json"}},
        **members,
    }
    answer = await city.http.post("/ngsi-ld/v1/subscriptions", json=body, headers={"NGSILD-Tenant": city.tenant})
    assert answer.status_code == 201, answer.text


async def test_six_hours_of_backfill_twice_in_any_order_complete_the_history_alone(city: City) -> None:
    """1,440 readings of 40 gauges in random order, sent twice: each once in the history, state newest, no alarm.

    Who asks for late data is told of each that is above the limit, once.
    """
    await gauges(city, [f"G{n:02d}" for n in range(GAUGES)])
    now = round(time.time()) - 60
    async with sink() as alarms, sink() as late:
        await alarm(city, alarms.url)
        await alarm(city, late.url, lateData=True)
        for number in range(GAUGES):
            body = json.dumps({"wl": 1 + number / 100, "TimeInstant": iso(now)})
            city.devices.publish(f"/json/{city.tenant}/G{number:02d}/attrs", body)
        await asyncio.to_thread(city.devices.settle)
        await city.until(lambda: city.count("RiverLevelObserved"), lambda found: found == GAUGES)
        backfill = [
            (number, now - 600 * step, round(3 + number / 100 + step / 1000, 3))
            for number in range(GAUGES)
            for step in range(1, HOURS * 6 + 1)
        ]
        for seed in (1, 2):
            random.Random(seed).shuffle(backfill)
            for number, at, level in backfill:
                body = json.dumps({"wl": level, "TimeInstant": iso(at)})
                city.devices.publish(f"/json/{city.tenant}/G{number:02d}/attrs", body)
            await asyncio.to_thread(city.devices.settle)
        city.devices.publish(f"/json/{city.tenant}/G00/attrs", json.dumps({"wl": 3.5}))
        await city.until(lambda: asyncio.sleep(0, alarms.received), bool)
        records = await city.records()
        expected = sorted([level for _, _, level in backfill] + [1 + n / 100 for n in range(GAUGES)] + [3.5])
        assert sorted(values_of(records, "waterLevel")) == expected
        for number in range(1, GAUGES):
            entity = await city.entity(f"urn:ngsi-ld:RiverLevelObserved:G{number:02d}")
            assert entity is not None
            assert (entity["waterLevel"]["value"], entity["waterLevel"]["observedAt"]) == (1 + number / 100, iso(now))
        assert alarms.values("waterLevel") == [3.5]
        above = sorted([level for _, _, level in backfill if level > 3] + [3.5])
        await city.until(lambda: asyncio.sleep(0, len(late.values("waterLevel"))), lambda found: found >= len(above))
        assert sorted(late.values("waterLevel")) == above
        print(f"backfill: {len(backfill)} readings twice, {len(expected)} in the history, 1 alarm, that of the end")
        print(f"asked for late data: {len(above)} notified, each once")


async def test_late_backfill_alarms_nobody_even_where_nothing_newer_is_known(city: City) -> None:
    """With `time.late` a flood that is over alarms nobody, in whatever order its readings come; the state follows."""
    await gauges(city, [f"L{n}" for n in range(10)], time={"late": 1800})
    now = int(time.time()) - 1  # surely before the reading that has no time of its own
    async with sink() as alarms:
        await alarm(city, alarms.url)
        readings = [(n, 600 * step, 3.5 if step > 5 else 2.0) for n in range(10) for step in range(36)]
        random.Random(3).shuffle(readings)
        for number, age, level in readings:
            body = json.dumps({"wl": level, "TimeInstant": iso(now - age)})
            city.devices.publish(f"/json/{city.tenant}/L{number}/attrs", body)
        city.devices.publish(f"/json/{city.tenant}/L0/attrs", json.dumps({"wl": 3.1}))
        await asyncio.to_thread(city.devices.settle)
        await city.until(lambda: asyncio.sleep(0, alarms.received), bool)
        assert len(values_of(await city.records(), "waterLevel")) == len(readings) + 1
        entity = await city.entity("urn:ngsi-ld:RiverLevelObserved:L1")
        assert entity is not None
        assert (entity["waterLevel"]["value"], entity["waterLevel"]["observedAt"]) == (2.0, iso(now))
        assert alarms.values("waterLevel") == [3.1]


async def test_check_ins_made_offline_and_sent_twice_are_200(city: City) -> None:
    """A shelter's card reader sends its 200 check-ins twice, in batches: 200 entities, each written once."""
    group = {
        "apikey": city.tenant,
        "resource": "/iot/json",
        "entity_type": "ShelterCheckIn",
        "entityNameExp": "'urn:ngsi-ld:ShelterCheckIn:' + card",
        "attributes": [{"object_id": "card", "name": "card", "type": "Text"}],
    }
    await city.provision(group, [{"device_id": "reader1"}])
    start = time.time() - 3600
    measures = [{"card": f"c{n:04d}", "TimeInstant": iso(start + n)} for n in range(EVACUEES)]
    for _ in range(2):
        for first in range(0, EVACUEES, 50):
            answer = await city.http.post(f"/iot/json?k={city.tenant}&i=reader1", json=measures[first : first + 50])
            assert answer.status_code == 200, answer.text
    assert await city.count("ShelterCheckIn") == EVACUEES
    records = await city.records()
    assert [record["k"] for record in records] == ["created"] * EVACUEES


async def test_a_patrol_cars_old_findings_do_not_overwrite_newer_state(city: City) -> None:
    """3,000 findings of 8 h ago are taken in one body, in order, and where something newer is known it stays."""
    group = {
        "apikey": city.tenant,
        "resource": "/iot/json",
        "entity_type": "RoadDamage",
        "entityNameExp": "'urn:ngsi-ld:RoadDamage:' + place",
        "attributes": [
            {"object_id": "place", "name": "place", "type": "Text"},
            {"object_id": "depth", "name": "depth", "type": "Number"},
            {"object_id": "gps", "name": "location", "type": "geo:point"},
        ],
    }
    await city.provision(group, [{"device_id": "car1"}])
    now = time.time()
    newer = [{"place": f"p{n}", "depth": 99, "TimeInstant": iso(now)} for n in range(0, FINDINGS // 3, 10)]
    answer = await city.http.post(f"/iot/json?k={city.tenant}&i=car1", json=newer)
    assert answer.status_code == 200, answer.text
    findings = [
        {
            "place": f"p{n % (FINDINGS // 3)}",
            "depth": n,
            "gps": f"{134.8 + n / 1e5:.5f}, 34.7",
            "TimeInstant": iso(now - 8 * 3600 + n),
        }
        for n in range(FINDINGS)
    ]
    began = time.monotonic()
    answer = await city.http.post(f"/iot/json?k={city.tenant}&i=car1", json=findings)
    assert answer.status_code == 200, answer.text
    print(f"{FINDINGS} findings in {time.monotonic() - began:.1f} s")
    assert await city.count("RoadDamage") == FINDINGS // 3
    for place in range(0, FINDINGS // 3, 37):
        entity = await city.entity(f"urn:ngsi-ld:RoadDamage:p{place}")
        assert entity is not None
        assert entity["depth"]["value"] == (99 if place % 10 == 0 else place + 2 * FINDINGS // 3)
    depths = values_of(await city.records(), "depth")
    assert sorted(depths) == sorted([*range(FINDINGS), *[99] * len(newer)])


async def test_quarantined_messages_are_replayed_once_the_template_is_right(city: City) -> None:
    """Messages with a wrong unit wait in the quarantine; the template mended, none is lost, doubled or moves back."""
    level = {"object_id": "wl", "name": "waterLevel", "type": "Number"}
    group = {"apikey": city.tenant, "resource": "/iot/json", "entity_type": "Gauge", "attributes": [level]}
    await city.provision(group, [{"device_id": f"g{n}"} for n in range(10)])
    now = round(time.time()) - WRONG
    for number in range(WRONG):
        body = json.dumps({"wl": f"{number}cm", "TimeInstant": iso(now + number)})
        city.devices.publish(f"/json/{city.tenant}/g{number % 10}/attrs", body)
    await asyncio.to_thread(city.devices.settle)
    headers = {"Fiware-Service": city.tenant, "Fiware-ServicePath": "/"}

    async def kept() -> int:
        answer = await city.http.get("/tsunagu/v1/devices/quarantine?limit=1", headers=headers)
        return int(answer.json()["count"])

    await city.until(kept, lambda found: found == WRONG, seconds=120)
    mended = {"attributes": [{**level, "expression": "wl|replacestr('cm','')|parsefloat / 100"}]}
    answer = await city.http.put(f"/iot/groups?resource=/iot/json&apikey={city.tenant}", json=mended, headers=headers)
    assert answer.status_code == 204, answer.text
    newest = {"wl": "777777cm", "TimeInstant": iso(time.time())}
    answer = await city.http.post(f"/iot/json?k={city.tenant}&i=g0", json=newest)
    assert answer.status_code == 200, answer.text
    began = time.monotonic()
    for _ in range(2):
        answer = await city.http.post("/tsunagu/v1/devices/quarantine/replay", headers=headers)
        assert answer.status_code == 200, answer.text
    print(f"{WRONG} quarantined messages replayed in {time.monotonic() - began:.1f} s: {answer.json()}")
    assert await kept() == 0
    assert sorted(values_of(await city.records(), "waterLevel")) == sorted([n / 100 for n in range(WRONG)] + [7777.77])
    for number in range(10):
        entity = await city.entity(f"urn:ngsi-ld:Gauge:g{number}")
        assert entity is not None
        newest_value = 7777.77 if number == 0 else (WRONG - 10 + number) / 100
        assert entity["waterLevel"]["value"] == newest_value
