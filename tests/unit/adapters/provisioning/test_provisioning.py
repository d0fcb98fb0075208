"""FIWARE's provisioning API: replies as the reference's code sends them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI

from tsunagu.adapters.provisioning.router import provisioning_router

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.adapters.memory import Site

HEADERS = {"Fiware-Service": "OpenIoT", "Fiware-ServicePath": "/rivers"}
GROUP: dict[str, Any] = {"apikey": "k", "resource": "/iot/json", "entity_type": "Gauge"}
DEVICE: dict[str, Any] = {
    "device_id": "F012",
    "apikey": "k",
    "attributes": [{"object_id": "l", "name": "level", "type": "Number"}],
}


@pytest.fixture
async def api(empty_site: Site) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of the API."""
    app = FastAPI()
    app.include_router(provisioning_router(empty_site.store, port=4041))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://city", headers=HEADERS) as client:
        yield client


@pytest.fixture
async def ready(api: httpx.AsyncClient) -> httpx.AsyncClient:
    """Give a client of an API that has a group and a device."""
    assert (await api.post("/iot/groups", json={"groups": [GROUP]})).status_code == 201
    assert (await api.post("/iot/devices", json={"devices": [DEVICE]})).status_code == 201
    return api


def named(answer: httpx.Response) -> tuple[int, str]:
    assert set(answer.json()) == {"name", "message"}
    return answer.status_code, answer.json()["name"]


async def test_creating_answers_201_and_an_empty_object(api: httpx.AsyncClient) -> None:
    """As the code of the reference does."""
    answer = await api.post("/iot/groups", json={"groups": [GROUP]})
    assert (answer.status_code, answer.json()) == (201, {})


@pytest.mark.parametrize(("path", "member"), [("/iot/groups", "groups"), ("/iot/services", "services")])
async def test_groups_are_listed_under_either_name(ready: httpx.AsyncClient, path: str, member: str) -> None:
    """/iot/services is the older name."""
    answer = await ready.get(path)
    assert answer.json() == {"count": 1, member: [{**GROUP, "service": "openiot", "subservice": "/rivers"}]}


async def test_services_are_created_under_the_older_name(api: httpx.AsyncClient) -> None:
    """With the older member."""
    assert (await api.post("/iot/services", json={"services": [GROUP]})).status_code == 201
    assert named(await api.post("/iot/services", json={"groups": [GROUP]})) == (400, "WRONG_SYNTAX")


async def test_all_service_paths_are_listed_with_a_star(ready: httpx.AsyncClient) -> None:
    """/* lists the whole service."""
    other = {**HEADERS, "Fiware-ServicePath": "/roads"}
    await ready.post("/iot/groups", json={"groups": [{**GROUP, "apikey": "k2"}]}, headers=other)
    assert (await ready.get("/iot/groups")).json()["count"] == 1
    assert (await ready.get("/iot/groups", headers={**HEADERS, "Fiware-ServicePath": "/*"})).json()["count"] == 2


async def test_a_group_is_changed_member_by_member(ready: httpx.AsyncClient) -> None:
    """PUT answers 204 and leaves the other members."""
    answer = await ready.put("/iot/groups?resource=/iot/json&apikey=k", json={"entity_type": "River"})
    assert (answer.status_code, answer.content) == (204, b"")
    (group,) = (await ready.get("/iot/groups")).json()["groups"]
    assert (group["entity_type"], group["apikey"]) == ("River", "k")


async def test_a_group_is_removed_with_its_devices(ready: httpx.AsyncClient) -> None:
    """device=true takes the devices too."""
    assert (await ready.delete("/iot/groups?resource=/iot/json&apikey=k&device=true")).status_code == 204
    assert (await ready.get("/iot/groups")).json()["count"] == 0
    assert (await ready.get("/iot/devices")).json()["count"] == 0


async def test_a_device_is_shown_with_what_its_group_settled(ready: httpx.AsyncClient) -> None:
    """Entity type and name are filled in when it is provisioned."""
    assert (await ready.get("/iot/devices/F012")).json() == {
        "device_id": "F012",
        "apikey": "k",
        "service": "openiot",
        "service_path": "/rivers",
        "entity_name": "urn:ngsi-ld:Gauge:F012",
        "entity_type": "Gauge",
        "attributes": [{"object_id": "l", "name": "level", "type": "Number"}],
    }


async def test_devices_are_listed_in_pages(ready: httpx.AsyncClient) -> None:
    """Count is of all, limit and offset choose."""
    await ready.post("/iot/devices", json={"devices": [{**DEVICE, "device_id": f"G{n}"} for n in range(3)]})
    page = (await ready.get("/iot/devices?limit=2&offset=1")).json()
    assert (page["count"], [device["device_id"] for device in page["devices"]]) == (4, ["G0", "G1"])


