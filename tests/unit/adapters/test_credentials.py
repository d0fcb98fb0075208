"""Credentials of devices: what they must show, and how they get it."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI

from tsunagu.adapters import clock
from tsunagu.adapters.credentials import Credential, Proof, digest, fingerprint_of
from tsunagu.adapters.errors import BadMeasure
from tsunagu.adapters.inbound.http import DeviceDoor
from tsunagu.adapters.management.router import management_router
from tsunagu.adapters.message import Message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.adapters.memory import Site

BASE = "/tsunagu/v1/devices"
FINGERPRINT = "AB:" * 31 + "CD"


class Setting:
    """A site with its API and its device door."""

    def __init__(self, site: Site) -> None:
        self.site = site
        app = FastAPI()
        door = DeviceDoor(site.pipeline, certificate_header="X-Client-Fingerprint")
        app.include_router(management_router(site.store, door))
        self.api = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://city")
        self.south = httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://city")

    async def measure(self, device: str, **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return (await self.south.post(f"/iot/json?k=k&i={device}", json={"n": 1}, headers=named)).status_code

    async def token(self, device: str, **body: Any) -> str:
        answer = await self.api.post(f"{BASE}/{device}/credentials", json=body)
        assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
        return str(answer.json()["token"])


@pytest.fixture
async def place(empty_site: Site) -> AsyncIterator[Setting]:
    """Give a site with three devices that share an apikey."""
    await empty_site.store.create_groups("", "/", [{"apikey": "k", "resource": "/iot/json", "entity_type": "Gauge"}])
    names = [{"name": "name", "type": "Text", "value": "=国包 <1>"}]
    devices = [{"device_id": f"d{n}", "apikey": "k", "static_attributes": names} for n in (1, 2, 3)]
    await empty_site.store.create_devices("", "/", devices)
    setting = Setting(empty_site)
    async with setting.api, setting.south:
        yield setting


async def test_a_device_with_a_token_must_show_it(place: Setting) -> None:
    """In either header; an impostor is refused and leaves nothing, others go on sharing their apikey."""
    assert await place.measure("d1") == 200
    token = await place.token("d1")
    assert await place.measure("d1") == 401
    assert await place.measure("d1", authorization="Bearer wrong") == 401
    assert await place.measure("d1", authorization=f"Bearer {token}") == 200
    assert await place.measure("d1", x_device_token=token) == 200
    assert await place.measure("d2") == 200
    assert place.site.quarantined == []


async def test_a_token_is_kept_hashed_and_never_shown_again(place: Setting) -> None:
    """Neither by this API nor by the provisioning API."""
    token = await place.token("d1")
    stored = str(place.site.catalogue.entries)
    assert token not in stored
    assert digest(token) in stored
    assert "credentials" not in await place.site.store.device("", "/", "d1", None)
    shown = (await place.api.get(f"{BASE}/d1/credentials")).json()
    assert (shown["credentials"], shown["weak"], "issuedAt" in shown) == (["token"], False, True)
    assert digest(token) not in str(shown)


async def test_an_old_token_counts_as_long_as_it_was_given(place: Setting) -> None:
    """So that devices in the field can be told the new one; without an overlap it is over at once."""
    first = await place.token("d1")
    second = await place.token("d1", overlap=60)
    assert await place.measure("d1", authorization=f"Bearer {first}") == 200
    assert await place.measure("d1", authorization=f"Bearer {second}") == 200
    await place.token("d1")
    assert await place.measure("d1", authorization=f"Bearer {second}") == 401
    now = clock.now()
    credential = Credential(token=digest("b"), previous=digest("a"), until=now)
    assert [credential.accepts(Proof(digest("a")), at) for at in (now - 1, now)] == [True, False]


async def test_a_device_may_be_known_by_its_certificate(place: Setting) -> None:
    """By the fingerprint that the gateway's header names, however that is written."""
    answer = await place.api.put(f"{BASE}/d1/credentials/certificate", json={"fingerprint": FINGERPRINT})
    assert answer.json()["credentials"] == ["certificate"]
    assert await place.measure("d1") == 401
    assert await place.measure("d1", x_client_fingerprint="ab" * 31 + "ce") == 401
    assert await place.measure("d1", x_client_fingerprint=f"sha256={'ab' * 31}cd") == 200
    assert (await place.api.delete(f"{BASE}/d1/credentials")).status_code == 204
    assert await place.measure("d1") == 200


