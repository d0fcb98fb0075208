"""What each member of a subscription does to its notifications (5.2.12 to 5.2.15, 5.8.6), over a whole broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.conformance.context_server import context_server
from tests.conformance.requests import assert_problem
from tests.unit.subscriptions.receiver import Receiver

GAUGE = "urn:ngsi-ld:Gauge:1"
STATION = {"id": "urn:ngsi-ld:Station:1", "type": "Station", "owner": {"type": "Property", "value": "city"}}
NULL = "urn:ngsi-ld:null"
POINT = {"type": "Point", "coordinates": [134.8, 34.7]}
CREATED = {
    "id": GAUGE,
    "type": "Gauge",
    "scope": "/kobe/port",
    "level": [
        {"type": "Property", "value": 1, "unitCode": "MTR"},
        {"type": "Property", "value": 10, "datasetId": "urn:d:b"},
    ],
    "at": {"type": "Relationship", "object": STATION["id"]},
    "name": {"type": "LanguageProperty", "languageMap": {"en": "gauge", "ja": "水位計"}},
    "location": {"type": "GeoProperty", "value": POINT},
}
NEAR = {"georel": "near;maxDistance==100", "geometry": "Point", "coordinates": [134.8, 34.7]}
FAR = {**NEAR, "coordinates": [135.8, 34.7]}


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Give a listening endpoint."""
    one = Receiver()
    await one.start()
    yield one
    await one.stop()


def body(uri: str, **members: Any) -> dict[str, Any]:
    """Return a subscription to gauges; members that start with "n_" are its notification's, "e_" its endpoint's."""
    endpoint = {"uri": uri, **{key[2:]: members.pop(key) for key in list(members) if key.startswith("e_")}}
    notification = {key[2:]: members.pop(key) for key in list(members) if key.startswith("n_")}
    whole = {"entities": [{"type": "Gauge"}], **members}
    told = {"endpoint": endpoint, **notification}
    return {key: one for key, one in {"type": "Subscription", **whole, "notification": told}.items() if one is not None}


class Story:
    """Subscribes, tells the broker what happens step by step, and notes who was told at which step."""

    def __init__(self, client: httpx.AsyncClient, receiver: Receiver) -> None:
        self.client = client
        self.receiver = receiver
        self.steps: dict[str, list[int]] = {}

    async def subscribe(self, name: str, **members: Any) -> None:
        answer = await self.client.post("/subscriptions", json=body(self.receiver.url(f"/{name}"), **members))
        assert answer.status_code == 201, answer.text
        self.steps[name] = []

    async def tell(self) -> None:
        """Let a gauge come into being, change, and go."""
        attrs = f"/entities/{GAUGE}/attrs"
        await self.client.post("/entities", json=STATION)
        await self._quiet(0)
        steps: tuple[tuple[str, str, Any], ...] = (
            ("POST", "/entities", CREATED),
            ("PATCH", attrs, {"level": {"type": "Property", "value": 5}}),
            ("POST", attrs, {"alarm": {"type": "Property", "value": True}}),
            ("DELETE", f"{attrs}/alarm", None),
            ("PATCH", attrs, {"level": {"type": "Property", "value": 5}}),
            ("PATCH", f"{attrs}/level", {"type": "Property", "value": 11, "datasetId": "urn:d:b"}),
            ("DELETE", f"/entities/{GAUGE}", None),
        )
        for number, (method, path, sent) in enumerate(steps, 1):
            answer = await self.client.request(method, path, json=sent)
            assert answer.status_code in (201, 204), (number, answer.text)
            await self._quiet(number)

    async def _quiet(self, number: int) -> None:
        """Wait until nothing more comes, and note who was told."""
        seen = -1
        before = len(self.receiver.got)
        while seen != len(self.receiver.got):
            seen = len(self.receiver.got)
            await asyncio.sleep(0.3)
        for path, _, _ in self.receiver.got[before:]:
            self.steps[path[1:]].append(number)

    def told(self, name: str) -> list[dict[str, Any]]:
        """Return the notifications of a subscription."""
        return [one for path, _, one in self.receiver.got if path == f"/{name}"]

    def first(self, name: str) -> dict[str, Any]:
        """Return the first entity that a subscription was told of."""
        found: dict[str, Any] = self.told(name)[0]["data"][0]
        return found


