"""Connections and routes over the API, and webhooks that come by routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI

from tsunagu.adapters.connections.book import RouteBook, RoutedTopics
from tsunagu.adapters.connections.route import compile_route
from tsunagu.adapters.inbound.http import DeviceDoor
from tsunagu.adapters.management.router import management_router

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.adapters.memory import Site

BASE = "/tsunagu/v1/devices"
PLANT = {"id": "plant", "url": "mqtts://tsunagu:secret-word@mqtt.example:8883"}
HOOK: dict[str, Any] = {
    "id": "vendor",
    "path": "/iot/hooks/vendor/{site}",
    "format": "iotagent_json",
    "apikey": "k-{site}",
    "device": {"json": "$.meta.devices[0].id"},
    "require": {"header": "X-Vendor-Key", "value": "a-long-secret"},
}


class Setting:
    """A site with its API, its device door and its routes."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.book = RouteBook()
        self.door = DeviceDoor(site.pipeline)
        self.door.hooks = self.book.hook
        self.refused: str | None = None
        app = FastAPI()
        app.include_router(management_router(site.store, self.door, self.refusal, book=self.book))
        self.api = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://city")
        self.south = httpx.AsyncClient(transport=httpx.ASGITransport(self.door), base_url="http://city")

    async def refusal(self, entry: dict[str, Any]) -> str | None:
        return self.refused

    async def use_routes(self) -> None:
        self.book.replace(compile_route(entry) for entry in await self.site.catalogue.find("", "device_routes"))


@pytest.fixture
async def place(empty_site: Site) -> AsyncIterator[Setting]:
    """Give a site with a group in two tenants."""
    group = {"resource": "/iot/json", "entity_type": "Gauge"}
    await empty_site.store.create_groups("", "/", [{**group, "apikey": "k-a"}])
    await empty_site.store.create_groups("north", "/", [{**group, "apikey": "k-b"}])
    setting = Setting(empty_site)
    async with setting.api, setting.south:
        yield setting


async def test_a_connections_secrets_go_in_and_never_come_out(place: Setting) -> None:
    """They are shown as masks; a mask that is sent back keeps what is stored, on the same server alone."""
    pem = "-----BEGIN CERTIFICATE-----"
    body = {**PLANT, "tls": {"certificate": pem, "key": "the-key"}}
    created = await place.api.post(f"{BASE}/connections", json=body)
    assert created.status_code == 201, created.text
    shown = (await place.api.get(f"{BASE}/connections/plant")).json()
    assert (shown["url"], shown["tls"]["key"]) == ("mqtts://tsunagu:********@mqtt.example:8883", "********")
    assert (shown["connected"], shown["workers"]) == (False, [])
    for text in (created.text, (await place.api.get(f"{BASE}/connections")).text):
        assert "secret-word" not in text
        assert "the-key" not in text
    changed = {name: shown[name] for name in ("url", "tls")} | {"standard": True}
    assert (await place.api.put(f"{BASE}/connections/plant", json=changed)).status_code == 200
    stored = await place.site.catalogue.get("", "device_connections", "/plant")
    assert (stored["url"], stored["tls"]["key"], stored["standard"]) == (PLANT["url"], "the-key", True)
    moved = {**changed, "url": "mqtts://tsunagu:********@other.example:8883"}
    assert (await place.api.put(f"{BASE}/connections/plant", json=moved)).status_code == 400


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"url": "http://x"}, "url"),
        ({"url": "mqtt://host/path"}, "url"),
        ({"url": "mqtt://host:99999"}, "url"),
        ({"id": "a b"}, "id"),
        ({"version": "4"}, "version"),
        ({"more": 1}, "more"),
        ({"tls": {"certificate": "x"}}, "certificate and key"),
        ({"url": "mqtt://host", "tls": {"ca": "x"}}, "mqtts"),
    ],
)
async def test_a_connection_that_cannot_be_is_refused(place: Setting, wrong: dict[str, Any], said: str) -> None:
    """With the member that is wrong."""
    answer = await place.api.post(f"{BASE}/connections", json={**PLANT, **wrong})
    assert (answer.status_code, said in answer.json()["detail"]) == (400, True), answer.text


