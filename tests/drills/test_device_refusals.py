"""Messages that become entities which the broker refuses, on a running broker: told at once, and nobody else waits."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.drills.city import City

pytestmark = pytest.mark.drill

REFUSED = ({"createdAt": 1}, {"scope": 5}, {"location": "here"}, {"x": {"\0": 1}})


async def test_a_message_that_the_broker_refuses_holds_up_nobody(city: City) -> None:
    """Alone in its batch, over HTTP and MQTT: 400, or the quarantine; the next ones are stored."""
    key = city.tenant
    await city.provision({"apikey": key, "resource": "/iot/json", "entity_type": "Gauge"}, [{"device_id": "g1"}])
    for body in REFUSED:
        answer = await city.http.post(f"/iot/json?k={key}&i=g1", json=body, timeout=30)
        assert (answer.status_code, answer.json()["name"]) == (400, "ENTITY_REFUSED"), answer.text
        city.devices.publish(f"/json/{key}/g1/attrs", json.dumps(body))
        await asyncio.to_thread(city.devices.settle)
    city.devices.publish(f"/json/{key}/g1/attrs", json.dumps({"wl": 1}))
    await city.until(lambda: city.count("Gauge"), lambda found: found == 1, seconds=30)
    answer = await city.http.post(f"/iot/json?k={key}&i=g1", json={"wl": 2}, timeout=30)
    assert answer.status_code == 200, answer.text
    headers = {"Fiware-Service": key, "Fiware-ServicePath": "/"}
    kept = (await city.http.get("/tsunagu/v1/devices/quarantine?limit=100", headers=headers)).json()
    assert kept["count"] == 2 * len(REFUSED)