async def test_5_8_6_who_is_told_when(client: httpx.AsyncClient, receiver: Receiver) -> None:
    """Selectors, watched attributes, triggers and conditions decide at which step of a story a subscriber is told."""
    story = Story(client, receiver)
    every = ["entityCreated", "entityUpdated", "entityDeleted"]
    cases: dict[str, tuple[dict[str, Any], list[int]]] = {
        "default": ({}, [1, 2, 3, 6]),
        "entityCreated": ({"notificationTrigger": ["entityCreated"]}, [1]),
        "entityDeleted": ({"notificationTrigger": ["entityDeleted"]}, [7]),
        "entityUpdated": ({"notificationTrigger": ["entityUpdated"]}, [1, 2, 3, 4, 6, 7]),
        "attributeCreated": ({"notificationTrigger": ["attributeCreated"]}, [1, 3]),
        "attributeUpdated": ({"notificationTrigger": ["attributeUpdated"]}, [2, 6]),
        "attributeDeleted": ({"notificationTrigger": ["attributeDeleted"]}, [4, 7]),
        "watched": ({"watchedAttributes": ["alarm"], "notificationTrigger": every}, [3, 4]),
        "watchedOnly": ({"entities": None, "watchedAttributes": ["level"]}, [1, 2, 6]),
        "id": ({"entities": [{"type": "Gauge", "id": GAUGE}]}, [1, 2, 3, 6]),
        "idPattern": ({"entities": [{"type": "Gauge", "idPattern": "Gauge:[2-9]$"}]}, []),
        "types": ({"entities": [{"type": "(Station|Pump)"}]}, [0]),
        "q": ({"q": "level==5"}, [2, 3, 6]),
        "qLinked": ({"q": 'at{Station:owner}=="city"', "n_join": "flat"}, [1, 2, 3, 6]),
        "near": ({"geoQ": NEAR}, [1, 2, 3, 6]),
        "far": ({"geoQ": FAR}, []),
        "scope": ({"scopeQ": "/kobe/#"}, [1, 2, 3, 6]),
        "otherScope": ({"scopeQ": "/osaka"}, []),
        "dataset": ({"datasetId": ["urn:d:b"]}, [1, 6]),
        "none": ({"datasetId": ["@none"]}, [1, 2, 3]),
        "paused": ({"isActive": False}, []),
    }
    for name, (members, _) in cases.items():
        await story.subscribe(name, **members)
    await story.tell()
    assert story.steps == {name: expected for name, (_, expected) in cases.items()}


async def test_5_8_6_what_is_told(client: httpx.AsyncClient, receiver: Receiver) -> None:
    """Format, selection, language, system attributes, changes, joins and the media type form what is told."""
    story = Story(client, receiver)
    created, updated = {"notificationTrigger": ["entityCreated"]}, {"notificationTrigger": ["attributeUpdated"]}
    await story.subscribe("normalized", **created)
    await story.subscribe("concise", n_format="concise", **created)
    await story.subscribe("simplified", n_format="simplified", **created)
    await story.subscribe("keyValues", n_format="keyValues", **created)
    await story.subscribe("attributes", n_attributes=["at"], **created)
    await story.subscribe("pick", n_pick=["id", "at"], **created)
    await story.subscribe("omit", n_omit=["location", "level", "scope"], **created)
    await story.subscribe("lang", lang="ja", n_pick=["name"], n_format="simplified", **created)
    await story.subscribe("sysAttrs", n_sysAttrs=True, **created)
    await story.subscribe("showChanges", n_showChanges=True, **updated)
    await story.subscribe("inline", n_join="inline", n_joinLevel=1, n_pick=["at"], **created)
    await story.subscribe("flat", n_join="flat", **created)
    await story.subscribe("ld", e_accept="application/ld+json", **created)
    await story.subscribe("geo", e_accept="application/geo+json", **created)
    await story.subscribe("deleted", notificationTrigger=["attributeDeleted"], n_format="concise")
    info = [{"key": "X-Ward", "value": "nada"}]
    await story.subscribe("receiverInfo", e_receiverInfo=info, **created)
    await story.tell()
    assert story.first("normalized")["at"] == {"type": "Relationship", "object": STATION["id"]}
    assert story.first("concise")["at"] == {"object": STATION["id"]}
    assert story.first("simplified")["at"] == story.first("keyValues")["at"] == STATION["id"]
    assert story.first("simplified")["level"] == {"dataset": {"@none": 1, "urn:d:b": 10}}
    assert set(story.first("attributes")) == {"id", "type", "scope", "at"}
    assert set(story.first("pick")) == {"id", "at"}
    assert set(story.first("omit")) == {"id", "type", "at", "name"}
    assert story.first("lang")["name"] == "水位計"
    assert {"createdAt", "modifiedAt"} <= story.first("sysAttrs").keys() & story.first("sysAttrs")["at"].keys()
    changed = story.first("showChanges")["level"]
    assert [(one["value"], one.get("previousValue")) for one in changed if "datasetId" not in one] == [(5, 1)]
    assert story.first("inline")["at"]["entity"]["owner"]["value"] == "city"
    assert [one["id"] for one in story.told("flat")[0]["data"]] == [GAUGE, STATION["id"]]
    assert "@context" in story.first("ld")
    assert story.told("geo")[0]["data"]["features"][0]["geometry"] == POINT
    assert story.first("deleted")["alarm"] == NULL
    assert story.first("receiverInfo")["id"] == GAUGE
    headers = {path[1:]: {name.lower(): text for name, text in sent.items()} for path, sent, _ in receiver.got}
    assert headers["receiverInfo"]["x-ward"] == "nada"
    assert "json-ld#context" in headers["normalized"]["link"]
    media = ("application/json", "application/ld+json", "application/geo+json")
    assert tuple(headers[name]["content-type"] for name in ("normalized", "ld", "geo")) == media


