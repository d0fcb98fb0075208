"""Connections to MQTT brokers, against a real one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.adapters.memory import FAULTS
from tests.adapters.test_mqtt_door import Publisher, key, publisher, until
from tsunagu.adapters.connections.manager import Connections, Worker, states_of
from tsunagu.adapters.inbound.mqtt import MqttDoor
from tsunagu.adapters.sink import SinkUnavailable
from tsunagu.up.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.adapters.memory import Site

__all__ = ["key", "publisher"]


class Roles:
    """The roles among workers."""

    def __init__(self) -> None:
        self.holder: dict[str, str] = {}

    def of(self, worker: str) -> Callable[[str, float], Awaitable[bool]]:
        async def hold(role: str, seconds: float) -> bool:
            return self.holder.setdefault(role, worker) == worker

        return hold


class Crew:
    """Workers that share a catalogue."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.roles = Roles()
        self.workers: list[Connections] = []

    async def add(self, name: str) -> Connections:
        def make(entry: Any, client_id: str, share: str | None, tell: Any) -> MqttDoor:
            return MqttDoor(
                self.site.pipeline, url=entry["url"], client_id=client_id, share=share, longest_wait=0.2, on_state=tell
            )

        worker = Worker(name, "kawakami", several=True)
        one = Connections(self.site.catalogue, FAULTS, worker, make=make, hold=self.roles.of(name))  # type: ignore[arg-type]
        await one.start()
        self.workers.append(one)
        return one

    async def connected(self, entry: str) -> int:
        return sum(state["connected"] for state in await states_of(self.site.catalogue, entry))  # type: ignore[arg-type]


@pytest.fixture
async def crew(empty_site: Site, key: str) -> AsyncIterator[Crew]:
    """Give two workers, and a group in the tenant north."""
    await empty_site.store.create_groups(
        "north", "/", [{"apikey": key, "resource": "/iot/json", "entity_type": "Gauge"}]
    )
    one = Crew(empty_site)
    await one.add("w1")
    await one.add("w2")
    yield one
    await asyncio.gather(*(worker.stop() for worker in one.workers))


async def connect(crew: Crew, key: str, url: str, **more: Any) -> None:
    entry = {"id": key, "tenant": "north", "url": url, **more}
    await crew.site.catalogue.insert("", "device_connections", f"north/{key}", entry)


async def add_route(crew: Crew, key: str, topic: str) -> None:
    entry = {"id": "r", "tenant": "north", "connection": key, "topic": topic, "format": "iotagent_json"}
    entry |= {"apikey": key, "device": "{dev}"}
    await crew.site.catalogue.replace("", "device_routes", "north/r", entry)


async def all_connected(crew: Crew, key: str, number: int) -> None:
    for _ in range(500):
        if await crew.connected(f"north/{key}") == number:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(await states_of(crew.site.catalogue, f"north/{key}"))  # type: ignore[arg-type]


async def test_messages_on_a_routes_topic_are_shared_among_the_workers(
    crew: Crew, publisher: Publisher, mqtt_url: str, key: str
) -> None:
    """Each is taken once, whichever worker gets it, for the connection's tenant."""
    await connect(crew, key, mqtt_url)
    await add_route(crew, key, f"v3/{key}@{{tenant}}/devices/{{dev}}/up")
    await all_connected(crew, key, 2)
    await asyncio.sleep(0.3)
    for number in range(50):
        await publisher.publish(f"v3/{key}@t/devices/d{number}/up", {"n": number})
    await until(lambda: len(crew.site.sink.updates) >= 50)
    await asyncio.sleep(0.2)
    assert sorted(update.attrs["n"]["value"] for update in crew.site.sink.updates) == list(range(50))
    assert {tenant for tenant, _ in crew.site.sink.writes} == {"north"}


async def test_another_pattern_takes_effect_while_connected(
    crew: Crew, publisher: Publisher, mqtt_url: str, key: str
) -> None:
    """In every worker, without a new connection; the old topic is left."""
    await connect(crew, key, mqtt_url)
    await add_route(crew, key, f"old/{key}/{{dev}}")
    await all_connected(crew, key, 2)
    await add_route(crew, key, f"new/{key}/{{dev}}")
    await asyncio.sleep(0.5)
    await publisher.publish(f"old/{key}/d1", {"n": 1})
    await publisher.publish(f"new/{key}/d2", {"n": 2})
    await until(lambda: bool(crew.site.sink.updates))
    await asyncio.sleep(0.2)
    assert [update.id for update in crew.site.sink.updates] == ["urn:ngsi-ld:Gauge:d2"]


async def test_a_connection_that_is_removed_is_closed(
    crew: Crew, publisher: Publisher, mqtt_url: str, key: str
) -> None:
    """And one that comes again takes up its session: what was published meanwhile is not lost."""
    await connect(crew, key, mqtt_url, shared=False)
    await add_route(crew, key, f"s/{key}/{{dev}}")
    await all_connected(crew, key, 1)
    await asyncio.sleep(0.2)
    entry = await crew.site.catalogue.get("", "device_connections", f"north/{key}")
    await crew.site.catalogue.delete("", "device_connections", f"north/{key}")
    await all_connected(crew, key, 0)
    await publisher.publish(f"s/{key}/d", {"n": 1})
    await crew.site.catalogue.insert("", "device_connections", f"north/{key}", entry)
    await until(lambda: bool(crew.site.sink.updates))


async def test_a_connection_that_is_not_shared_has_one_worker(crew: Crew, mqtt_url: str, key: str) -> None:
    """The one that holds the role; the other says that it waits."""
    await connect(crew, key, mqtt_url, shared=False)
    await all_connected(crew, key, 1)
    await asyncio.sleep(0.2)
    states = await states_of(crew.site.catalogue, f"north/{key}")  # type: ignore[arg-type]
    assert sorted((state["connected"], state.get("lastError", "")) for state in states) == [
        (False, "waiting: another worker has it"),
        (True, ""),
    ]


async def test_a_broker_that_is_away_is_told(crew: Crew, key: str) -> None:
    """With the reason, in the state of each worker."""
    await connect(crew, key, f"mqtt://127.0.0.1:{free_port()}")
    await asyncio.sleep(0.5)
    states = await states_of(crew.site.catalogue, f"north/{key}")  # type: ignore[arg-type]
    assert len(states) == 2
    assert all(not state["connected"] and "refused" in state["lastError"].lower() for state in states) or all(
        "onnect" in state["lastError"] for state in states
    )


async def test_commands_go_to_the_tenants_own_broker(crew: Crew, publisher: Publisher, mqtt_url: str, key: str) -> None:
    """To a connection that is for commands; without one there is nobody to take them."""
    heard: list[bytes] = []
    publisher.client.on_message = lambda _client, _userdata, packet: heard.append(packet.payload)
    publisher.client.subscribe(f"/{key}/d/cmd", 1)
    one = crew.workers[0]
    with pytest.raises(SinkUnavailable):
        await one.publish("north", f"/{key}/d/cmd", b"x", qos=1, retain=False)
    await connect(crew, key, mqtt_url, commands=True)
    await all_connected(crew, key, 2)
    await one.publish("north", f"/{key}/d/cmd", b"turn", qos=1, retain=False)
    await until(lambda: bool(heard))
    assert heard == [b"turn"]
