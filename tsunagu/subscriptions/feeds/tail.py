"""The latest changes of one tenant, by any process, in memory while somebody follows them.

The log is read on whenever this process has committed something, and four times a second for what others have. How many
follow makes no difference to that. Who does not keep up with the few changes that are kept reads the log himself.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from tsunagu.background import end
from tsunagu.broker.changes import Change, Position
from tsunagu.broker.errors import NgsiError
from tsunagu.subscriptions.feeds.cursor import SLACK, Cursor
from tsunagu.subscriptions.matching import Effect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tsunagu.broker.changes import ChangeTail, Key
    from tsunagu.broker.storage.leases import Leases
    from tsunagu.subscriptions.job import Rendered

log = structlog.get_logger(__name__)

KEPT = 500
IDLE_SECONDS = 0.25
GATHER_SECONDS = 0.02
WRITERS_SECONDS = 1.0
RETRY_SECONDS = 0.5


def _wall() -> int:
    return time.time_ns() // 1_000_000


class News:
    """What has come to the log: a change, what it amounts to, and what was rendered of it; no change: only its key."""

    __slots__ = ("change", "effect", "key", "shared")

    def __init__(self, found: Change | Key) -> None:
        if isinstance(found, Change):
            self.change: Change | None = found
            self.key = (found.writer, found.number)
            self.effect = Effect(found)
            self.shared: Rendered = {}
        else:
            self.key, self.change = found, None


class Tail:
    """See the module's docstring. Changes have numbers of their own here, from `first` to `end`, which is not there.

    `writers`: those that run, and the number after which each is followed.
    """

    def __init__(self, tenant: str, changes: ChangeTail, leases: Leases) -> None:
        self.tenant = tenant
        self.changes = changes
        self._leases = leases
        self._reader = changes.reader(tenant)
        self._kept: deque[News] = deque(maxlen=KEPT)
        self._committed = asyncio.Event()
        self._news = asyncio.Event()
        self._starting = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._looked = 0.0
        self.cursor = Cursor(0, {}, now=0.0)
        self.writers: dict[str, int] = {}
        self.followers = 0
        self.end = 0

    @property
    def first(self) -> int:
        """The number of the oldest change that is kept."""
        return self.end - len(self._kept)

    def at(self, number: int) -> News:
        """Return a change that is kept."""
        return self._kept[number - self.first]

    async def ready(self) -> None:
        """Begin, if it has not begun, with what is committed from now on. Raises Unavailable."""
        async with self._starting:
            if self._task is None:
                moment, self._looked = _wall(), time.monotonic()
                self.writers = await self.changes.ends(self.tenant, await self._leases.writers())
                positions = {writer: Position(number) for writer, number in self.writers.items()}
                self.cursor = Cursor(moment, positions, now=self._looked)
                self._task = asyncio.create_task(self._run(), name="feed")

    def committed(self) -> None:
        """Take note that this process has committed something."""
        self._committed.set()

    async def wait(self, number: int, seconds: float) -> None:
        """Wait until there is a change with this number, no longer than some seconds."""
        if number < self.end:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            pass

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._committed.wait()
                await asyncio.sleep(GATHER_SECONDS)
            except TimeoutError:
                pass
            self._committed.clear()
            try:
                await self._read()
            except NgsiError as error:
                log.warning("feed_waits", reason=error.detail)
                await asyncio.sleep(RETRY_SECONDS)

    async def _read(self) -> None:
        """Read all that is new."""
        complete = False
        while not complete:
            now, moment = time.monotonic(), _wall()
            if now - self._looked >= WRITERS_SECONDS:
                await self._look(moment)
                self.cursor.meet(self.writers, now)
                self._looked = now
            found, complete = await self._reader.read(self.cursor.positions(now))
            fresh = [news for news in map(News, found) if self.cursor.passed(*news.key, now)]
            if complete:
                self.cursor.settle(moment, now)
            self._kept.extend(fresh)
            self.end += len(fresh)
            if fresh:
                self._news.set()
                self._news = asyncio.Event()
                await asyncio.sleep(0)

    async def _look(self, moment: int) -> None:
        """See which writers run. A new one is followed from its first change on, one that returns from now on."""
        running = await self._leases.writers()
        known = {writer: number for writer, number in self.writers.items() if writer in running}
        unknown = running.keys() - known.keys() - self.cursor.gaps.keys()
        if unknown:
            ends = await self.changes.ends(self.tenant, unknown)
            started = await self.changes.started(self.tenant, moment - int(SLACK * 1000))
            known.update((writer, 0 if writer in started else number) for writer, number in ends.items())
        self.writers = known | dict.fromkeys(running.keys() - known.keys(), 0)

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            await end(self._task)


class Tails:
    """The tails of a process, one for each tenant of which somebody follows the changes."""

    def __init__(self, changes: ChangeTail, leases: Leases) -> None:
        self._changes = changes
        self._leases = leases
        self._tails: dict[str, Tail] = {}

    def committed(self, changes: Sequence[Change]) -> None:
        """Take note that this process has committed changes of one tenant; see `ChangeListener`."""
        tail = self._tails.get(changes[0].tenant)
        if tail is not None:
            tail.committed()

    @asynccontextmanager
    async def follow(self, tenant: str) -> AsyncIterator[Tail]:
        """Give the tail of a tenant; it runs as long as somebody follows it. Raises Unavailable."""
        tail = self._tails.get(tenant)
        if tail is None:
            tail = self._tails[tenant] = Tail(tenant, self._changes, self._leases)
        tail.followers += 1
        try:
            await tail.ready()
            yield tail
        finally:
            tail.followers -= 1
            if not tail.followers:
                if self._tails.get(tenant) is tail:
                    del self._tails[tenant]
                await tail.close()

    @property
    def followers(self) -> int:
        """How many follow a tenant."""
        return sum(tail.followers for tail in self._tails.values())
