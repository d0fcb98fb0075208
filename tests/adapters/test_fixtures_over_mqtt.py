"""Every recorded message that comes by MQTT, sent through a real MQTT broker at QoS 1."""

from __future__ import annotations

import json
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.adapters.test_fixtures import FIXTURES, body_of, outcome_of, provisioned, requested
from tests.adapters.test_mqtt_door import Publisher, until
from tsunagu.adapters import clock
from tsunagu.adapters.inbound.http import DeviceDoor
from tsunagu.adapters.inbound.mqtt import MqttDoor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.adapters.memory import Site

PUBLISHED = [path for path in FIXTURES if any("topic" in one for one in json.loads(path.read_text())["messages"])]


class Street:
    """The doors that a recording's messages come in by; `taken` counts those that were committed or set aside."""

    def __init__(self, place: Site, url: str) -> None:
        self.taken = 0
        self._url = url
        self._pipeline = place.pipeline
        self._commit = place.pipeline.commit
        place.pipeline.commit = self._count  # type: ignore[method-assign]

    async def _count(self, work: Any, succession: Any = None) -> None:
        await self._commit(work, succession)
        self.taken += len(work)

    async def more(self, before: int) -> None:
        """Wait until more were taken than before."""
        await until(lambda: self.taken > before)

    @asynccontextmanager
    async def door(self) -> AsyncIterator[None]:
        """Give a connected door."""
        door = MqttDoor(self._pipeline, url=self._url, client_id=f"recordings-{uuid.uuid4().hex}")
        await door.start()
        await until(lambda: door.connected)
        yield
        await door.stop()


@pytest.fixture
async def publisher(mqtt_url: str) -> AsyncIterator[Publisher]:
    """Give a connected device."""
    one = Publisher(mqtt_url)
    yield one
    one.close()


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda p: f"{p.parent.parent.name}/{p.stem}")
async def test_recorded_messages_become_the_same_over_a_real_mqtt_broker(
    path: Path, mqtt_url: str, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Published to their topics, retained ones before anybody subscribes, they become what stands beside them."""
    recording = json.loads(path.read_text())
    now = {"at": clock.read_text(recording["received"])}
    monkeypatch.setattr(clock, "now", lambda: now["at"])
    place = await provisioned(recording)
    street = Street(place, mqtt_url)
    messages = [one for one in recording["messages"] if not one.get("retained")]
    for message in recording["messages"]:
        if message.get("retained"):
            await publisher.publish(message["topic"], body_of(message), retain=True)
            before = street.taken
            async with street.door():
                await street.more(before)
            await publisher.publish(message["topic"], b"", retain=True)  # the MQTT broker forgets it
    answers = []
    http = httpx.ASGITransport(DeviceDoor(place.pipeline, now=lambda: now["at"]))
    async with street.door(), httpx.AsyncClient(transport=http, base_url="http://city") as client:
        for message in messages:
            now["at"] = clock.read_text(message.get("received", recording["received"]))
            if "request" in message:
                answers.append(await requested(client, message))
            else:
                before = street.taken
                await publisher.publish(message["topic"], body_of(message))
                await street.more(before)
    assert outcome_of(place, answers) == json.loads(path.with_suffix(".expected.json").read_text())
