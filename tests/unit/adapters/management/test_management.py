"""Preview, quarantine, candidates, import: /tsunagu/v1/devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI

from tsunagu.adapters.device_models.store import shipped
from tsunagu.adapters.inbound.http import DeviceDoor
from tsunagu.adapters.management.candidates import models_like
from tsunagu.adapters.management.router import management_router
from tsunagu.adapters.message import Message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.adapters.memory import Site

BASE = "/tsunagu/v1/devices"
NOW = 1784401841000
METRES = {"unitCode": {"type": "Text", "value": "MTR"}}
GROUP: dict[str, Any] = {
    "apikey": "k",
    "resource": "/iot/json",
    "entity_type": "RiverLevelObserved",
    "autoprovision": False,
    "attributes": [{"object_id": "wl", "name": "waterLevel", "type": "Number", "metadata": METRES}],
}


@pytest.fixture
async def place(empty_site: Site) -> Site:
    """Give a site with a group of gauges and one device."""
    await empty_site.store.create_groups("", "/", [GROUP])
    await empty_site.store.create_devices("", "/", [{"device_id": "F012", "apikey": "k"}])
    return empty_site


@pytest.fixture
async def api(place: Site) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of the API."""
    app = FastAPI()
    app.include_router(management_router(place.store, DeviceDoor(place.pipeline)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://city") as client:
        yield client


async def take(place: Site, body: bytes, device: str = "F012", received: int = NOW) -> None:
    message = Message("iotagent_json", body, received, {"apikey": "k", "device": device}, f"/json/k/{device}/attrs")
    await place.pipeline.commit(await place.pipeline.prepare([message]))


def is_problem(answer: httpx.Response, status: int) -> bool:
    return answer.status_code == status and {"type", "title", "status", "detail"} <= set(answer.json())


async def test_a_preview_shows_what_would_be_stored_and_stores_nothing(api: httpx.AsyncClient, place: Site) -> None:
    """Readings and entities."""
    body = {
        "topic": "/json/k/F012/attrs",
        "body": {"wl": 2.14, "TimeInstant": "2026-07-18T19:10:00Z"},
        "receivedAt": "2026-07-18T19:10:05Z",
    }
    answer = await api.post(f"{BASE}/preview", json=body)
    assert answer.json() == {
        "format": "iotagent_json",
        "tenant": "",
        "models": [],
        "readings": [{"kind": "Measure", "device_id": "F012", "values": {"wl": 2.14}, "time": "2026-07-18T19:10:00Z"}],
        "entities": [
            {
                "id": "urn:ngsi-ld:RiverLevelObserved:F012",
                "type": "RiverLevelObserved",
                "waterLevel": {
                    "type": "Property",
                    "value": 2.14,
                    "unitCode": "MTR",
                    "observedAt": "2026-07-18T19:10:00Z",
                },
            }
        ],
        "error": None,
    }
    assert place.sink.updates == []


async def test_a_preview_takes_a_template_on_trial(api: httpx.AsyncClient, place: Site) -> None:
    """A group and a device that are not provisioned."""
    group = {
        **GROUP,
        "apikey": "new",
        "attributes": [{"object_id": "d", "name": "waterLevel", "type": "Number", "expression": "d / 100"}],
    }
    body = {
        "path": "/iot/json?k=new&i=X1",
        "body": {"d": 214},
        "group": group,
        "device": {"device_id": "X1", "apikey": "new"},
    }
    answer = await api.post(f"{BASE}/preview", json=body)
    assert answer.json()["entities"][0]["waterLevel"]["value"] == 2.14
    assert (await api.post(f"{BASE}/preview", json={"path": "/iot/json?k=new&i=X1", "body": {"d": 214}})).json()[
        "error"
    ]["name"] == "DEVICE_GROUP_NOT_FOUND"


async def test_a_preview_tells_the_error(api: httpx.AsyncClient) -> None:
    """As the door would."""
    answer = await api.post(f"{BASE}/preview", json={"topic": "/json/k/F012/attrs", "text": "{oops"})
    assert (answer.status_code, answer.json()["error"]["name"]) == (200, "BAD_PAYLOAD")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"topic": "/json/k/F012/attrs"},
        {"topic": "/nowhere", "body": {}},
        {"path": "/iot/nothing", "body": {}},
        {"topic": "/json/k/F012/attrs", "base64": "%"},
        {"path": "/iot/json", "body": {}},
    ],
)
async def test_a_preview_of_nothing_is_refused(api: httpx.AsyncClient, body: dict[str, Any]) -> None:
    """A problem document."""
    answer = await api.post(f"{BASE}/preview", json=body)
    assert is_problem(answer, 400) or is_problem(answer, 404)


