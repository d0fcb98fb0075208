"""Commands to devices and their states."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest
from fastapi import FastAPI

from tests.adapters.memory import FAULTS
from tsunagu.adapters import clock
from tsunagu.adapters.command_payload import answer, payload_of
from tsunagu.adapters.command_push import Pushed
from tsunagu.adapters.command_requests import CommandRequests
from tsunagu.adapters.commands import MAX_OPEN, Commands
from tsunagu.adapters.devices.plan import compile_plan
from tsunagu.adapters.inbound.http import DeviceDoor
from tsunagu.adapters.management.router import management_router
from tsunagu.adapters.message import Message
from tsunagu.adapters.provisioning.errors import ProvisioningError
from tsunagu.adapters.sink import SinkUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.adapters.memory import Site

BASE = "/tsunagu/v1/devices"
NOW = 1784401841000
TURN = {"name": "turn", "type": "command"}


class Wire:
    """What was published; `away` makes it fail."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes, int, bool]] = []
        self.away = False

    async def publish(self, tenant: str, topic: str, payload: bytes, *, qos: int, retain: bool) -> None:
        if self.away:
            raise SinkUnavailable("away")
        self.sent.append((topic, payload, qos, retain))


class Endpoint:
    """What was posted to devices, and what they answer."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, bytes, dict[str, str]]] = []
        self.answer = Pushed(200)

    async def push(self, url: str, body: bytes, headers: Any) -> Pushed:
        self.posted.append((url, body, dict(headers)))
        return self.answer


@pytest.fixture
def wire() -> Wire:
    """Give a wire to devices."""
    return Wire()


@pytest.fixture
async def place(empty_site: Site, wire: Wire) -> Site:
    """Give a site with devices that have commands: by MQTT in JSON and Ultralight, and by fetching."""
    site = empty_site
    site.pipeline.commands = Commands(site.catalogue, FAULTS, site.sink)
    site.pipeline.commands.publisher = wire
    await site.store.create_groups(
        "",
        "/",
        [
            {"apikey": "k", "resource": "/iot/json", "entity_type": "Robot", "commands": [TURN]},
            {"apikey": "u", "resource": "/iot/d", "entity_type": "Robot", "commands": [TURN]},
        ],
    )
    shaped = {
        "name": "open",
        "type": "command",
        "expression": "{gate: open * 10, site: site}",
        "mqtt": {"qos": "2", "retain": True},
    }
    static = [{"name": "site", "type": "Text", "value": "weir"}]
    await site.store.create_devices(
        "",
        "/",
        [
            {"device_id": "r1", "apikey": "k", "commands": [shaped], "static_attributes": static},
            {"device_id": "r2", "apikey": "k", "transport": "HTTP"},
            {"device_id": "u1", "apikey": "u"},
            {"device_id": "u2", "apikey": "u", "transport": "HTTP"},
        ],
    )
    return site


@pytest.fixture
async def api(place: Site) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of the API and of the device door."""
    door = DeviceDoor(place.pipeline)
    app = FastAPI()
    app.include_router(management_router(place.store, door))
    app.mount("/iot", _under("/iot", door))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://city") as client:
        yield client


def _under(prefix: str, door: DeviceDoor) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        await door({**scope, "path": path if path.startswith(prefix) else prefix + path}, receive, send)

    return app


async def command(api: httpx.AsyncClient, device: str, value: Any, **more: Any) -> httpx.Response:
    return await api.post(f"{BASE}/{device}/commands", json={"name": "turn", "value": value, **more})


async def states(api: httpx.AsyncClient, device: str) -> list[str]:
    return [one["state"] for one in (await api.get(f"{BASE}/{device}/commands")).json()["commands"]]


def statuses(place: Site) -> list[str]:
    return [u.attrs["turn_status"]["value"] for u in place.sink.updates if "turn_status" in u.attrs]


async def test_a_device_that_speaks_mqtt_gets_a_command_at_once(
    api: httpx.AsyncClient, wire: Wire, place: Site
) -> None:
    """On the topic and in the form of FIWARE's agents."""
    answer = await command(api, "r1", "left")
    assert (answer.status_code, answer.json()["state"]) == (201, "sent")
    await command(api, "u1", "left")
    await command(api, "u1", {"speed": 2, "side": "left"})
    assert wire.sent == [
        ("/k/r1/cmd", b'{"turn":"left"}', 1, False),
        ("/u/u1/cmd", b"u1@turn|left", 1, False),
        ("/u/u1/cmd", b"u1@turn|speed=2|side=left", 1, False),
    ]
    assert statuses(place)[0] == "PENDING"


