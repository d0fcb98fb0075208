"""Presence: this process is registered, its lease renewed, and of all processes one has the role of the deliverer.

The deliverer tells the subscribers of all changes, whichever process committed them (docs/decisions). When it ends it
gives the role up; when it is killed, another process of its machine notices within a second; when its machine is gone,
its lease runs out.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from tsunagu.background import end
from tsunagu.broker.errors import NgsiError
from tsunagu.subscriptions.calls import ROLE as ROLE_CALL
from tsunagu.subscriptions.calls import WRITERS
from tsunagu.subscriptions.home import here, known_dead

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tsunagu.broker.storage.leases import Leases, Writer
    from tsunagu.subscriptions.calls import Calls

log = structlog.get_logger(__name__)

ROLE = "deliverer"
LOOK_SECONDS = 1.0
SEEN_SECONDS = 0.02


class Presence:
    """Keeps this process's lease and the role; `seconds` is how long a lease lasts.

    `gain` and `lose` are called when this process gets the role, and when another one has it. `others` are the other
    registered writers; `gone` those of them that are dead, ended or overdue, with the loop's time at which that was
    noticed; `dead` those that certainly commit nothing more. Who is only overdue may be suspended, and come back.
    """

    def __init__(
        self,
        writer: str,
        leases: Leases,
        calls: Calls,
        *,
        seconds: float,
        gain: Callable[[], Awaitable[None]],
        lose: Callable[[], None],
    ) -> None:
        self._writer = writer
        self._leases = leases
        self._calls = calls
        self._seconds = seconds
        self._gain = gain
        self._lose = lose
        self._port = 0
        self._well_since = 0.0
        self._renewed = 0.0
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._seen = ""
        self.holder = ""
        self.delivering = False
        self.others: dict[str, Writer] = {}
        self.gone: dict[str, float] = {}
        self.dead: set[str] = set()

    async def start(self) -> None:
        """Register; get the role, or wait until whoever has it follows this process. Raises Unavailable."""
        loop = asyncio.get_running_loop()
        self._port = await self._calls.start(self._writer)
        await self._leases.register(self._writer, here(), self._port, self._seconds)
        self._well_since = self._renewed = loop.time()
        await self._look()
        end = loop.time() + self._seconds
        while not self.delivering and self._seen != self.holder and self.holder in self.others and loop.time() < end:
            self.call(WRITERS)
            await asyncio.sleep(SEEN_SECONDS)
            await self._look()
        self._task = asyncio.create_task(self._watch(), name="leases")

    def call(self, kind: bytes, *words: str) -> None:
        """Call the deliverer, if it is another process."""
        holder = self.others.get(self.holder)
        if holder is not None:
            self._calls.call(self.holder, holder, kind, *words)

    def wake(self) -> None:
        """Look at once who is there."""
        self._woken.set()

    async def _watch(self) -> None:
        while True:
            try:
                async with asyncio.timeout(min(LOOK_SECONDS, self._seconds / 3)):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()
            try:
                await self._renew()
                await self._look()
            except NgsiError as error:
                # Others could not renew either: give them the time of a lease when the store is back.
                self._well_since = asyncio.get_running_loop().time()
                log.warning("lease_not_renewed", reason=error.detail)

    async def _renew(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._renewed < self._seconds / 3:
            return
        if not await self._leases.renew(self._writer, self._seconds):
            log.warning("lease_lost", writer=self._writer)
            await self._leases.register(self._writer, here(), self._port, self._seconds)
        self._renewed = now

    async def _look(self) -> None:
        """See who is there, and who delivers."""
        now = asyncio.get_running_loop().time()
        sure = now - self._well_since >= self._seconds
        writers = await self._leases.writers()
        me = writers.pop(self._writer, None)
        self._seen = me.seen if me is not None else ""
        self.others = writers
        self.dead = dead = {writer for writer, one in writers.items() if one.ended or known_dead(one.home)}
        overdue = {writer for writer, one in writers.items() if one.overdue} if sure else set()
        self.gone = {writer: self.gone.get(writer, now) for writer in dead | overdue}
        self.holder = await self._leases.hold(ROLE, self._writer, self._seconds, overdue=sure, over=dead)
        if self.holder == self._writer:
            await self._deliver()
        elif self.delivering:
            log.warning("not_delivering", writer=self._writer, holder=self.holder)
            self.delivering = False
            self._lose()

    async def _deliver(self) -> None:
        """Begin to deliver, if this process does not yet; tell the others that they are followed."""
        if not self.delivering:
            log.info("delivering", writer=self._writer)
            self.delivering = True
            try:
                await self._gain()
            except NgsiError:
                self.delivering = False
                self._lose()
                raise
        unseen = [writer for writer, one in self.others.items() if one.seen != self._writer]
        if unseen:
            await self._leases.see(unseen, self._writer)

    def forget(self, writer: str) -> None:
        """Forget a writer that was removed."""
        self.others.pop(writer, None)
        self.gone.pop(writer, None)
        self.dead.discard(writer)

    async def inherit(self) -> None:
        """Get the role if nobody living has it, at the end of this process. Raises Unavailable."""
        await self.close()
        await self._look()

    async def end(self, *, everything: bool) -> None:
        """Give lease and role up; `everything` that this process committed is delivered. Raises Unavailable."""
        await self.close()
        if everything:
            await self._leases.remove(self._writer)
        else:
            await self._leases.end(self._writer)
        if self.delivering:
            await self._leases.release(ROLE, self._writer)
        for writer, one in self.others.items():
            self._calls.call(writer, one, ROLE_CALL)

    async def close(self) -> None:
        """Stop watching."""
        if self._task is not None:
            await end(self._task)
            self._task = None
