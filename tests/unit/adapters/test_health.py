"""Who is offline, told once; who is back, told once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tsunagu.adapters import clock
from tsunagu.adapters.errors import BadMeasure
from tsunagu.adapters.health import HealthMonitor, rule_of
from tsunagu.adapters.message import Message

if TYPE_CHECKING:
    from tests.adapters.memory import Site

START = 1784401800000
MINUTE = 60_000


@pytest.fixture
async def place(empty_site: Site) -> Site:
    """Give a site whose cameras report each minute, and whose gauges do so daily, or each ten minutes above 1.2 m."""
    gauges = {"interval": 86_400, "missed": 1, "alertInterval": 600, "above": {"waterLevel": 1.2}}
    await empty_site.store.create_groups(
        "",
        "/",
        [
            {
                "apikey": "cam",
                "resource": "/iot/camera",
                "entity_type": "Camera",
                "internal_attributes": {"health": {"interval": 60}},
            },
            {
                "apikey": "river",
                "resource": "/iot/json",
                "entity_type": "RiverLevelObserved",
                "internal_attributes": {"health": gauges},
            },
        ],
    )
    return empty_site


async def beat(place: Site, camera: str, minute: float) -> None:
    at = START + round(minute * MINUTE)
    body = orjson.dumps({"status": "ok", "time": clock.iso(at)})
    await take(place, Message("camera", body, at, {"apikey": "cam", "device": camera}))


async def level(place: Site, metres: float, minute: float) -> None:
    at = START + round(minute * MINUTE)
    await take(
        place, Message("iotagent_json", orjson.dumps({"waterLevel": metres}), at, {"apikey": "river", "device": "g"})
    )


async def take(place: Site, message: Message) -> None:
    work = await place.pipeline.prepare([message])
    await place.pipeline.commit(work)
    assert work[0].error is None


def states(place: Site, *, history: bool | None = None) -> list[tuple[str, Any]]:
    return [
        (update.id.rpartition(":")[2], update.attrs["deviceState"]["value"])
        for update in place.sink.updates
        if "deviceState" in update.attrs and (history is None or update.history is history)
    ]


async def test_thirty_silent_cameras_make_thirty_transitions(place: Site) -> None:
    """Once each, however often it is looked."""
    for number in range(40):
        await beat(place, f"C{number}", 0)
    for minute in range(1, 10):
        for number in range(10):
            await beat(place, f"C{number}", minute)
        await place.pipeline.sweep(START + minute * MINUTE + 1000)
    offline = [name for name, state in states(place) if state == "offline"]
    assert len(offline) == len(set(offline)) == 30


async def test_heartbeats_leave_no_history_but_transitions_do(place: Site) -> None:
    """Gone and back are history, the rest is not."""
    await beat(place, "C", 0)
    await beat(place, "C", 1)
    await place.pipeline.sweep(START + 5 * MINUTE)
    await beat(place, "C", 6)
    await beat(place, "C", 7)
    assert states(place, history=True) == [("C", "offline"), ("C", "online")]
    assert states(place, history=False) == [("C", "online")] * 3


async def test_an_offline_device_says_since_when(place: Site) -> None:
    """It was last heard then."""
    await beat(place, "C", 0)
    await place.pipeline.sweep(START + 5 * MINUTE)
    assert place.sink.updates[-1].attrs["offlineSince"]["value"]["@value"] == clock.iso(START)


async def test_a_gauge_has_two_patiences(place: Site) -> None:
    """Silence of a day is normal at low water, of half an hour at high water it is not."""
    await level(place, 0.5, 0)
    await place.pipeline.sweep(START + 30 * MINUTE)
    assert [state for _, state in states(place)] == ["online"]
    await level(place, 1.5, 31)
    await place.pipeline.sweep(START + 61 * MINUTE)
    assert [state for _, state in states(place)][-1] == "offline"


async def test_health_of_what_measures_is_a_device_beside_it(place: Site) -> None:
    """The river's level is no device."""
    await level(place, 0.5, 0)
    assert [(update.id, update.type) for update in place.sink.updates] == [
        ("urn:ngsi-ld:RiverLevelObserved:g", "RiverLevelObserved"),
        ("urn:ngsi-ld:Device:g", "Device"),
    ]


async def test_a_restart_tells_nothing_twice(place: Site) -> None:
    """What the entity says already is not told again."""
    await beat(place, "C", 0)
    await place.pipeline.sweep(START + 5 * MINUTE)
    place.pipeline.reduction.health = HealthMonitor()
    async for plan in place.registry.watched():
        place.pipeline.reduction.health.watch(plan, START + 6 * MINUTE)
    await place.pipeline.sweep(START + 60 * MINUTE)
    assert [state for _, state in states(place)].count("offline") == 1


async def test_who_never_spoke_does_not_fall_silent(place: Site) -> None:
    """A provisioned camera that was never switched on is not offline."""
    await place.store.create_devices("", "/", [{"device_id": "new", "apikey": "cam"}])
    async for plan in place.registry.watched():
        place.pipeline.reduction.health.watch(plan, START)
    await place.pipeline.sweep(START + 60 * MINUTE)
    assert place.sink.updates == []


async def test_a_device_that_another_worker_hears_is_not_offline(place: Site) -> None:
    """The entity tells when it was last heard."""
    await beat(place, "C", 0)
    other = place.sink.entities["", "urn:ngsi-ld:Camera:C"]
    other["dateLastValueReported"] = {
        "type": "Property",
        "value": {"@type": "DateTime", "@value": clock.iso(START + 4 * MINUTE)},
    }
    await place.pipeline.sweep(START + 5 * MINUTE)
    assert "offline" not in [state for _, state in states(place)]


@pytest.mark.parametrize(
    "health", [5, {}, {"interval": "x"}, {"interval": 60, "above": 1}, {"interval": 60, "every": 1}, {"interval": -1}]
)
def test_rules_that_cannot_be_are_refused(health: object) -> None:
    """The error names the member."""
    with pytest.raises(BadMeasure, match=r"internal_attributes\.health"):
        rule_of({"health": health})
