"""Bounds how much of what was sent is worked on at once: what is read of a body takes ten to twenty times its bytes.

Bodies wait as the bytes they are, in the order in which they came, until those before them are done with. Small ones
do not wait: they are bounded by the number of connections.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tsunagu.broker.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SMALL = 16 * 1024
WAITING = 64  # times the room: so many bytes may wait


class Intake:
    """Room for bodies of `limit` bytes at once; a larger one is let in alone. None waits longer than `patience` s."""

    def __init__(self, limit: int, *, patience: float) -> None:
        self._limit = limit
        self._patience = patience
        self._taken = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._waiting_bytes = 0

    @asynccontextmanager
    async def room(self, size: int) -> AsyncIterator[None]:
        """Hold room for a body of so many bytes within the block. Raises Unavailable when too much waits already."""
        if self._waiting or not self._fits(size):
            await self._turn(size)
        else:
            self._taken += size
        try:
            yield
        finally:
            self._taken -= size
            self._let_in()

    def _fits(self, size: int) -> bool:
        return not self._taken or self._taken + size <= self._limit

    async def _turn(self, size: int) -> None:
        """Wait until there is room, and take it."""
        if self._waiting_bytes + size > WAITING * self._limit and self._waiting:
            raise Unavailable(f"bodies of {self._waiting_bytes} bytes are waiting; send again later", retry_after=1)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (size, future)
        self._waiting.append(entry)
        self._waiting_bytes += size
        try:
            async with asyncio.timeout(self._patience):
                await future
        except BaseException as error:
            if entry in self._waiting:
                self._waiting.remove(entry)
                self._waiting_bytes -= size
            else:  # let in at the very moment
                self._taken -= size
            self._let_in()
            if isinstance(error, TimeoutError):
                text = f"there was no room for the body within {self._patience:g} s; send again later"
                raise Unavailable(text, retry_after=5) from None
            raise

    def _let_in(self) -> None:
        """Let in, in order, what there is room for."""
        while self._waiting and self._fits(self._waiting[0][0]):
            size, future = self._waiting.popleft()
            self._waiting_bytes -= size
            self._taken += size
            future.set_result(None)