async def test_a_command_may_have_an_expression_and_mqtt_options(api: httpx.AsyncClient, wire: Wire) -> None:
    """The expression sees the value by the command's name, and static attributes."""
    await api.post(f"{BASE}/r1/commands", json={"name": "open", "value": 3})
    assert wire.sent == [("/k/r1/cmd", b'{"gate":30,"site":"weir"}', 2, True)]


async def test_a_result_closes_the_oldest_open_command(api: httpx.AsyncClient, place: Site) -> None:
    """The entity has its status and result."""
    await command(api, "r1", "left")
    await command(api, "r1", "right")
    body = orjson.dumps({"turn": "done"})
    result = Message(
        "iotagent_json", body, NOW, {"apikey": "k", "device": "r1", "action": "result"}, "/json/k/r1/cmdexe"
    )
    await place.pipeline.commit(await place.pipeline.prepare([result]))
    assert await states(api, "r1") == ["sent", "acknowledged"]
    assert place.sink.updates[-1].attrs["turn_status"]["value"] == "OK"
    assert place.sink.updates[-1].attrs["turn_info"]["value"] == "done"


async def test_a_device_fetches_its_commands(api: httpx.AsyncClient, wire: Wire, place: Site) -> None:
    """With getCmd=1, alone or with a measure; each is delivered once."""
    await command(api, "r2", "left")
    assert (await states(api, "r2"), wire.sent) == (["queued"], [])
    assert (await api.get("/iot/json?k=k&i=r2&getCmd=1")).json() == {"turn": "left"}
    assert (await api.get("/iot/json?k=k&i=r2&getCmd=1")).json() == {}
    await command(api, "r2", 20)
    answer = await api.post("/iot/json?k=k&i=r2&getCmd=1", json={"level": 2})
    assert (answer.json(), place.sink.updates[-2].attrs["level"]["value"]) == ({"turn": 20}, 2)
    assert statuses(place) == ["PENDING", "DELIVERED", "PENDING", "DELIVERED"]


async def test_an_ultralight_device_fetches_text(api: httpx.AsyncClient) -> None:
    """Several commands joined by #."""
    await command(api, "u2", "left")
    await command(api, "u2", "right")
    answer = await api.get("/iot/d?k=u&i=u2&getCmd=1")
    assert (answer.text, answer.headers["content-type"]) == ("u2@turn|left#u2@turn|right", "text/plain")


async def test_a_command_that_could_not_be_sent_is_sent_by_the_sweep(
    api: httpx.AsyncClient, wire: Wire, place: Site
) -> None:
    """It stays queued while the MQTT broker is away, also over a restart."""
    wire.away = True
    assert (await command(api, "r1", "left")).json()["state"] == "queued"
    wire.away = False
    place.pipeline.commands = Commands(place.catalogue, FAULTS, place.sink)
    place.pipeline.commands.publisher = wire
    await place.pipeline.sweep(clock.now() + 11_000)
    await place.pipeline.sweep(clock.now() + 11_000)
    assert len(wire.sent) == 1


async def test_a_command_expires(api: httpx.AsyncClient, place: Site) -> None:
    """Nobody gets it any more, and the entity says so."""
    await command(api, "r2", "left", expiresIn=60)
    await place.pipeline.sweep(clock.now() + 61_000)
    assert await states(api, "r2") == ["expired"]
    assert statuses(place)[-1] == "EXPIRED"
    assert (await api.get("/iot/json?k=k&i=r2&getCmd=1")).json() == {}


async def test_open_commands_are_bounded(api: httpx.AsyncClient, place: Site) -> None:
    """A device that never fetches does not fill the store."""
    for number in range(MAX_OPEN):
        await command(api, "r2", number)
    answer = await command(api, "r2", "one more")
    assert (answer.status_code, "wait already" in answer.json()["detail"]) == (400, True)


@pytest.mark.parametrize(
    ("device", "body", "status"),
    [
        ("r1", {"name": "fly", "value": 1}, 400),
        ("r1", {"name": "turn"}, 400),
        ("r1", {"name": "turn", "value": 1, "expiresIn": 0}, 400),
        ("r9", {"name": "turn", "value": 1}, 404),
    ],
)
async def test_a_command_that_cannot_be_is_refused(
    api: httpx.AsyncClient, device: str, body: dict[str, Any], status: int
) -> None:
    """With the commands that there are."""
    answer = await api.post(f"{BASE}/{device}/commands", json=body)
    assert (answer.status_code, answer.json()["status"]) == (status, status)


async def test_a_stranger_fetches_nothing(api: httpx.AsyncClient) -> None:
    """An apikey that nobody knows is a 404."""
    assert (await api.get("/iot/json?k=nobody&i=r2&getCmd=1")).status_code == 404