async def test_a_device_is_changed_and_removed(ready: httpx.AsyncClient) -> None:
    """PUT and DELETE answer 204."""
    assert (
        await ready.put("/iot/devices/F012?apikey=k", json={"entity_name": "urn:ngsi-ld:River:1"})
    ).status_code == 204
    assert (await ready.get("/iot/devices/F012")).json()["entity_name"] == "urn:ngsi-ld:River:1"
    assert (await ready.delete("/iot/devices/F012")).status_code == 204
    assert named(await ready.get("/iot/devices/F012")) == (404, "DEVICE_NOT_FOUND")


async def test_several_devices_are_removed_in_one_call(ready: httpx.AsyncClient) -> None:
    """The ones that are there go; if one is missing the answer says so."""
    await ready.post("/iot/devices", json={"devices": [{**DEVICE, "device_id": "G1"}]})
    body = {"devices": [{"deviceId": "F012", "apikey": "k"}, {"deviceId": "nobody"}, {"deviceId": "G1"}]}
    assert named(await ready.post("/iot/op/delete", json=body)) == (404, "DEVICE_NOT_FOUND")
    assert (await ready.get("/iot/devices")).json()["count"] == 0
    assert (await ready.post("/iot/op/delete", json={"devices": []})).status_code == 204


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "/iot/groups", {"groups": [GROUP]}, (409, "DUPLICATE_GROUP")),
        (
            "POST",
            "/iot/groups",
            {"groups": [{**GROUP, "apikey": "x", "entity_type": None}]},
            (400, "MISSING_CONFIG_PARAMS"),
        ),
        ("POST", "/iot/groups", {"groups": [{"apikey": "x"}]}, (400, "WRONG_SYNTAX")),
        ("POST", "/iot/groups", {"group": []}, (400, "WRONG_SYNTAX")),
        ("PUT", "/iot/groups?resource=/iot/json&apikey=none", {}, (404, "DEVICE_GROUP_NOT_FOUND")),
        ("PUT", "/iot/groups?apikey=k", {}, (400, "MISSING_HEADERS")),
        ("DELETE", "/iot/groups?resource=/iot/d&apikey=k", None, (404, "DEVICE_GROUP_NOT_FOUND")),
        ("POST", "/iot/devices", {"devices": [DEVICE]}, (409, "DUPLICATE_DEVICE_ID")),
        ("POST", "/iot/devices", {"devices": [{"entity_name": "x"}]}, (400, "MISSING_ATTRIBUTES")),
        ("POST", "/iot/devices", {"devices": {}}, (400, "WRONG_SYNTAX")),
        ("POST", "/iot/devices", {"devices": [], "more": 1}, (400, "WRONG_SYNTAX")),
        (
            "POST",
            "/iot/devices",
            {"devices": [{"device_id": "x", "attributes": [{"name": "a(b)"}]}]},
            (400, "WRONG_SYNTAX"),
        ),
        (
            "POST",
            "/iot/devices",
            {"devices": [{"device_id": "x", "attributes": [{"name": "a", "unit": "m"}]}]},
            (400, "WRONG_SYNTAX"),
        ),
        (
            "POST",
            "/iot/devices",
            {"devices": [{"device_id": "x", "attributes": [{"name": "a", "expression": "1 +"}]}]},
            (400, "WRONG_SYNTAX"),
        ),
        ("PUT", "/iot/devices/F012", {"device_id": "F013"}, (400, "BAD_REQUEST")),
        ("PUT", "/iot/devices/F012", {"colour": "red"}, (400, "WRONG_SYNTAX")),
        ("PUT", "/iot/devices/nobody", {}, (404, "DEVICE_NOT_FOUND")),
        ("DELETE", "/iot/devices/nobody", None, (404, "DEVICE_NOT_FOUND")),
        ("POST", "/iot/op/delete", {"devices": [{"device_id": "F012"}]}, (400, "WRONG_SYNTAX")),
        ("GET", "/iot/devices?limit=many", None, (400, "WRONG_SYNTAX")),
    ],
)
async def test_what_cannot_be_is_refused(
    ready: httpx.AsyncClient, method: str, path: str, body: Any, expected: tuple[int, str]
) -> None:
    """With the reference's status and name."""
    assert named(await ready.request(method, path, json=body)) == expected


async def test_the_message_names_the_wrong_member(api: httpx.AsyncClient) -> None:
    """More than the reference says."""
    body = {"devices": [DEVICE, {"device_id": "x", "attributes": [{"name": "a", "object_id": 5}]}]}
    assert "devices[1].attributes[0].object_id" in (await api.post("/iot/devices", json=body)).json()["message"]


