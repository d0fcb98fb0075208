"""Lazy attributes: who is asked, over which way, and what a silent device costs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.adapters.memory import FAULTS
from tests.unit.adapters.test_commands import Endpoint, Wire
from tsunagu.adapters import lazy
from tsunagu.adapters.command_push import Pushed
from tsunagu.adapters.command_requests import CommandRequests
from tsunagu.adapters.commands import Commands
from tsunagu.adapters.lazy import LazyAttributes

if TYPE_CHECKING:
    from tests.adapters.memory import Site

LIGHT = {"object_id": "l", "name": "luminance", "type": "Number"}
GROUP: dict[str, Any] = {"apikey": "k", "resource": "/iot/json", "entity_type": "Lamp", "lazy": [LIGHT]}
LAMP = "urn:ngsi-ld:Lamp:lamp1"


class House:
    """A site with a lamp that has a lazy attribute; `times` is what the store tells of its entity."""

    def __init__(self, place: Site) -> None:
        self.place = place
        self.wire, self.endpoint = Wire(), Endpoint()
        self.times: dict[str, Any] = {}
        self.commands = Commands(place.catalogue, FAULTS, place.sink)
        self.commands.publisher, self.commands.pusher = self.wire, self.endpoint
        place.pipeline.commands = self.commands
        self.requests = CommandRequests(place.registry, self.commands)
        self.lazy = LazyAttributes(self.requests, self.commands, place.pipeline, self._times)

    async def _times(self, tenant: str, entity_id: str) -> dict[str, Any]:
        del tenant, entity_id
        return {**self.times, "luminance": len(self.place.sink.updates)} if self.place.sink.updates else self.times

    async def provision(self, **device: Any) -> None:
        await self.place.store.create_groups("", "/", [GROUP])
        await self.place.store.create_devices("", "/", [{"device_id": "lamp1", "apikey": "k", **device}])
        await self.requests.load([""])


@pytest.fixture
async def house(empty_site: Site, monkeypatch: pytest.MonkeyPatch) -> House:
    """Give a house whose readers wait for a moment only."""
    monkeypatch.setattr(lazy, "WAIT", 0.3)
    return House(empty_site)


async def test_a_device_is_asked_where_its_commands_go(house: House) -> None:
    """By its own key, with an empty value; who reads waits until the answer is stored."""
    await house.provision()
    assert house.lazy.concern("", LAMP)
    assert not house.lazy.concern("", "urn:ngsi-ld:Lamp:other")
    asking = asyncio.create_task(house.lazy.refresh("", LAMP))
    await asyncio.sleep(0.05)
    assert [(topic, payload) for topic, payload, *_ in house.wire.sent] == [("/k/lamp1/cmd", b'{"l":""}')]
    assert not asking.done()
    house.times = {"luminance": 7}
    await asking
    assert not house.lazy.concern("", LAMP), "an answer serves further readers for a while"


async def test_a_silent_device_is_not_asked_again_at_once(house: House) -> None:
    """Its readers have waited once; all who ask together make one question."""
    await house.provision()
    await asyncio.gather(*(house.lazy.refresh("", LAMP) for _ in range(5)))
    assert len(house.wire.sent) == 1
    assert not house.lazy.concern("", LAMP)


async def test_an_answer_over_http_comes_in_like_a_measure(house: House) -> None:
    """Mapped by the attribute's type; an answer without a value is as good as none."""
    await house.provision(endpoint="http://lamp/", transport="HTTP")
    house.endpoint.answer = Pushed(200, b'{"l": "812"}')
    await house.lazy.refresh("", LAMP)
    assert [(url, body) for url, body, _ in house.endpoint.posted] == [("http://lamp/", b'{"l":""}')]
    (update,) = house.place.sink.updates
    assert (update.id, update.attrs["luminance"]["value"]) == (LAMP, 812)


@pytest.mark.parametrize("pushed", [Pushed(500), Pushed(0, reason="no answer"), Pushed(200, b"rubbish"), Pushed(200)])
async def test_a_device_that_cannot_answer_harms_nobody(house: House, pushed: Pushed) -> None:
    """The last known value stands."""
    await house.provision(endpoint="http://lamp/", transport="HTTP")
    house.endpoint.answer = pushed
    await house.lazy.refresh("", LAMP)
    assert house.place.sink.updates == []


async def test_a_device_that_fetches_its_commands_is_not_asked(house: House) -> None:
    """Nobody waits for it."""
    await house.provision(transport="HTTP", polling=True)
    await house.lazy.refresh("", LAMP)
    assert (house.wire.sent, house.endpoint.posted) == ([], [])


async def test_whoever_waits_when_all_ends_goes_on(house: House) -> None:
    """With what is stored."""
    await house.provision()
    asking = asyncio.create_task(house.lazy.refresh("", LAMP))
    await asyncio.sleep(0.05)
    await house.lazy.stop()
    await asking


async def test_an_entity_without_lazy_attributes_is_forgotten(house: House) -> None:
    """What is not provisioned any more is not looked for again."""
    await house.provision()
    await house.place.store.delete_device("", "/", "lamp1", "k")
    await house.lazy.refresh("", LAMP)
    assert not house.requests.is_lazy("", LAMP)
