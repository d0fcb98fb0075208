"""Short calls between processes on several machines: through Redis or, in one process, from memory.

A call is never the only copy of anything: it says that there is something to be found in MongoDB, where whoever is
called would look a little later anyway. So everything here fails open: without Redis, or while it is away, calls get
lost, and what one machine commits is delivered by another up to a quarter of a second later.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import structlog

from tsunagu.background import end

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

CHANNEL = "{prefix}:calls:{writer}"  # one for each process; nothing is kept in it
RETRY_SECONDS = 1.0
WAITING_AT_MOST = 1000


class Fanout(Protocol):
    """Carries calls from process to process."""

    async def start(self, writer: str, heard: Callable[[bytes], None]) -> None:
        """Have `heard` called, on the event loop, with every call to `writer`."""

    def call(self, writer: str, message: bytes) -> None:
        """Call a process. Returns at once; equal calls that wait go as one, and a call may get lost."""

    async def close(self) -> None:
        """Make and take no more calls."""


class MemoryFanout:
    """Calls within one process."""

    def __init__(self) -> None:
        self._listeners: dict[str, Callable[[bytes], None]] = {}
        self._waiting: dict[tuple[str, bytes], None] = {}

    async def start(self, writer: str, heard: Callable[[bytes], None]) -> None:
        """See `Fanout.start`."""
        self._listeners[writer] = heard

    def call(self, writer: str, message: bytes) -> None:
        """See `Fanout.call`."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._deliver)
        self._waiting[writer, message] = None

    def _deliver(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for writer, message in waiting:
            heard = self._listeners.get(writer)
            if heard is not None:
                heard(message)

    async def close(self) -> None:
        """See `Fanout.close`."""
        self._listeners.clear()


class RedisFanout:
    """Calls through Redis' publish and subscribe. While Redis is away calls are dropped, and it is tried again."""

    def __init__(self, url: str, *, prefix: str) -> None:
        from redis.asyncio import Redis  # an extra: needed only where REDIS_URL is set

        self._client: Redis = Redis.from_url(url, socket_connect_timeout=2.0, health_check_interval=15)
        self._prefix = prefix
        self._waiting: dict[tuple[str, bytes], None] = {}
        self._work = asyncio.Event()
        self._subscribed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def _channel(self, writer: str) -> str:
        return CHANNEL.format(prefix=self._prefix, writer=writer)

    async def start(self, writer: str, heard: Callable[[bytes], None]) -> None:
        """See `Fanout.start`. Returns when Redis listens, or does not answer within a second."""
        self._tasks.append(asyncio.create_task(self._listen(self._channel(writer), heard), name="calls from Redis"))
        if len(self._tasks) == 1:
            self._tasks.append(asyncio.create_task(self._send(), name="calls to Redis"))
        try:
            async with asyncio.timeout(RETRY_SECONDS):
                await self._subscribed.wait()
        except TimeoutError:
            log.warning("redis_does_not_answer")

    async def _listen(self, channel: str, heard: Callable[[bytes], None]) -> None:
        from redis.exceptions import RedisError

        while True:
            try:
                async with self._client.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.subscribe(channel)
                    self._subscribed.set()
                    async for message in pubsub.listen():
                        heard(message["data"])
            except (RedisError, OSError) as error:
                log.warning("redis_away", reason=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    def call(self, writer: str, message: bytes) -> None:
        """See `Fanout.call`."""
        if len(self._waiting) < WAITING_AT_MOST:
            self._waiting[writer, message] = None
            self._work.set()

    async def _send(self) -> None:
        from redis.exceptions import RedisError

        while True:
            await self._work.wait()
            self._work.clear()
            waiting, self._waiting = self._waiting, {}
            try:
                async with self._client.pipeline(transaction=False) as pipe:
                    for writer, message in waiting:
                        pipe.publish(self._channel(writer), message)
                    await pipe.execute()
            except (RedisError, OSError) as error:
                log.warning("calls_lost", count=len(waiting), reason=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def close(self) -> None:
        """See `Fanout.close`."""
        await end(*self._tasks)
        await self._client.aclose()