async def test_a_private_address_is_refused(place: Setting) -> None:
    """The guard's reason is told, and nothing is stored."""
    place.refused = "url: leads to the private address 10.0.0.1"
    answer = await place.api.post(f"{BASE}/connections", json=PLANT)
    assert (answer.status_code, answer.json()["detail"]) == (400, place.refused)
    assert (await place.api.get(f"{BASE}/connections")).json()["count"] == 0


async def test_connections_and_routes_belong_to_a_tenant(place: Setting) -> None:
    """Another tenant neither sees nor removes them; a connection that a route needs stays."""
    await place.api.post(f"{BASE}/connections", json=PLANT)
    route = {"id": "up", "connection": "plant", "topic": "x/{device}/up", "format": "chirpstack"}
    assert (await place.api.post(f"{BASE}/routes", json=route)).status_code == 201
    other = {"NGSILD-Tenant": "north"}
    assert (await place.api.get(f"{BASE}/connections", headers=other)).json()["count"] == 0
    assert (await place.api.delete(f"{BASE}/routes/up", headers=other)).status_code == 404
    assert (await place.api.post(f"{BASE}/routes", json=route, headers=other)).status_code == 400
    assert (await place.api.post(f"{BASE}/routes", json=route)).status_code == 409
    assert (await place.api.delete(f"{BASE}/connections/plant")).status_code == 409
    assert (await place.api.delete(f"{BASE}/routes/up")).status_code == 204
    assert (await place.api.delete(f"{BASE}/connections/plant")).status_code == 204


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"path": "/other/x"}, "/iot/hooks/"),
        ({"topic": "a/b"}, "topic or path"),
        ({"format": "none"}, "format"),
        ({"apikey": "{nobody}"}, "nobody"),
        ({"device": {"json": "$.a", "header": "X"}}, "header or json"),
        ({"device": {"header": "a b"}}, "header"),
        ({"connection": "plant"}, "connection"),
        ({"require": {"header": "X", "value": "short"}}, "require.value"),
        ({"path": None, "topic": "a/{site}"}, "require"),
        ({"format": "tabular", "apikey": None}, "apikey"),
    ],
)
async def test_a_route_that_cannot_be_is_refused(place: Setting, wrong: dict[str, Any], said: str) -> None:
    """With the member that is wrong."""
    body = {name: value for name, value in {**HOOK, **wrong}.items() if value is not None}
    answer = await place.api.post(f"{BASE}/routes", json=body)
    assert (answer.status_code, said in answer.json()["detail"]) == (400, True), answer.text


async def test_a_pattern_is_taken_once(place: Setting) -> None:
    """Also by another tenant, who is not told whose it is."""
    await place.api.post(f"{BASE}/routes", json=HOOK)
    again = {**HOOK, "id": "other", "path": "/iot/hooks/vendor/{place}", "apikey": "x"}
    answer = await place.api.post(f"{BASE}/routes", json=again)
    assert (answer.status_code, "vendor" in answer.json()["detail"]) == (409, True)
    answer = await place.api.post(f"{BASE}/routes", json=again, headers={"NGSILD-Tenant": "north"})
    assert (answer.status_code, "another tenant" in answer.json()["detail"]) == (409, True)