async def test_5_2_12_the_context_of_notifications(client: httpx.AsyncClient, receiver: Receiver) -> None:
    """`jsonldContext` is the @context that notifications are compacted with, and what their Link names."""
    town = {"@context": {"wasserstand": "https://uri.etsi.org/ngsi-ld/default-context/level"}}
    async with context_server() as contexts:
        url = contexts.host("/town.jsonld", town)
        story = Story(client, receiver)
        await story.subscribe("context", jsonldContext=url, n_pick=["level"], notificationTrigger=["entityCreated"])
        await story.tell()
    # `pick` was read with the @context of the request, not with that of the notifications.
    assert set(story.first("context")) == {"wasserstand"}
    assert url in receiver.got[0][1]["Link"]


async def test_5_2_12_expiry_ends_notifications(client: httpx.AsyncClient, receiver: Receiver) -> None:
    """When expiresAt is past the status is expired and nothing is sent any more; a past one cannot be given."""
    soon = (datetime.now(UTC) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    story = Story(client, receiver)
    await story.subscribe("expiring", expiresAt=soon, id="urn:s:1")
    assert (await client.get("/subscriptions/urn:s:1")).json()["status"] == "active"
    await asyncio.sleep(1.1)
    await story.tell()
    assert (await client.get("/subscriptions/urn:s:1")).json()["status"] == "expired"
    assert story.steps == {"expiring": []}
    past = body(receiver.url(), expiresAt="2020-01-01T00:00:00Z")
    assert_problem(await client.post("/subscriptions", json=past), 400, "BadRequestData")


async def test_5_2_14_2_counters_and_status(client: httpx.AsyncClient, receiver: Receiver) -> None:
    """A subscription shows how often it was told, when last, and whether that went well; a client cannot set it."""
    story = Story(client, receiver)
    await story.subscribe("counted", id="urn:s:1", n_timesSent=7, status="expired")
    await story.tell()
    shown = (await client.get("/subscriptions/urn:s:1")).json()
    told = shown["notification"]
    assert (shown["status"], told["status"], told["timesSent"]) == ("active", "ok", 4)
    assert "lastNotification" in told
    assert "lastSuccess" in told
    assert "timesFailed" not in told


async def test_5_8_6_periodic_notifications(client: httpx.AsyncClient, receiver: Receiver) -> None:
    """A periodic subscription tells all entities that match, again and again, whether they changed or not."""
    await client.post("/entities", json=CREATED)
    await client.post("/subscriptions", json=body(receiver.url(), timeInterval=0.3, q="level==1"))
    first, second = (await receiver.wait(2))[:2]
    assert first["data"] == second["data"]
    assert first["id"] != second["id"]
