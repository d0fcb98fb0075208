"""Commands as FIWARE applications give them, on a running broker with two workers."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from aiohttp import web

from tests.drills.harness import eventually, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.drill

HEADERS = {"Fiware-Service": "", "Fiware-ServicePath": "/"}
LAMP = "urn:ngsi-ld:Lamp:lamp1"


class Lamp:
    """A device that takes commands over HTTP and answers with the result."""

    def __init__(self) -> None:
        self.url = ""
        self.received: list[Any] = []

    async def take(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.received.append(body)
        return web.json_response({name: f"{name} ok" for name in body})


@pytest.fixture
async def lamp() -> AsyncIterator[Lamp]:
    """Give a device that listens on a free port."""
    one = Lamp()
    application = web.Application()
    application.router.add_post("/", one.take)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    one.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/"  # type: ignore[union-attr]
    yield one
    await runner.cleanup()


async def test_patching_the_commands_attribute_sends_it_to_the_device(tmp_path: Path, lamp: Lamp) -> None:
    """Each write through either worker is one command; the entity tells its state and result, also after a restart."""
    ports = {"MQTT_URL": "", "TSUNAGU_NORTH_PORT": "0", "TSUNAGU_SOUTH_PORT": "0"}
    async with (
        running(tmp_path / "data", "--workers", "2", environment={**os.environ, **ports}) as up,
        httpx.AsyncClient(base_url=up.url, timeout=20, headers=HEADERS) as client,
    ):
        group = {"apikey": "k", "resource": "/iot/json", "entity_type": "Lamp", "transport": "HTTP"}
        commands = [{"name": "turn", "type": "command"}, {"name": "blink", "type": "command"}]
        answer = await client.post("/iot/groups", json={"groups": [{**group, "commands": commands}]})
        assert answer.status_code == 201, answer.text
        device = {"device_id": "lamp1", "apikey": "k", "endpoint": lamp.url}
        answer = await client.post("/iot/devices", json={"devices": [device]})
        assert answer.status_code == 201, answer.text
        await asyncio.sleep(0.5)  # the other worker hears of it
        path = f"/ngsi-ld/v1/entities/{LAMP}"
        assert (await client.get(path)).json()["turn_status"]["value"] == "UNKNOWN"
        for number in range(10):
            body = {"type": "Property", "value": number}
            answer = await client.patch(f"{path}/attrs/turn", json=body, headers={"Connection": "close"})
            assert answer.status_code == 204, answer.text
        body = {"blink": {"type": "Property", "value": {"times": 3}}}
        assert (await client.patch(f"{path}/attrs", json=body)).status_code == 204
        await eventually(lambda: len(lamp.received) >= 11, seconds=10, what=lambda: str(lamp.received))
        await asyncio.sleep(1)
        assert sorted(one["turn"] for one in lamp.received if "turn" in one) == list(range(10))
        assert [one for one in lamp.received if "blink" in one] == [{"blink": {"times": 3}}]
        entity = (await client.get(path)).json()
        assert (entity["turn_status"]["value"], entity["turn_info"]["value"]) == ("OK", "turn ok")
        assert entity["blink_info"]["value"] == "blink ok"
        up.kill("tsunagu.cli serve")
        await asyncio.sleep(4)
        assert len(lamp.received) == 11
