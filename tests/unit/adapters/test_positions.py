"""Where moving readers are at the time of a sighting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tsunagu.adapters import clock
from tsunagu.adapters.errors import BadMeasure
from tsunagu.adapters.message import Message
from tsunagu.adapters.positions import Track, check_settings

if TYPE_CHECKING:
    from tests.adapters.memory import Site

START = 1784401800000
TAG = {"uuid": "b5b182c7-eab1-4988-aa99-b5c1517008d9", "major": 1, "minor": 1}


def place(number: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [134.8 + number / 1000, 34.7]}


def test_the_nearest_position_in_time_counts() -> None:
    """Whatever order the positions came in."""
    track = Track()
    for second in (20, 0, 10):
        track.add(START + second * 1000, place(second))
    assert track.nearest(START + 12_000, 30_000) == place(10)
    assert track.nearest(START + 60_000, 30_000) is None


def test_a_track_is_bounded() -> None:
    """The oldest positions are forgotten."""
    track = Track()
    for second in range(1000):
        track.add(START + second * 1000, place(second))
    assert len(track.times) <= 128
    assert track.nearest(START, 1000) is None


@pytest.mark.parametrize("settings", [{"positionWithin": "x"}, {"positionWithin": -1}, {"positionOf": 5}])
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any]) -> None:
    """The error names the member."""
    with pytest.raises(BadMeasure, match=r"internal_attributes\.position"):
        check_settings(settings)


@pytest.fixture
async def street(empty_site: Site) -> Site:
    """Give a site with a fixed reader and a bike that reports its position as a gauge would."""
    await empty_site.store.create_groups(
        "",
        "/",
        [
            {
                "apikey": "ble",
                "resource": "/iot/ble",
                "entity_type": "TagReader",
                "internal_attributes": {"tags": {"allow": ["b5b182c7"]}},
            },
            {"apikey": "gps", "resource": "/iot/json", "entity_type": "Vehicle"},
        ],
    )
    location = {"name": "location", "type": "geo:json", "value": place(0)}
    position = {"object_id": "pos", "name": "location", "type": "geo:json"}
    await empty_site.store.create_devices(
        "",
        "/",
        [
            {"device_id": "pole", "apikey": "ble", "static_attributes": [location]},
            {
                "device_id": "bike",
                "apikey": "ble",
                "internal_attributes": {"moving": True, "positionOf": "urn:ngsi-ld:Vehicle:bike7"},
            },
            {"device_id": "bike7", "apikey": "gps", "attributes": [position]},
        ],
    )
    return empty_site


async def take(street: Site, *messages: Message) -> None:
    work = await street.pipeline.prepare(messages)
    await street.pipeline.commit(work)
    assert [one.error for one in work] == [None] * len(work)


def heard(reader: str, second: int, event: str = "enter") -> Message:
    body = orjson.dumps({"gw": reader, "ts": START + second * 1000, "ev": event, "seq": second, **TAG})
    return Message("ble_gateway", body, START + second * 1000, {"apikey": "ble", "shape": "edge"})


def gps(second: int) -> Message:
    body = orjson.dumps({"pos": place(second), "TimeInstant": clock.iso(START + second * 1000)})
    return Message("iotagent_json", body, START + second * 1000, {"apikey": "gps", "device": "bike7"})


def sightings(street: Site) -> list[tuple[str, Any]]:
    return [
        (update.attrs["refReader"]["object"].rpartition(":")[2], update.attrs.get("location", {}).get("value"))
        for update in street.sink.updates
        if update.type == "TagSighting"
    ]


async def test_a_moving_reader_gives_its_position_at_that_time(street: Site) -> None:
    """The bike is where its GPS was, the pole where it stands."""
    await take(street, gps(100), gps(110), heard("pole", 105), heard("bike", 112), gps(120))
    assert sightings(street) == [("pole", place(0)), ("bike", place(110))]


async def test_a_reader_whose_position_is_old_gives_none(street: Site) -> None:
    """Not the last known one of an hour ago."""
    await take(street, gps(100))
    await take(street, heard("bike", 4000))
    assert sightings(street) == [("bike", None)]


async def test_a_restarted_process_asks_for_the_present_position(street: Site) -> None:
    """What the entity says counts if it is of that time."""
    await take(street, gps(100))
    street.pipeline.reduction.positions.__init__()  # type: ignore[misc]
    await take(street, heard("bike", 110))
    assert sightings(street) == [("bike", place(100))]
