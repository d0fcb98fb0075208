"""Devices that subscribe to values of their entity: kept, told, replaced, ended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.adapters.memory import FAULTS
from tests.unit.adapters.test_commands import Wire
from tsunagu.adapters.command_requests import CommandRequests
from tsunagu.adapters.commands import Commands
from tsunagu.adapters.configuration_subscriptions import ConfigurationSubscriptions
from tsunagu.adapters.message import Message

if TYPE_CHECKING:
    from tests.adapters.memory import Site

ENTITY = "urn:ngsi-ld:Gauge:g1"
NOW = 1784401841000


class Office:
    """A site with a gauge that may ask for values."""

    def __init__(self, place: Site) -> None:
        self.place = place
        self.wire = Wire()
        self.commands = Commands(place.catalogue, FAULTS, place.sink)
        self.commands.publisher = self.wire
        place.pipeline.commands = self.commands
        requests = CommandRequests(place.registry, self.commands)
        self.subscriptions = ConfigurationSubscriptions(requests, self.commands)
        self.commands.configurations = self.subscriptions

    async def ask(self, kind: str, *fields: str) -> None:
        body = json.dumps({"type": kind, "fields": fields}).encode()
        named = {"apikey": "k", "device": "g1", "action": "configuration"}
        work = await self.place.pipeline.prepare([Message("iotagent_json", body, NOW, named)])
        await self.place.pipeline.commit(work)
        assert work[0].error is None

    @property
    def told(self) -> list[dict[str, object]]:
        bodies = [json.loads(payload) for _, payload, *_ in self.wire.sent]
        return [{name: value for name, value in body.items() if name != "dt"} for body in bodies]


@pytest.fixture
async def office(empty_site: Site) -> Office:
    """Give an office whose gauge has two values."""
    one = Office(empty_site)
    await empty_site.store.create_groups("", "/", [{"apikey": "k", "resource": "/iot/json", "entity_type": "Gauge"}])
    await empty_site.store.create_devices("", "/", [{"device_id": "g1", "apikey": "k"}])
    empty_site.sink.entities["", ENTITY] = {
        "sleepTime": {"type": "Property", "value": 600},
        "alarmLevel": {"type": "Property", "value": 3},
    }
    await one.subscriptions.load([""])
    return one


async def test_a_subscription_is_answered_and_kept_and_a_configuration_is_not_kept(office: Office) -> None:
    """Both get their values at once."""
    await office.ask("configuration", "alarmLevel")
    assert (office.told, await office.subscriptions.all_of("")) == ([{"alarmLevel": 3}], [])
    await office.ask("subscription", "sleepTime")
    assert office.told[1:] == [{"sleepTime": 600}]
    (entry,) = office.subscriptions.of_entity("", ENTITY).values()
    assert (entry["deviceId"], entry["fields"]) == ("g1", ["sleepTime"])
    assert await office.subscriptions.tell("", entry)
    assert office.told[2:] == [{"sleepTime": 600}]


async def test_a_further_request_takes_its_place_and_one_without_fields_ends_it(office: Office) -> None:
    """A device has one subscription."""
    await office.ask("subscription", "sleepTime")
    await office.ask("subscription", "alarmLevel")
    assert [entry["fields"] for entry in await office.subscriptions.all_of("")] == [["alarmLevel"]]
    await office.ask("subscription")
    assert await office.subscriptions.all_of("") == []


async def test_a_device_that_cannot_be_reached_is_not_told(office: Office) -> None:
    """So that it is tried again."""
    await office.ask("subscription", "sleepTime")
    (entry,) = await office.subscriptions.all_of("")
    office.wire.away = True
    assert not await office.subscriptions.tell("", entry)


async def test_a_device_that_is_gone_is_forgotten(office: Office) -> None:
    """With its subscription."""
    await office.ask("subscription", "sleepTime")
    (entry,) = await office.subscriptions.all_of("")
    await office.place.store.delete_device("", "/", "g1", "k")
    assert await office.subscriptions.tell("", entry)
    assert await office.subscriptions.all_of("") == []


async def test_what_another_process_writes_is_read_anew(office: Office) -> None:
    """And whoever watches the entities hears of it."""
    heard: list[str] = []
    office.subscriptions.heard = heard.append
    await office.ask("subscription", "sleepTime")
    assert heard == [""]
    assert office.subscriptions.any_of("")