async def test_the_quarantine_is_listed_shown_and_emptied(api: httpx.AsyncClient, place: Site) -> None:
    """With body and reason."""
    await take(place, b"{oops")
    listed = (await api.get(f"{BASE}/quarantine?reason=BAD_PAYLOAD")).json()
    assert (listed["count"], listed["messages"][0]["body"], listed["messages"][0]["reason"]["name"]) == (
        1,
        "{oops",
        "BAD_PAYLOAD",
    )
    key = listed["messages"][0]["id"]
    assert (await api.get(f"{BASE}/quarantine/{key}")).json() == listed["messages"][0]
    assert (await api.delete(f"{BASE}/quarantine/{key}")).status_code == 204
    assert is_problem(await api.delete(f"{BASE}/quarantine/{key}"), 404)
    assert is_problem(await api.get(f"{BASE}/quarantine/{key}"), 404)


async def test_quarantined_messages_are_replayed_after_the_template_is_mended(
    api: httpx.AsyncClient, place: Site
) -> None:
    """In the order and with the time of their receipt; what still fails stays."""
    for number in range(450):
        await take(place, b'{"wl": "%d cm"}' % number, received=NOW + number)
    await take(place, b"{oops")
    mended = [{**GROUP["attributes"][0], "expression": "wl|parseint / 100"}]
    await place.store.change_group("", "/", "/iot/json", "k", changes={"attributes": mended})
    answer = (await api.post(f"{BASE}/quarantine/replay")).json()
    assert (answer["replayed"], answer["refused"], len(answer["failed"])) == (450, 1, 1)
    assert [update.attrs["waterLevel"]["value"] for update in place.sink.updates] == [n / 100 for n in range(450)]
    assert place.sink.updates[0].attrs["waterLevel"]["observedAt"] == "2026-07-18T19:10:41Z"
    assert [entry["reason"]["name"] for entry in place.quarantined] == ["BAD_PAYLOAD"]


async def test_a_replay_has_a_receipt_per_message(api: httpx.AsyncClient, place: Site) -> None:
    """Broken off between commit and removal, it does nothing twice."""
    await take(place, b'{"wl": 1}', device="F013")
    await place.store.create_devices("", "/", [{"device_id": "F013", "apikey": "k"}])
    (entry,) = place.quarantined
    await api.post(f"{BASE}/quarantine/replay", json={"ids": [entry["id"]]})
    place.catalogue.entries["", "quarantine"][entry["id"]] = entry
    await api.post(f"{BASE}/quarantine/replay", json={"ids": [entry["id"]]})
    one, two = place.sink.updates
    assert one.receipt == two.receipt == f"quarantine/{entry['id']}/0"


async def test_a_quarantined_message_is_previewed(api: httpx.AsyncClient, place: Site) -> None:
    """What it would become now."""
    await take(place, b'{"wl": 1}', device="F013")
    (entry,) = place.quarantined
    assert (await api.post(f"{BASE}/quarantine/{entry['id']}/preview")).json()["error"]["name"] == "DEVICE_NOT_FOUND"
    await place.store.create_devices("", "/", [{"device_id": "F013", "apikey": "k"}])
    assert (await api.post(f"{BASE}/quarantine/{entry['id']}/preview")).json()["entities"][0]["waterLevel"][
        "value"
    ] == 1


