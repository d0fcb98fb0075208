"""Keeps a door open for every connection of every tenant, and all routes in use, as the catalogue says.

Every worker follows the catalogue's announcements. With several workers each has a connection with a client id of its
own and a shared subscription; of a connection that is not `shared` one worker at a time has the role. What a
connection's state is, each worker writes beside it: connected or not, since when, and the last error.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from tsunagu.adapters import clock
from tsunagu.adapters.connections.book import RouteBook, RoutedTopics
from tsunagu.adapters.connections.route import compile_route
from tsunagu.adapters.sink import SinkUnavailable
from tsunagu.background import end

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tsunagu.adapters.catalogue import Announcement, Catalogue, Entry, Faults
    from tsunagu.adapters.inbound.mqtt import MqttDoor

CONNECTIONS, ROUTES, STATES = "device_connections", "device_routes", "device_connection_states"
TICK = 3.0  # seconds between two looks at roles
LEASE = 10.0
RETRY = 1.0

log = structlog.get_logger(__name__)


def key_of(tenant: str, name: str) -> str:
    """Return the catalogue id of a connection or route."""
    return f"{tenant}/{name}"


@dataclass(frozen=True, slots=True)
class Worker:
    """This process among the workers: its stable name, the broker's name, whether there are others."""

    name: str
    broker: str
    several: bool


class Connections:
    """The doors of this process. `await start()`, `await stop()`.

    `make` makes a door of an entry, a client id, the name of a shared subscription and who is told of its state;
    `hold` gets or keeps a role among the workers; `main` is the operator's own MQTT broker, if there is one.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        faults: Faults,
        worker: Worker,
        *,
        make: Callable[[Entry, str, str | None, Callable[[bool, str], None]], MqttDoor],
        hold: Callable[[str, float], Awaitable[bool]],
        main: MqttDoor | None = None,
    ) -> None:
        self.book = RouteBook()
        self._catalogue = catalogue
        self._faults = faults
        self._worker = worker
        self._make = make
        self._hold = hold
        self._main = main
        self._entries: dict[str, Entry] = {}
        self._doors: dict[str, tuple[Entry, MqttDoor]] = {}
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._telling: set[asyncio.Task[None]] = set()
        self._writing = asyncio.Lock()  # states follow each other

    async def start(self) -> None:
        """Read what there is, open the doors, and follow changes. Raises the catalogue's fault when it is away."""
        self._catalogue.watch(frozenset((CONNECTIONS, ROUTES)), self._heard)
        await self._read()
        self._task = asyncio.create_task(self._follow(), name="connections")

    async def stop(self) -> None:
        """Close all doors in order."""
        if self._task is not None:
            await end(self._task)
        await asyncio.gather(*(door.stop() for _, door in self._doors.values()))
        await asyncio.gather(*self._telling, return_exceptions=True)

    async def publish(self, tenant: str, topic: str, payload: bytes, *, qos: int, retain: bool) -> None:
        """Publish to a tenant's devices: by its connections for commands, else by the operator's own MQTT broker.

        Raises SinkUnavailable when none takes it.
        """
        doors = [door for entry, door in self._doors.values() if entry["tenant"] == tenant and entry.get("commands")]
        if not doors and self._main is not None:
            doors = [self._main]
        if not doors:
            raise SinkUnavailable("there is no MQTT broker for commands")
        for door in doors:
            await door.publish(topic, payload, qos=qos, retain=retain)

    # Following the catalogue.

    def _heard(self, _: Announcement) -> None:
        self._changed.set()

    async def _read(self) -> None:
        connections = await self._catalogue.find("", CONNECTIONS)
        self.book.replace(compile_route(entry) for entry in await self._catalogue.find("", ROUTES))
        self._entries = {key_of(entry["tenant"], entry["id"]): entry for entry in connections}

    async def _follow(self) -> None:
        """Bring the doors in line with the catalogue, at each change and, for roles, now and then."""
        fresh = renewed = True
        while True:
            try:
                if not fresh:
                    await self._read()
                await self._apply(renewed=renewed)
                fresh, renewed = False, True
            except (self._faults.unavailable, SinkUnavailable) as error:
                log.warning("connections wait for the store", reason=str(error))
                await asyncio.sleep(RETRY)
                continue
            except Exception:
                log.exception("connections could not be brought in line")
                await asyncio.sleep(RETRY)
            try:
                async with asyncio.timeout(TICK):
                    await self._changed.wait()
                self._changed.clear()
            except TimeoutError:
                fresh, renewed = True, False

    async def _apply(self, *, renewed: bool) -> None:
        """Open and close doors; have those that stay use what was read anew."""
        wanted = {key: entry for key, entry in self._entries.items() if await self._is_ours(key, entry)}
        gone = [key for key, (entry, _) in self._doors.items() if wanted.get(key) != entry]
        await asyncio.gather(*(self._doors.pop(key)[1].stop() for key in gone))
        for key in self._entries.keys() - wanted.keys():
            self._tell(key, "waiting: another worker has it", connected=False)
        for key, entry in wanted.items():
            if key in self._doors:
                if renewed:
                    self._doors[key][1].use(self._topics(entry))
                continue
            door = self._door(key, entry)
            door.use(self._topics(entry))
            self._doors[key] = (entry, door)
            await door.start()
        if self._main is not None and renewed:
            self._main.use(RoutedTopics(self.book.of(None, None), standard=True, realm=None))

    async def _is_ours(self, key: str, entry: Entry) -> bool:
        """Tell whether this worker connects: every one does, where the MQTT broker can share its messages out."""
        if not self._worker.several or entry.get("shared", True):
            return True
        return await self._hold(f"mqtt {key}", LEASE)

    def _topics(self, entry: Entry) -> RoutedTopics:
        routes = self.book.of(entry["tenant"], entry["id"])
        return RoutedTopics(routes, standard=entry.get("standard", False), realm=entry["tenant"])

    def _door(self, key: str, entry: Entry) -> MqttDoor:
        shares = self._worker.several and entry.get("shared", True)
        base = entry.get("clientId") or f"tsunagu-{self._worker.broker}-{key.replace('/', '-')}"
        client_id = f"{base}-{self._worker.name}" if shares else base
        share = f"tsunagu-{self._worker.broker}-{key.replace('/', '-')}" if shares else None
        return self._make(entry, client_id, share, lambda connected, error: self._tell(key, error, connected=connected))

    # States.

    def _tell(self, key: str, error: str, *, connected: bool) -> None:
        task = asyncio.get_running_loop().create_task(self._write_state(key, error, connected=connected))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _write_state(self, key: str, error: str, *, connected: bool) -> None:
        name = f"{key}/{self._worker.name}"
        try:
            async with self._writing:
                before = await self._catalogue.get("", STATES, name) or {}
                state: dict[str, Any] = {"connection": key, "worker": self._worker.name, "connected": connected}
                state["lastError"] = error or before.get("lastError", "")
                if any(before.get(member) != value for member, value in state.items()):
                    await self._catalogue.replace("", STATES, name, {**state, "since": clock.now()})
        except self._faults.unavailable:
            log.warning("a connection's state was not written", connection=key)


async def states_of(catalogue: Catalogue, key: str) -> list[dict[str, Any]]:
    """Return what each worker says of a connection."""
    found = await catalogue.find("", STATES, {"connection": key})
    return [
        {
            "worker": one["worker"],
            "connected": one["connected"],
            "since": clock.iso(one["since"]),
            **({"lastError": one["lastError"]} if one.get("lastError") else {}),
        }
        for one in found
    ]