async def test_a_webhook_is_read_as_its_route_says(place: Setting) -> None:
    """Identities come from the path and the body; the secret must be shown, and is never told."""
    created = await place.api.post(f"{BASE}/routes", json=HOOK)
    assert (created.status_code, created.json()["require"]["value"]) == (201, "********")
    await place.use_routes()
    body = {"level": 2, "meta": {"devices": [{"id": "F1"}]}}
    url = "/iot/hooks/vendor/a"
    assert (await place.south.post(url, json=body)).status_code == 401
    shown = {"X-Vendor-Key": "a-long-secret"}
    assert (await place.south.post(url, json=body, headers=shown)).status_code == 200
    update = place.site.sink.updates[-1]
    assert (update.id, update.attrs["level"]["value"]) == ("urn:ngsi-ld:Gauge:F1", 2)
    assert (await place.south.get(url, headers=shown)).status_code == 405
    assert (await place.south.post("/iot/hooks/none", json=body)).status_code == 404
    kept = {**HOOK, "require": created.json()["require"], "named": {"x": "y"}}
    assert (await place.api.put(f"{BASE}/routes/vendor", json=kept)).status_code == 200
    await place.use_routes()
    assert (await place.south.post(url, json=body, headers=shown)).status_code == 200


async def test_what_a_route_cannot_identify_is_quarantined_for_its_tenant(place: Setting) -> None:
    """A body without the device is set aside, never guessed."""
    await place.api.post(f"{BASE}/routes", json={**HOOK, "require": None} | {"require": HOOK["require"]})
    await place.use_routes()
    shown = {"X-Vendor-Key": "a-long-secret"}
    answer = await place.south.post("/iot/hooks/vendor/a", json={"level": 2}, headers=shown)
    assert (answer.status_code, "device" in answer.json()["message"]) == (400, True)
    assert [entry["tenant"] for entry in place.site.quarantined] == [""]


async def test_a_route_reaches_the_groups_of_its_tenant_alone(place: Setting) -> None:
    """Another tenant's apikey is as good as none, also when its device is known already."""
    await place.api.post(f"{BASE}/routes", json=HOOK)
    await place.use_routes()
    shown = {"X-Vendor-Key": "a-long-secret"}
    body = {"level": 2, "meta": {"devices": [{"id": "F1"}]}}
    assert (await place.south.post("/iot/json?k=k-b&i=F1", json={"level": 1})).status_code == 200
    before = len(place.site.sink.updates)
    answer = await place.south.post("/iot/hooks/vendor/b", json=body, headers=shown)
    assert (answer.status_code, answer.json()["name"]) == (404, "DEVICE_GROUP_NOT_FOUND")
    assert len(place.site.sink.updates) == before


async def test_a_preview_takes_topics_and_paths_of_routes(place: Setting) -> None:
    """As the message itself would go."""
    route = {
        "id": "t",
        "topic": "plant/{site}/{dev}",
        "format": "iotagent_json",
        "apikey": "k-{site}",
        "device": "{dev}",
    }
    await place.api.post(f"{BASE}/routes", json=route)
    await place.api.post(f"{BASE}/routes", json=HOOK)
    await place.use_routes()
    found = (await place.api.post(f"{BASE}/preview", json={"topic": "plant/a/F2", "body": {"level": 3}})).json()
    assert found["entities"][0]["id"] == "urn:ngsi-ld:Gauge:F2"
    asked = {
        "path": "/iot/hooks/vendor/a",
        "headers": {"x-vendor-key": "a-long-secret"},
        "body": {"level": 3, "meta": {"devices": [{"id": "F3"}]}},
    }
    found = (await place.api.post(f"{BASE}/preview", json=asked)).json()
    assert found["entities"][0]["id"] == "urn:ngsi-ld:Gauge:F3"


def test_a_topics_device_may_stand_in_a_user_property() -> None:
    """MQTT 5; a message without it is set aside, and never guessed."""
    entry = {"id": "r", "tenant": "north", "topic": "plant/{line}", "format": "iotagent_json", "apikey": "k"}
    topics = RoutedTopics([compile_route({**entry, "device": {"header": "X-Device"}})], standard=False, realm="north")
    found = topics.message("plant/3", b"{}", 0, headers={"x-device": "g1"})
    assert found is not None
    assert (found.named["device"], found.fault) == ("g1", None)
    lost = topics.message("plant/3", b"{}", 0)
    assert lost is not None
    assert "X-Device" in str(lost.fault)