# Commands that are pushed over HTTP.

PUSHED = {
    "device_id": "p1",
    "apikey": "k",
    "transport": "HTTP",
    "endpoint": "'http://device.example/' + id + subservice + site",
    "static_attributes": [{"name": "site", "type": "Text", "value": "weir"}],
    "commands": [
        {
            "name": "turn",
            "type": "command",
            "payloadType": "text",
            "contentType": "text/plain",
            "headers": {"X-Who": "id + type", "X-Key": "Bearer abc"},
        }
    ],
}


@pytest.fixture
async def endpoint(place: Site) -> Endpoint:
    """Give the endpoint of a device that takes its commands over HTTP."""
    place.pipeline.commands.pusher = endpoint = Endpoint()  # type: ignore[union-attr]
    await place.store.create_devices("", "/", [PUSHED])
    return endpoint


async def test_a_command_is_pushed_to_the_devices_endpoint(
    api: httpx.AsyncClient, endpoint: Endpoint, place: Site, wire: Wire
) -> None:
    """With the endpoint's and the headers' expressions computed, and the payload in its type."""
    answer = await command(api, "p1", "left")
    assert (answer.status_code, answer.json()["state"], wire.sent) == (201, "sent", [])
    assert endpoint.posted == [
        (
            "http://device.example/p1/weir",
            b"left",
            {
                "fiware-service": "",
                "fiware-servicepath": "/",
                "content-type": "text/plain",
                "x-who": "p1Robot",
                "x-key": "Bearer abc",
            },
        )
    ]
    assert statuses(place) == ["PENDING"]


async def test_the_answer_to_a_push_may_be_its_result(api: httpx.AsyncClient, endpoint: Endpoint, place: Site) -> None:
    """The entity has it at once."""
    endpoint.answer = Pushed(201, b'{"turn": "done"}')
    assert (await command(api, "p1", "left")).json()["state"] == "acknowledged"
    assert place.sink.updates[-1].attrs["turn_status"]["value"] == "OK"
    assert place.sink.updates[-1].attrs["turn_info"]["value"] == "done"


@pytest.mark.parametrize(
    ("given", "said"), [(Pushed(500), "the device answered 500"), (Pushed(0, reason="no connection"), "no connection")]
)
async def test_a_push_that_fails_is_told(
    api: httpx.AsyncClient, endpoint: Endpoint, place: Site, given: Pushed, said: str
) -> None:
    """ERROR with the reason, at the command and at the entity."""
    endpoint.answer = given
    found = (await command(api, "p1", "left")).json()
    assert (found["state"], found["reason"]) == ("failed", said)
    assert place.sink.updates[-1].attrs["turn_status"]["value"] == "ERROR"
    assert place.sink.updates[-1].attrs["turn_info"]["value"] == said


async def test_a_device_that_polls_is_not_pushed_to(api: httpx.AsyncClient, endpoint: Endpoint, place: Site) -> None:
    """Even with an endpoint."""
    await place.store.create_devices("", "/", [{**PUSHED, "device_id": "p2", "polling": True}])
    assert (await command(api, "p2", "left")).json()["state"] == "queued"
    assert endpoint.posted == []
    fetched = await api.get("/iot/json?k=k&i=p2&getCmd=1")
    assert fetched.json() == {"turn": "left"}


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("binaryfromstring", "12345", b"12345"),
        ("binaryfromstring", ["1", "23", "2", "50"], b"1,23,2,50"),
        ("binaryfromhex", "12345", b"\x12\x34"),
        ("binaryfromhex", "484F4C41", b"HOLA"),
        ("binaryfromhex", ["1", "23", "2", "50"], b"\x01\x17\x02\x32"),
        ("binaryfromjson", "12345", b'"12345"'),
        ("binaryfromjson", ["1", "23", "2", "50"], b'["1","23","2","50"]'),
        ("text", "left", b"left"),
        ("json", {"a": 1}, b'{"a":1}'),
        (None, {"a": 1}, b'{"a":1}'),
    ],
)
def test_payload_types_write_as_the_reference_does(kind: str | None, value: Any, expected: bytes) -> None:
    """The table of iotagent-json's user manual."""
    plan = compile_plan({"device_id": "d"}, {"apikey": "k", "resource": "/iot/json", "entity_type": "Robot"})
    assert payload_of(plan, {"name": "turn", "expression": "turn", "payloadType": kind}, value) == expected


def test_fetched_commands_of_any_type_are_one_object() -> None:
    """What is no JSON is told as it was given."""
    entries = [
        {"name": "turn", "value": "left", "payload": b"left"},
        {"name": "open", "value": 3, "payload": b'{"gate":30}'},
    ]
    assert answer(entries, ultralight=False) == b'{"turn":"left","gate":30}'


