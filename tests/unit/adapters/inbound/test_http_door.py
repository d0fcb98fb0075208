"""The HTTP door; the recordings of the formats show the usual requests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tsunagu.adapters.inbound.http import DeviceDoor

if TYPE_CHECKING:
    from tests.adapters.memory import Site

JSON = {"content-type": "application/json"}
URL = "/iot/json?k=k&i=d"


@pytest.fixture
async def place(empty_site: Site) -> Site:
    """Give a site with a group of gauges and one of cameras."""
    groups = [
        {"apikey": "k", "resource": "/iot/json", "entity_type": "Gauge"},
        {"apikey": "cam", "resource": "/iot/json", "entity_type": "Camera"},
        {"apikey": "axis", "resource": "/iot/camera", "entity_type": "Camera"},
        {
            "apikey": "ble",
            "resource": "/iot/ble",
            "entity_type": "TagReader",
            "internal_attributes": {"tags": {"allow": ["b5b182c7"]}},
        },
    ]
    await empty_site.store.create_groups("", "/", groups)
    return empty_site


def client(door: DeviceDoor) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://city")


async def post(door: DeviceDoor, url: str, content: Any, headers: dict[str, str] | None = None) -> httpx.Response:
    async with client(door) as one:
        return await one.post(url, content=content, headers=headers or JSON)


async def test_an_answer_comes_after_the_commit(place: Site) -> None:
    """200 says that the measure is stored; the header tells how long it took."""
    answer = await post(DeviceDoor(place.pipeline), URL, b'{"level":2}')
    assert (answer.status_code, answer.json(), len(place.sink.updates)) == (200, {}, 1)
    assert answer.headers["x-processing-time"].isdigit()


async def test_an_unavailable_sink_is_told_with_the_time_to_try_again(place: Site) -> None:
    """503 with Retry-After, and nothing remembered."""
    place.sink.away = True
    answer = await post(DeviceDoor(place.pipeline), URL, b'{"level":2}')
    assert (answer.status_code, answer.headers["retry-after"], answer.json()["name"]) == (
        503,
        "7",
        "SERVICE_UNAVAILABLE",
    )


async def test_a_count_is_not_lost_by_a_failed_commit(place: Site) -> None:
    """What a failed commit had remembered is taken back, so that the repetition counts."""
    door = DeviceDoor(place.pipeline)
    url = "/iot/camera?k=axis&i=c"

    def body(time: int, total: int) -> bytes:
        return b'{"timestamp":%d,"message":{"data":{"total":"%d"}},"topic":"s"}' % (time, total)

    await post(door, url, body(1784401800000, 10))
    place.sink.away = True
    assert (await post(door, url, body(1784401860000, 15))).status_code == 503
    place.sink.away = False
    assert (await post(door, url, body(1784401860000, 15))).status_code == 200
    assert place.sink.updates[-1].attrs["peopleCount"]["value"] == 5


async def test_a_sighting_is_not_lost_by_a_failed_commit(place: Site) -> None:
    """A tag whose enter could not be stored enters again."""
    door = DeviceDoor(place.pipeline)
    body = (
        b'{"gw":"r","ts":1784401800000,"ev":"enter","uuid":"b5b182c7-eab1-4988-aa99-b5c1517008d9","major":1,"minor":1}'
    )
    place.sink.away = True
    assert (await post(door, "/iot/ble/edge?k=ble", body)).status_code == 503
    place.sink.away = False
    assert (await post(door, "/iot/ble/edge?k=ble", body)).status_code == 200
    assert [update.attrs["presence"]["value"] for update in place.sink.updates] == ["enter"]


async def test_requests_that_arrive_together_share_writes(place: Site) -> None:
    """One write serves all that wait."""
    door = DeviceDoor(place.pipeline)
    async with client(door) as one:
        answers = await asyncio.gather(*(one.post(f"/iot/json?k=k&i=d{n}", json={"n": n}) for n in range(100)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(place.sink.updates) == 100
    assert len(place.sink.writes) < 20


async def test_a_full_door_closes(place: Site) -> None:
    """Beyond the limit a request gets 503 at once."""
    answer = await post(DeviceDoor(place.pipeline, limit=0), URL, b'{"level":2}')
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_too_large_is_refused(place: Site, chunked: bool) -> None:
    """413, whether its length is announced or not."""

    async def chunks() -> Any:
        for _ in range(30):
            yield b" " * 1000

    content = chunks() if chunked else b" " * 30_000
    answer = await post(DeviceDoor(place.pipeline, max_body=20_000), URL, content)
    assert (answer.status_code, answer.json()["name"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_a_sink_that_refuses_an_entity_is_a_400(place: Site) -> None:
    """The device hears why; the message is kept."""
    place.sink.refuse["urn:ngsi-ld:Gauge:d"] = "name must not be that"
    answer = await post(DeviceDoor(place.pipeline), URL, b'{"level":2}')
    assert (answer.status_code, answer.json()) == (400, {"name": "ENTITY_REFUSED", "message": "name must not be that"})
    assert len(place.quarantined) == 1


async def test_a_picture_in_a_camera_measure_is_refused_in_any_format(place: Site) -> None:
    """Also where the camera speaks IoT-Agent JSON."""
    answer = await post(DeviceDoor(place.pipeline), "/iot/json?k=cam&i=c", b'{"still":"data:image/png;base64,AAAA"}')
    assert (answer.status_code, answer.json()["name"], place.sink.updates) == (415, "IMAGE_REFUSED", [])


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("PATCH", URL, 405),
        ("GET", "/iot/nothing", 404),
        ("GET", "/iot/json/attrs/a?k=k&i=d", 405),
        ("POST", "/iot/json/attrs/?k=k&i=d", 404),
    ],
)
async def test_other_paths_and_methods_are_refused(place: Site, method: str, url: str, status: int) -> None:
    """404 and 405 in FIWARE's form."""
    async with client(DeviceDoor(place.pipeline)) as one:
        answer = await one.request(method, url)
    assert answer.status_code == status
    assert set(answer.json()) == {"name", "message"}


def test_the_door_knows_its_paths(empty_site: Site) -> None:
    """What is not its own is left to others."""
    door = DeviceDoor(empty_site.pipeline)
    assert [
        door.takes(path)
        for path in ("/iot/json", "/iot/json/attrs/x", "/iot/ble/ruuvi", "/iot/devices", "/ngsi-ld/v1/entities")
    ] == [
        True,
        True,
        True,
        False,
        False,
    ]


async def test_stopping_waits_for_what_is_under_way(place: Site) -> None:
    """A request that was taken is answered."""
    door = DeviceDoor(place.pipeline)
    request = asyncio.create_task(post(door, URL, b'{"level":2}'))
    await asyncio.sleep(0)
    await door.stop()
    assert (await request).status_code == 200
    await door.stop()


async def test_a_repeated_request_says_so_by_its_idempotency_key(place: Site) -> None:
    """An undated measure that is sent again with the same key has the receipt of the first one."""
    door = DeviceDoor(place.pipeline)
    for key in ("a", "a", "b"):
        answer = await post(door, URL, b'{"level":2}', {**JSON, "Idempotency-Key": key})
        assert answer.status_code == 200
    first, again, other = [update.receipt for update in place.sink.updates]
    assert first == again != other
    answer = await post(door, URL, b'{"level":2}', {**JSON, "Idempotency-Key": "x" * 257})
    assert (answer.status_code, answer.json()["name"]) == (400, "BAD_PAYLOAD")
