"""How a watched device is, besides being alive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tsunagu.adapters import clock
from tsunagu.adapters.message import Message
from tsunagu.adapters.vitals import Vitals

if TYPE_CHECKING:
    from tests.adapters.memory import Site

START = 1784401800000
APP, EUI = "6b1f0a52-3d1f-4f0e-9a6a-2f1f3c0e7a01", "24e124713d350001"
HEALTH = f"urn:ngsi-ld:Device:{EUI}"


@pytest.fixture
async def place(empty_site: Site) -> Site:
    """Give a site with a watched LoRaWAN gauge and a watched gauge that speaks JSON, with two modes."""
    health = {"health": {"interval": 86_400, "missed": 1, "alertInterval": 600, "above": {"waterLevel": 1.2}}}
    groups = [
        {"apikey": APP, "resource": "/iot/chirpstack", "entity_type": "Gauge", "internal_attributes": health},
        {"apikey": "k", "resource": "/iot/json", "entity_type": "Gauge", "internal_attributes": health},
    ]
    await empty_site.store.create_groups("", "/", groups)
    return empty_site


async def take(place: Site, message: Message) -> None:
    await place.pipeline.commit(await place.pipeline.prepare([message]))


async def uplink(place: Site, counter: int, at: int = START) -> None:
    info = {"applicationId": APP, "devEui": EUI}
    body = {"time": clock.iso(at), "deviceInfo": info, "fCnt": counter, "object": {"battery": 90, "depth": 1}}
    body["rxInfo"] = [{"gatewayId": "g", "rssi": -97, "snr": 6.5}]
    named = {"apikey": APP, "device": EUI, "event": "up"}
    await take(place, Message("chirpstack", orjson.dumps(body), at + 2000, named, "application/…/event/up"))


async def measure(place: Site, body: Any, at: int = START) -> None:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    await take(place, Message("iotagent_json", raw, at, {"apikey": "k", "device": "g"}))


def health(place: Site, entity: str = HEALTH) -> dict[str, Any]:
    return {name: one["value"] for name, one in place.sink.entities["", entity].items()}


@pytest.mark.parametrize(
    ("counters", "lost"),
    [
        ([5, 6, 7], 0),
        ([5, 9], 3),
        ([5, 9, 7], 2),
        ([5, 5, 6], 0),
        ([500, 0, 1], 0),
        ([500, 2, 3], 0),
        ([0, 1, 5, 6, 8], 4),
    ],
)
def test_gaps_of_the_frame_counter_are_lost_frames(counters: list[int], lost: int) -> None:
    """A frame that comes late was not lost; a counter that began anew tells of no loss."""
    vitals = Vitals()
    for counter in counters:
        vitals.count(counter)
    assert vitals.lost == lost


async def test_signal_battery_clock_and_losses_stand_at_the_health_entity(place: Site) -> None:
    """At once when a frame tells of a loss, without history."""
    await uplink(place, 17)
    await uplink(place, 20, START + 600_000)
    found = health(place)
    assert (found["rssi"], found["snr"], found["frameCounter"], found["lostFrames"]) == (-97, 6.5, 20, 2)
    assert (found["clockOffset"], found["clockStatus"], found["decodeErrorRate"]) == (-2.0, "good", 0.0)
    update = place.sink.updates[-1]
    assert (update.id, update.history) == (HEALTH, False)


async def test_workers_count_lost_frames_together(place: Site) -> None:
    """What another worker has counted is read before the next frame is compared."""
    await uplink(place, 17)
    stored = place.sink.entities["", HEALTH]
    stored["frameCounter"], stored["lostFrames"] = {"value": 30}, {"value": 1}
    await uplink(place, 31)
    assert (health(place)["frameCounter"], health(place)["lostFrames"]) == (31, 1)


async def test_a_clock_that_sends_local_time_as_utc_is_named(place: Site) -> None:
    """In the first message, with its offset; and when it is right again that is told too."""
    await measure(place, {"waterLevel": 1, "TimeInstant": "2026-07-19T04:10:00Z"}, at=START)
    found = health(place, "urn:ngsi-ld:Device:g")
    assert (found["clockStatus"], found["clockOffset"]) == ("localTimeSentAsUtc +09:00", 32400.0)
    await measure(place, {"waterLevel": 1, "TimeInstant": "2026-07-18T19:11:00Z"}, at=START + 60_000)
    assert health(place, "urn:ngsi-ld:Device:g")["clockStatus"] == "good"


async def test_messages_that_cannot_be_read_make_the_error_rate(place: Site) -> None:
    """Of the device that they name, if it is known."""
    await measure(place, {"waterLevel": 1})
    for _ in range(3):
        await measure(place, b"rubbish")
    await measure(place, {"waterLevel": 1.5}, at=START + 1000)
    assert health(place, "urn:ngsi-ld:Device:g")["decodeErrorRate"] == 0.6


async def test_the_expected_interval_is_that_of_the_mode(place: Site) -> None:
    """A crisis gauge speaks daily, and each ten minutes while the level is high; the change is told at once."""
    await measure(place, {"waterLevel": 1})
    assert health(place, "urn:ngsi-ld:Device:g")["expectedInterval"] == 86_400
    await measure(place, {"waterLevel": 1.3}, at=START + 1000)
    assert health(place, "urn:ngsi-ld:Device:g")["expectedInterval"] == 600


def test_the_error_rate_is_that_of_late() -> None:
    """Old messages are forgotten by halves, so that memory stays bounded and a mended device recovers."""
    vitals = Vitals()
    for _ in range(100):
        vitals.fail()
    for _ in range(1000):
        vitals._age()
        vitals.taken += 1
    assert vitals.attrs("t")["decodeErrorRate"]["value"] < 0.01
    assert vitals.taken + vitals.failed <= 200