@pytest.mark.parametrize(
    ("values", "guessed"),
    [
        ({"battery": 100, "depth": 2}, ["milesight-em500-swl", "milesight-em500-udl"]),
        ({"battery": 100, "distance": 30}, ["milesight-em500-udl", "milesight-em500-swl"]),
        ({"Node_type": "LDDS75", "Bat": 3.35, "Distance": 1240, "Interrupt_status": 0}, ["dragino-ldds75"]),
        ({"wl": 2.14}, []),
        ({}, []),
    ],
)
def test_a_candidates_message_leads_to_the_models_that_it_resembles(values: dict[str, Any], guessed: list[str]) -> None:
    """The most alike first; a guess for a person to check."""
    found = [name.partition("@")[0] for name in models_like(values, shipped())]
    assert found[:1] == guessed[:1]
    assert set(found) <= set(guessed)


async def test_unknown_devices_are_candidates_until_they_are_admitted(api: httpx.AsyncClient, place: Site) -> None:
    """Count, sample, type; admitting provisions and replays."""
    for number in range(3):
        await take(place, b'{"wl": %d}' % number, device="F099", received=NOW + number * 1000)
    listed = (await api.get(f"{BASE}/candidates")).json()
    assert listed == {
        "count": 1,
        "candidates": [
            {
                "apikey": "k",
                "deviceId": "F099",
                "format": "iotagent_json",
                "count": 3,
                "firstSeen": "2026-07-18T19:10:41Z",
                "lastSeen": "2026-07-18T19:10:43Z",
                "sample": {"wl": 2},
                "entityType": "RiverLevelObserved",
                "modelsLike": [],
            }
        ],
    }
    assert place.sink.updates == []
    answer = await api.post(f"{BASE}/candidates/admit", json={"devices": [{"device_id": "F099", "apikey": "k"}]})
    assert answer.json() == {"admitted": 1, "replayed": 3, "failed": []}
    assert len(place.sink.updates) == 3
    assert (await api.get(f"{BASE}/candidates")).json()["count"] == 0


async def test_admitting_needs_device_and_apikey(api: httpx.AsyncClient) -> None:
    """The problem names the member."""
    answer = await api.post(f"{BASE}/candidates/admit", json={"devices": [{"device_id": "F099"}]})
    assert is_problem(answer, 400)
    assert "devices[0].apikey" in answer.json()["detail"]


def cameras(count: int, wrong: int | None = None) -> str:
    lines = ["機器ID,名称,緯度,経度"]
    for number in range(1, count + 1):
        latitude = "north" if number == wrong else f"34.{7000 + number}"
        lines.append(f"CAM{number:04d},通学路{number},{latitude},134.84")
    return "\n".join(lines)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
async def test_a_wrong_row_is_rejected_alone(api: httpx.AsyncClient, place: Site, encoding: str) -> None:
    """The others go in, whatever the file's encoding; the second run changes nothing."""
    url = f"{BASE}/import?apikey=cam&entity_type=Camera"
    body = cameras(40, wrong=16).encode(encoding)
    first = (await api.post(url, content=body)).json()
    assert (first["created"], first["rejected"]) == (39, 1)
    assert [row for row in first["rows"] if row["status"] == "rejected"] == [
        {
            "row": 17,
            "deviceId": "CAM0016",
            "status": "rejected",
            "detail": "Wrong syntax in request: Errors found validating request. 緯度: 'north' is no number",
        }
    ]
    second = (await api.post(url, content=body)).json()
    assert (second["created"], second["changed"], second["unchanged"]) == (0, 0, 39)
    assert "import" not in second
    device = await place.store.device("", "/", "CAM0001", "cam")
    assert device["static_attributes"][-1]["value"] == {"type": "Point", "coordinates": [134.84, 34.7001]}