async def test_a_header_that_no_gateway_was_named_for_is_not_believed(place: Setting) -> None:
    """The setting is off by default."""
    await place.api.put(f"{BASE}/d1/credentials/certificate", json={"fingerprint": FINGERPRINT})
    door = DeviceDoor(place.site.pipeline)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://city") as south:
        headers = {"x-client-fingerprint": FINGERPRINT}
        assert (await south.post("/iot/json?k=k&i=d1", json={"n": 1}, headers=headers)).status_code == 401


async def test_commands_are_fetched_with_the_token_alone(place: Setting) -> None:
    """An impostor does not get them."""
    token = await place.token("d1")
    url = "/iot/json?k=k&i=d1&getCmd=1"
    assert (await place.south.get(url)).status_code == 401
    assert (await place.south.get(url, headers={"authorization": f"bearer {token}"})).status_code == 200


@pytest.mark.parametrize(("trusted", "expected"), [(None, "NOT_ALLOWED"), (True, None)])
async def test_over_mqtt_the_mqtt_broker_must_be_trusted(
    place: Setting, trusted: bool | None, expected: str | None
) -> None:
    """A device with a credential is refused there unless its provisioning says that MQTT authenticates it."""
    await place.token("d1")
    await place.site.store.change_device(
        "", "/", "d1", None, changes={"internal_attributes": {"mqttAuthenticated": trusted}}
    )
    message = Message("iotagent_json", b'{"n":1}', clock.now(), {"apikey": "k", "device": "d1"}, "/json/k/d1/attrs")
    (work,) = await place.site.pipeline.prepare([message])
    assert (work.error.name if work.error else None) == expected


async def test_who_shares_an_apikey_is_listed_as_weak(place: Setting) -> None:
    """And can be given tokens in one call, which then are no weakness any more."""
    await place.token("d2")
    found = (await place.api.get(f"{BASE}/credentials")).json()
    assert (found["count"], found["weak"]) == (3, 2)
    weak = (await place.api.get(f"{BASE}/credentials?weak=true")).json()["devices"]
    assert [(one["deviceId"], one["credentials"]) for one in weak] == [
        ("d1", ["sharedApikey"]),
        ("d3", ["sharedApikey"]),
    ]
    rotated = (await place.api.post(f"{BASE}/credentials/rotate", json={"weak": True})).json()
    assert [one["device_id"] for one in rotated["devices"]] == ["d1", "d3"]
    assert await place.measure("d1", authorization=f"Bearer {rotated['devices'][0]['token']}") == 200
    assert (await place.api.get(f"{BASE}/credentials?weak=true")).json()["count"] == 0


async def test_labels_are_printed_with_codes_or_as_csv(place: Setting) -> None:
    """Names are escaped for page and spreadsheet; tokens stand on them only when they were just issued."""
    page = await place.api.get(f"{BASE}/labels?format=html")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert (page.text.count("<svg"), "=国包 &lt;1&gt;" in page.text, "tsd_" in page.text) == (3, True, False)
    table = await place.api.post(f"{BASE}/credentials/rotate", json={"devices": ["d3"]}, headers={"accept": "text/csv"})
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    (row,) = csv.DictReader(io.StringIO(table.content.decode("utf-8-sig")))
    assert (row["device_id"], row["name"], row["token"][:4]) == ("d3", "'=国包 <1>", "tsd_")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/nobody/credentials", {}, 404),
        ("POST", "/d1/credentials", {"overlap": -1}, 400),
        ("PUT", "/d1/credentials/certificate", {"fingerprint": "abc"}, 400),
        ("PUT", "/d1/credentials/certificate", {}, 400),
        ("POST", "/credentials/rotate", {}, 400),
        ("POST", "/credentials/rotate", {"devices": ["d1", "d9"]}, 404),
        ("GET", "/credentials?weak=perhaps", None, 400),
        ("GET", "/labels?format=pdf", None, 400),
    ],
)
async def test_what_cannot_be_is_refused(place: Setting, method: str, path: str, body: Any, status: int) -> None:
    """With what would be right, and nothing changed."""
    answer = await place.api.request(method, BASE + path, json=body)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert (await place.api.get(f"{BASE}/credentials")).json()["weak"] == 3


async def test_nobody_provisions_a_credential_past_this_api(place: Setting) -> None:
    """The provisioning API does not take the member."""
    device = {"device_id": "x", "apikey": "k", "credentials": {"token": {"digest": digest("mine")}}}
    await place.site.store.create_devices("", "/", [device])
    assert (await place.api.get(f"{BASE}/x/credentials")).json()["weak"] is True


@pytest.mark.parametrize("text", ["", "xyz", "ab" * 31, "sha256:"])
def test_a_fingerprint_that_is_none_is_refused(text: str) -> None:
    """SHA-256 and SHA-1 have their lengths."""
    with pytest.raises(BadMeasure):
        fingerprint_of(text)
