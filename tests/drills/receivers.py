"""Receivers of notifications that can keep up with the drills: one server, a path for each subscription.

They read no more of HTTP than they need, and keep of each notification when it came and what it told.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.endpoint import OK, Endpoint

REFUSED = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
HANG = float("inf")


@dataclass
class Receivers:
    """What came, by path: (monotonic time, entity id, value) in order; and how each path behaves.

    `delays`: seconds before a path answers (HANG: never); `down`: paths that answer 503; `groups`: how many
    notifications came. `attribute` is the one whose value is kept.
    """

    url: str = ""
    attribute: str = "level"
    got: dict[str, list[tuple[float, str, Any]]] = field(default_factory=lambda: defaultdict(list))
    delays: dict[str, float] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    notifications: int = 0
    shared_twice: int = 0

    def take(self, path: str, body: bytes) -> None:
        """Keep what a notification tells."""
        now = time.monotonic()
        self.notifications += 1
        entities = orjson.loads(body)["data"]
        if len({entity["id"] for entity in entities}) != len(entities):
            self.shared_twice += 1
        kept = self.got[path]
        for entity in entities:
            if self.attribute in entity:
                kept.append((now, entity["id"], entity[self.attribute]["value"]))

    def values(self, path: str) -> set[Any]:
        """Return the values that came to a path."""
        return {value for _, _, value in self.got[path]}

    def first_arrivals(self, path: str) -> dict[str, list[Any]]:
        """Return the values of each entity in the order in which they first came: repeats left out."""
        found: dict[str, dict[Any, None]] = defaultdict(dict)
        for _, entity, value in self.got[path]:
            found[entity].setdefault(value)
        return {entity: list(values) for entity, values in found.items()}

    def out_of_order(self, path: str, order: Mapping[Any, int]) -> int:
        """Return how many values came after a value of the same entity that is later by `order`."""
        count = 0
        for values in self.first_arrivals(path).values():
            latest = -1
            for value in values:
                place = order[value]
                count += place < latest
                latest = max(latest, place)
        return count

    def silence(self, path: str, start: float, end: float) -> float:
        """Return the longest time without a notification between two times."""
        times = [start, *(at for at, _, _ in self.got[path] if start < at < end), end]
        return max(later - earlier for earlier, later in itertools.pairwise(times))

    def repeats(self, path: str) -> int:
        """Return how many values came again."""
        return len(self.got[path]) - len(self.values(path))


class _Connection(Endpoint):
    def __init__(self, receivers: Receivers) -> None:
        super().__init__()
        self._receivers = receivers

    def answer(self, method: bytes, path: str, body: bytes) -> None:
        receivers = self._receivers
        if path in receivers.down:
            self.write(REFUSED)
            return
        delay = receivers.delays.get(path, 0.0)
        if delay == HANG:
            return
        receivers.take(path, body)
        if delay:
            asyncio.get_running_loop().call_later(delay, self.write, OK)
        else:
            self.write(OK)


@contextlib.asynccontextmanager
async def receivers() -> AsyncIterator[Receivers]:
    """Run the receivers on a free port of 127.0.0.1."""
    kept = Receivers()
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(kept), "127.0.0.1", 0)
    kept.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield kept
    finally:
        server.close()