async def test_one_wrong_device_changes_nothing(ready: httpx.AsyncClient) -> None:
    """A body is taken whole or not at all."""
    body = {"devices": [{"device_id": "new"}, DEVICE]}
    assert named(await ready.post("/iot/devices", json=body)) == (409, "DUPLICATE_DEVICE_ID")
    assert (await ready.get("/iot/devices")).json()["count"] == 1


@pytest.mark.parametrize("missing", ["Fiware-Service", "Fiware-ServicePath"])
async def test_both_headers_are_mandatory(api: httpx.AsyncClient, missing: str) -> None:
    """Without one of them 400 MISSING_HEADERS."""
    del api.headers[missing]
    answer = await api.get("/iot/devices")
    assert named(answer) == (400, "MISSING_HEADERS")
    assert missing.lower() in answer.json()["message"]


async def test_an_empty_service_is_the_default_tenant(api: httpx.AsyncClient) -> None:
    """Its devices are of the broker's default tenant."""
    assert (await api.post("/iot/groups", json={"groups": [GROUP]}, headers={"Fiware-Service": ""})).status_code == 201


@pytest.mark.parametrize(
    "headers", [{"Fiware-Service": "a b"}, {"Fiware-Service": "x" * 60}, {"Fiware-ServicePath": "rivers"}]
)
async def test_headers_of_another_form_are_refused(api: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """With the form that would be right."""
    assert named(await api.post("/iot/devices", json={"devices": []}, headers=headers)) == (400, "WRONG_SYNTAX")


async def test_another_service_cannot_touch_a_group(ready: httpx.AsyncClient) -> None:
    """403, as the reference says."""
    answer = await ready.delete("/iot/groups?resource=/iot/json&apikey=k", headers={"Fiware-Service": "other"})
    assert named(answer) == (403, "MISMATCHED_SERVICE")


async def test_a_service_does_not_see_another_devices(ready: httpx.AsyncClient) -> None:
    """Each service is a tenant."""
    assert named(await ready.get("/iot/devices/F012", headers={"Fiware-Service": "other"})) == (404, "DEVICE_NOT_FOUND")


async def test_a_body_that_is_no_json_is_refused(api: httpx.AsyncClient) -> None:
    """With where it breaks off."""
    assert named(await api.post("/iot/devices", content=b"{")) == (400, "WRONG_SYNTAX")


async def test_about_tells_the_version(api: httpx.AsyncClient) -> None:
    """It needs no headers."""
    answer = await api.get("/iot/about")
    assert (answer.status_code, answer.json()["port"], answer.json()["baseRoot"]) == (200, "4041", "/")


async def test_a_store_that_is_away_is_told_with_the_time_to_try_again(
    ready: httpx.AsyncClient, empty_site: Site
) -> None:
    """503 with Retry-After and no traceback."""
    empty_site.catalogue.away = True
    answer = await ready.get("/iot/devices")
    assert named(answer) == (503, "SERVICE_UNAVAILABLE")
    assert answer.headers["retry-after"] == "2"


@pytest.mark.parametrize(
    ("settings", "member"),
    [
        ({"message": "x"}, "internal_attributes.message"),
        ({"message": {"time": ["a"]}}, "internal_attributes.message.time"),
        ({"message": {"rows": 5}}, "internal_attributes.message.rows"),
        ({"message": {"values": {"x": 5}}}, "internal_attributes.message.values.x"),
        ({"message": {"columns": "a,b"}}, "internal_attributes.message.columns"),
        ({"message": {"columns": ["a", "a"]}}, "internal_attributes.message.columns"),
        ({"message": {"delimiter": ";;"}}, "internal_attributes.message.delimiter"),
        ({"message": {"encoding": "klingon"}}, "internal_attributes.message.encoding"),
        ({"message": {"colour": 1}}, "internal_attributes.message.colour"),
        ({"tags": {"allow": 5}}, "internal_attributes.tags.allow"),
        ({"tags": {"enter_after": "x"}}, "internal_attributes.tags.enter_after"),
        ({"tags": {"margin": None}}, "internal_attributes.tags.margin"),
        ({"tags": {"colour": 1}}, "internal_attributes.tags"),
        ({"moving": "x"}, "internal_attributes.moving"),
        ({"mqttAuthenticated": "yes"}, "internal_attributes.mqttAuthenticated"),
        ({"occupancy": "x"}, "internal_attributes.occupancy"),
    ],
)
async def test_a_setting_that_cannot_work_is_refused_when_it_is_provisioned(
    api: httpx.AsyncClient, settings: dict[str, Any], member: str
) -> None:
    """And not only when the first message meets it."""
    answer = await api.post("/iot/groups", json={"groups": [{**GROUP, "internal_attributes": settings}]})
    assert named(answer) == (400, "WRONG_SYNTAX")
    assert member in answer.json()["message"]
