"""Equal requests at the same time are answered by one reading.

An answer may only be shared with those who asked before its reading began: whoever asks while one is under way waits
for the next, so that nobody is shown less than what was acknowledged before they asked.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tsunagu.broker.api.call import Answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Mapping

IN_FLIGHT = 2
# These headers make no difference to an answer beyond media type, tenant and @context, which a key has by themselves.
INDIFFERENT = frozenset(
    [
        *(b"accept", b"accept-encoding", b"accept-language", b"cache-control", b"connection", b"content-length"),
        *(b"content-type", b"fiware-service", b"host", b"link", b"ngsild-tenant", b"pragma", b"user-agent"),
    ]
)


def telling(headers: Mapping[bytes, bytes]) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers in which two requests for the same must not differ to be answered as one."""
    if headers.keys() <= INDIFFERENT:
        return ()
    return tuple(sorted(item for item in headers.items() if item[0] not in INDIFFERENT))


class _Reading:
    """The readings of one key: how many are under way, and who waits for the next."""

    __slots__ = ("under_way", "waiting")

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[Answer]] = []
        self.under_way = 0


class SharedReadings:
    """Runs what several requests ask for once for all that wait, at most two readings of a key at once."""

    def __init__(self) -> None:
        self._readings: dict[Hashable, _Reading] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def answer(self, key: Hashable, read: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return what `read` returns, called once or shared with others of an equal key; raises what it raises.

        The answer is a copy that the caller may add headers to.
        """
        loop = asyncio.get_running_loop()
        reading = self._readings.get(key)
        if reading is None:
            reading = self._readings[key] = _Reading()
        future: asyncio.Future[Answer] = loop.create_future()
        reading.waiting.append(future)
        if len(reading.waiting) == 1 and reading.under_way < IN_FLIGHT:
            loop.call_soon(self._start, key, reading, read)
        found = await future
        return Answer(found.status, found.body, [*found.headers])

    def _start(self, key: Hashable, reading: _Reading, read: Callable[[], Awaitable[Answer]]) -> None:
        """Begin a reading for all that wait, if any still do and no two are under way."""
        if reading.waiting and reading.under_way < IN_FLIGHT:
            waiting, reading.waiting = reading.waiting, []
            reading.under_way += 1
            task = asyncio.create_task(self._run(key, reading, waiting, read), name="shared reading")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(
        self,
        key: Hashable,
        reading: _Reading,
        waiting: list[asyncio.Future[Answer]],
        read: Callable[[], Awaitable[Answer]],
    ) -> None:
        try:
            found = await read()
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            for future in waiting:
                if not future.done():
                    future.set_exception(error)
        else:
            for future in waiting:
                if not future.done():
                    future.set_result(found)
        finally:
            reading.under_way -= 1
            if reading.waiting:
                self._start(key, reading, read)
            elif not reading.under_way:
                del self._readings[key]
