"""Commands to devices and their states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest
from fastapi import FastAPI

from tests.adapters.memory import FAULTS
from tsunagu.adapters import clock
from tsunagu.adapters.commands import MAX_OPEN, Commands
from tsunagu.adapters.inbound.http import DeviceDoor
from tsunagu.adapters.management.router import management_router
from tsunagu.adapters.message import Message
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

    async def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> None:
        if self.away:
            raise SinkUnavailable("away")
        self.sent.append((topic, payload, qos, retain))


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
    await place.pipeline.sweep(clock.now())
    await place.pipeline.sweep(clock.now())
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
