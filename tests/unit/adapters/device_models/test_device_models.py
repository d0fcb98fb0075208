"""Device models: those that ship, and what naming one does."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest
from fastapi import FastAPI

from tsunagu.adapters.device_models.golden import compare
from tsunagu.adapters.device_models.store import ModelStore, shipped
from tsunagu.adapters.inbound.http import DeviceDoor
from tsunagu.adapters.management.router import management_router
from tsunagu.adapters.message import Message
from tsunagu.adapters.provisioning.errors import ProvisioningError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.adapters.memory import Site

BASE = "/tsunagu/v1/devices"
NOW = 1784401841000
STATIC = [{"name": "offset", "type": "Number", "value": 0.5}]
OWN: dict[str, Any] = {
    "id": "kawakami-gauge",
    "version": "1.0.0",
    "title": "A gauge of the town's own",
    "brandName": "Kawakami",
    "entity_type": "Gauge",
    "explicitAttrs": True,
    "attributes": [{"object_id": "wl", "name": "waterLevel", "type": "Number", "expression": "wl / 1000 + offset"}],
    "internal_attributes": {"health": {"interval": 600}},
    "requires": [{"name": "offset", "description": "height over zero, m"}],
}


@pytest.fixture
async def place(empty_site: Site) -> Site:
    """Give a site with a group that names no model."""
    await empty_site.store.create_groups("", "/", [{"apikey": "k", "resource": "/iot/json", "entity_type": "Thing"}])
    empty_site.store.models = ModelStore(empty_site.registry, empty_site.sink)
    return empty_site


@pytest.fixture
async def api(place: Site) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of the API."""
    app = FastAPI()
    app.include_router(management_router(place.store, DeviceDoor(place.pipeline)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://city") as client:
        yield client


async def take(place: Site, body: Any, device: str = "g") -> str | None:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    message = Message("iotagent_json", raw, NOW, {"apikey": "k", "device": device}, f"/json/k/{device}/attrs")
    (work,) = await place.pipeline.prepare([message])
    await place.pipeline.commit([work])
    return work.error.name if work.error else None


def levels(place: Site) -> list[Any]:
    return [u.attrs["waterLevel"]["value"] for u in place.sink.updates if "waterLevel" in u.attrs]


def test_what_the_issue_names_is_in_the_box() -> None:
    """With golden messages, each."""
    names = {model["id"] for model in shipped()}
    assert names >= {
        "milesight-em500-swl",
        "milesight-em500-udl",
        "dragino-ldds75",
        "minew-gateway",
        "aprilbrother-v4",
        "axis-object-analytics",
        "onvif-events",
        "gif-river-level",
    }
    assert all(model["golden"] for model in shipped())


@pytest.mark.parametrize("name", [model["id"] for model in shipped()])
async def test_the_golden_messages_of_a_shipped_model_become_what_it_says(api: httpx.AsyncClient, name: str) -> None:
    """Checked by the API that integrators have."""
    answer = await api.post(f"{BASE}/models/{name}/check")
    assert answer.json()["ok"] is True, answer.text


async def test_a_device_that_names_a_model_gives_only_what_is_its_own(api: httpx.AsyncClient, place: Site) -> None:
    """Type, mapping and health come from the model; the model becomes an entity; preview says which version it was."""
    assert (await api.post(f"{BASE}/models", json=OWN)).status_code == 201
    device = {"device_id": "g", "apikey": "k", "model": "kawakami-gauge", "static_attributes": STATIC}
    await place.store.create_devices("", "/", [device])
    shown = await place.store.device("", "/", "g", None)
    assert (shown["model"], shown["entity_type"], "template" in shown) == ("kawakami-gauge", "Gauge", False)
    assert await take(place, {"wl": 1500, "other": 1}) is None
    assert levels(place) == [2.0]
    entity = place.sink.entities["", "urn:ngsi-ld:DeviceModel:kawakami-gauge"]
    assert (entity["version"]["value"], entity["brandName"]["value"]) == ("1.0.0", "Kawakami")
    found = (await api.post(f"{BASE}/preview", json={"path": "/iot/json?k=k&i=g", "body": {"wl": 1}})).json()
    assert found["models"] == ["kawakami-gauge@1.0.0"]
    assert any(update.attrs.get("deviceState") for update in place.sink.updates)


async def test_what_the_device_says_wins(api: httpx.AsyncClient, place: Site) -> None:
    """Member by member, attribute by attribute."""
    await api.post(f"{BASE}/models", json=OWN)
    own = [{"object_id": "wl", "name": "waterLevel", "type": "Number", "expression": "wl / 100"}]
    device = {"device_id": "g", "apikey": "k", "model": "kawakami-gauge", "entity_type": "River", "attributes": own}
    await place.store.create_devices("", "/", [{**device, "static_attributes": STATIC}])
    await take(place, {"wl": 150})
    assert levels(place) == [1.5]
    assert place.sink.updates[-2].type == "River" or place.sink.updates[-1].type == "River"


async def test_a_model_says_what_a_device_must_give(api: httpx.AsyncClient, place: Site) -> None:
    """Refused when it is provisioned, by name; the group may give it too."""
    await api.post(f"{BASE}/models", json=OWN)
    device = {"device_id": "g", "apikey": "k", "model": "kawakami-gauge"}
    with pytest.raises(ProvisioningError, match=r"offset \(height over zero, m\)"):
        await place.store.create_devices("", "/", [device])
    with pytest.raises(ProvisioningError, match="there is no none"):
        await place.store.create_devices("", "/", [{**device, "model": "none"}])
    await place.store.change_group("", "/", "/iot/json", "k", changes={"static_attributes": STATIC})
    await place.store.create_devices("", "/", [device])


async def test_a_mended_model_takes_what_was_set_aside(api: httpx.AsyncClient, place: Site) -> None:
    """The quarantine names the version that was wrong; the new one is followed, and the replay loses nothing."""
    wrong = copy.deepcopy(OWN)
    wrong["attributes"][0]["type"] = "DateTime"
    await api.post(f"{BASE}/models", json=wrong)
    group = {"apikey": "m", "resource": "/iot/json", "entity_type": "Gauge", "model": "kawakami-gauge"}
    await place.store.create_groups("", "/", [{**group, "static_attributes": STATIC}])
    await place.store.create_devices(
        "", "/", [{"device_id": "p", "apikey": "k", "model": "kawakami-gauge@1.0.0", "static_attributes": STATIC}]
    )
    for number in range(5):
        message = Message(
            "iotagent_json", b'{"wl": %d}' % (1000 + number), NOW + number, {"apikey": "m", "device": "x"}
        )
        await place.pipeline.commit(await place.pipeline.prepare([message]))
    kept = (await api.get(f"{BASE}/quarantine")).json()["messages"]
    assert {one["model"] for one in kept} == {"kawakami-gauge@1.0.0"}
    answer = await api.post(f"{BASE}/models", json={**OWN, "version": "1.1.0"})
    assert answer.json()["following"] == 1
    replayed = (await api.post(f"{BASE}/quarantine/replay", json={})).json()
    assert (replayed["replayed"], replayed["failed"]) == (5, [])
    assert levels(place) == [1.5, 1.501, 1.502, 1.503, 1.504]
    assert await take(place, {"wl": 1}, device="p") == "BAD_MEASURE"


async def test_a_file_that_does_not_keep_its_promise_is_refused(api: httpx.AsyncClient, place: Site) -> None:
    """The difference is told, and nothing is stored."""
    golden = {
        "title": "a reading",
        "group": {"apikey": "k", "resource": "/iot/json"},
        "device": {"device_id": "g", "static_attributes": STATIC},
        "message": {"path": "/iot/json?k=k&i=g", "body": {"wl": 1500}},
        "entities": [],
    }
    answer = await api.post(f"{BASE}/models", json={**OWN, "golden": [golden]})
    assert (answer.status_code, "a reading: entities should be []" in answer.json()["detail"]) == (400, True)
    assert (await api.get(f"{BASE}/models/kawakami-gauge")).status_code == 404


async def test_an_export_can_be_imported_elsewhere(api: httpx.AsyncClient) -> None:
    """The file is whole; the same file twice changes nothing, another under its version is refused."""
    file = (await api.get(f"{BASE}/models/milesight-em500-swl")).json()
    assert (await api.post(f"{BASE}/models", json=file, headers={"NGSILD-Tenant": "north"})).status_code == 201
    await api.post(f"{BASE}/models", json=OWN)
    assert (await api.post(f"{BASE}/models", json=OWN)).status_code == 201
    assert (await api.post(f"{BASE}/models", json={**OWN, "title": "other"})).status_code == 409


async def test_a_version_that_somebody_names_stays(api: httpx.AsyncClient, place: Site) -> None:
    """One that nobody names goes; those that ship cannot."""
    await api.post(f"{BASE}/models", json=OWN)
    device = {"device_id": "g", "apikey": "k", "model": "kawakami-gauge@1.0.0", "static_attributes": STATIC}
    await place.store.create_devices("", "/", [device])
    assert (await api.delete(f"{BASE}/models/kawakami-gauge@1.0.0")).status_code == 409
    await place.store.delete_device("", "/", "g", None)
    assert (await api.delete(f"{BASE}/models/kawakami-gauge@1.0.0")).status_code == 204
    assert (await api.delete(f"{BASE}/models/milesight-em500-swl@1.0.0")).status_code == 404
    assert (await api.delete(f"{BASE}/models/kawakami-gauge")).status_code == 400


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"id": "A B"}, "id"),
        ({"version": "1"}, "version"),
        ({"colour": "red"}, "colour"),
        ({"attributes": [{"name": "a", "expression": "1 +"}]}, "attributes"),
        ({"internal_attributes": {"decoder": "none"}}, "decoder"),
    ],
)
async def test_a_model_that_cannot_work_is_refused(api: httpx.AsyncClient, wrong: dict[str, Any], said: str) -> None:
    """With the member that is wrong."""
    answer = await api.post(f"{BASE}/models", json={**OWN, **wrong})
    assert (answer.status_code, said in answer.json()["detail"]) == (400, True), answer.text


@pytest.mark.parametrize(
    ("expected", "found", "same"),
    [
        ({"a": [1, "*"]}, {"a": [1, {"b": 2}]}, True),
        ("urn:x:*", "urn:x:1", True),
        ("urn:x:*", "urn:y:1", False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ([1], [1, 2], False),
    ],
)
def test_documents_are_compared_place_by_place(expected: Any, found: Any, same: bool) -> None:
    """A star takes anything, or any text that begins so."""
    assert (compare(expected, found) == []) is same