async def test_a_dry_run_changes_nothing(api: httpx.AsyncClient, place: Site) -> None:
    """It tells what would be."""
    answer = (
        await api.post(f"{BASE}/import?apikey=cam&entity_type=Camera&dryRun=true", content=cameras(3).encode())
    ).json()
    assert (answer["created"], answer["dryRun"]) == (3, True)
    assert (await place.store.devices("", "/", limit=0, offset=0))[0] == 1


async def test_an_import_is_undone(api: httpx.AsyncClient, place: Site) -> None:
    """What it created goes, what it changed is as before."""
    body = "device_id,apikey,name,cautionLevel\nF012,k,Bridge,2.2\nF020,k,Weir,1.8\n"
    answer = (await api.post(f"{BASE}/import", content=body.encode())).json()
    assert (answer["created"], answer["changed"]) == (1, 1)
    assert (await api.post(f"{BASE}/imports/{answer['import']}/undo")).json() == {"removed": 1, "restored": 1}
    assert "static_attributes" not in await place.store.device("", "/", "F012", "k")
    assert is_problem(await api.post(f"{BASE}/imports/{answer['import']}/undo"), 404)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("device_id,colour\nX,red\n", "colour"),
        ("device_id,device_id\nX,Y\n", "two columns"),
        ("device_id,name,名称\nX,Y,Z\n", "both mean name"),
        ("", "columns"),
    ],
)
async def test_a_file_that_cannot_be_read_is_refused(api: httpx.AsyncClient, body: str, said: str) -> None:
    """As a whole, and with what is wrong."""
    answer = await api.post(f"{BASE}/import", content=body.encode())
    assert is_problem(answer, 400)
    assert said in answer.json()["detail"]


async def test_rows_that_cannot_be_are_rejected_with_their_reason(api: httpx.AsyncClient) -> None:
    """Twice the same id, half a position, no id."""
    body = (
        "device_id,apikey,latitude,longitude\n"
        "A,k,34.7,134.8\nA,k,34.7,134.8\nB,k,34.7,\n,k,34.7,134.8\nC,k,134.8,34.7\n"
    )
    rows = (await api.post(f"{BASE}/import", content=body.encode())).json()["rows"]
    assert [(row["row"], row["status"]) for row in rows] == [
        (2, "created"),
        (3, "rejected"),
        (4, "rejected"),
        (5, "rejected"),
        (6, "rejected"),
    ]


async def test_ids_stay_as_they_are_written_and_lines_of_another_length_are_rejected_alone(
    api: httpx.AsyncClient, place: Site
) -> None:
    """An id of digits and an e is no number; empty cells at a line's end are nothing; a cell too few is that row's."""
    body = "device_id,apikey,name\n12e3,k,Weir,,\n007,k,Bridge\nF030,k\nF031,k,Gate\n"
    rows = (await api.post(f"{BASE}/import", content=body.encode())).json()["rows"]
    assert [(row["row"], row["deviceId"], row["status"]) for row in rows] == [
        (2, "12e3", "created"),
        (3, "007", "created"),
        (4, None, "rejected"),
        (5, "F031", "created"),
    ]
    assert rows[2]["detail"] == "line 4 has 2 columns and should have 3"
    assert await place.store.device("", "/", "12e3", "k") is not None


async def test_a_store_that_is_away_is_told(api: httpx.AsyncClient, place: Site) -> None:
    """503 with Retry-After."""
    place.catalogue.away = True
    answer = await api.get(f"{BASE}/quarantine")
    assert is_problem(answer, 503)
    assert answer.headers["retry-after"] == "2"


async def test_tenants_do_not_see_each_other(api: httpx.AsyncClient, place: Site) -> None:
    """By NGSILD-Tenant or Fiware-Service."""
    await take(place, b"{oops")
    for header in ("NGSILD-Tenant", "Fiware-Service"):
        assert (await api.get(f"{BASE}/quarantine", headers={header: "other"})).json()["count"] == 0