@pytest.mark.parametrize("wrong", [{"payloadType": "xml"}, {"expression": "1 +"}, {"mqtt": {"qos": "7"}}])
async def test_a_command_that_cannot_work_is_refused_when_it_is_provisioned(place: Site, wrong: dict[str, Any]) -> None:
    """The message names the command and its member."""
    device = {"device_id": "w", "apikey": "k", "commands": [{**TURN, **wrong}]}
    with pytest.raises(ProvisioningError, match=rf"commands\[0\].turn.{next(iter(wrong))}"):
        await place.store.create_devices("", "/", [device])


async def test_a_topic_may_do_without_its_leading_slash(api: httpx.AsyncClient, wire: Wire, place: Site) -> None:
    """For MQTT brokers that want it so."""
    await place.store.create_devices("", "/", [{"device_id": "s", "apikey": "k", "avoidLeadingSlash": True}])
    await command(api, "s", "left")
    assert wire.sent[0][0] == "k/s/cmd"


async def test_a_device_is_sent_the_values_it_asks_for(place: Site, wire: Wire) -> None:
    """In the form of its protocol, with the time."""
    for device, kind, body in (
        ("r1", "iotagent_json", b'{"type":"configuration","fields":["speed","none"]}'),
        ("u1", "ultralight", b"configuration|speed"),
    ):
        named = {"apikey": device[0].replace("r", "k"), "device": device, "action": "configuration"}
        place.sink.entities["", f"urn:ngsi-ld:Robot:{device}"] = {"speed": {"type": "Property", "value": 7}}
        await place.pipeline.commit(await place.pipeline.prepare([Message(kind, body, NOW, named)]))
    (topic, one, qos, _), (other_topic, other, _, _) = wire.sent
    assert (topic, qos, other_topic) == ("/k/r1/configuration/values", 1, "/u/u1/configuration/values")
    assert orjson.loads(one).keys() == {"speed", "dt"}
    assert re.fullmatch(rb"speed=7\|dt=\d{8}T\d{6}Z", other)


# Commands that applications write to the entity.


@pytest.fixture
async def requests(place: Site) -> CommandRequests:
    """Give what makes commands of writes to entities."""
    one = CommandRequests(place.registry, place.pipeline.commands)  # type: ignore[arg-type]
    await one.load([""])
    place.registry.introduce = one.introduce
    return one


async def test_a_write_to_a_commands_attribute_is_a_command_once(
    requests: CommandRequests, place: Site, wire: Wire
) -> None:
    """The same write seen twice is one command; a later one is another."""
    assert requests.names("") == {"turn", "open"}
    for at in (NOW, NOW, NOW + 5):
        await requests.request("", "urn:ngsi-ld:Robot:r1", "turn", "left", at=at)
    assert [(topic, payload) for topic, payload, _, _ in wire.sent] == [("/k/r1/cmd", b'{"turn":"left"}')] * 2


async def test_a_write_that_no_command_can_be_made_of_is_told(
    requests: CommandRequests, place: Site, wire: Wire
) -> None:
    """ERROR at the entity, with the reason."""
    await place.store.create_devices(
        "", "/", [{"device_id": "b", "apikey": "k", "commands": [{**TURN, "expression": "none"}]}]
    )
    await requests.request("", "urn:ngsi-ld:Robot:b", "turn", 1, at=NOW)
    assert place.sink.updates[-1].attrs["turn_status"]["value"] == "ERROR"
    assert wire.sent == []


async def test_a_new_devices_entity_shows_its_commands(requests: CommandRequests, place: Site) -> None:
    """Provisioned or met for the first time: what is not there could not be updated."""
    await place.store.create_devices("", "/", [{"device_id": "n1", "apikey": "k"}])
    await place.pipeline.commit(
        await place.pipeline.prepare([Message("iotagent_json", b'{"a":1}', NOW, {"apikey": "k", "device": "n2"})])
    )
    for device in ("n1", "n2"):
        entity = place.sink.entities["", f"urn:ngsi-ld:Robot:{device}"]
        assert (entity["turn"]["value"], entity["turn_status"]["value"]) == ("", "UNKNOWN")


async def test_commands_of_new_groups_and_devices_are_known_at_once(requests: CommandRequests, place: Site) -> None:
    """Also those that another process provisions."""
    await place.store.create_devices("", "/", [{"device_id": "x", "apikey": "k", "commands": [{"name": "fly"}]}])
    assert "fly" in requests.names("")
    await place.catalogue.insert("", "device_groups", "r|z", {"service": "", "commands": [{"name": "swim"}]})
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert "swim" in requests.names("")
