"""Recovery: whatever a dead process left, a living one delivers.

Each process registers its writer and renews its lease. A writer that does not is dead: one of the living takes it over,
adopts what it had parked, reads its log from the watermark on, and delivers; when all of that is dealt with, the
writer's registration is removed. If the heir dies as well, another one begins again at the watermark.

A commit that was on its way when the process died may take effect a moment later, and with a number below one that is
there already. So the log is read a second time, after a pause, for numbers that were missing.

What was changed by the dead process may have been changed again by a living one before it is delivered: across
processes the order of arrival is not promised, only that everything arrives.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from tsunagu.broker.errors import NgsiError
from tsunagu.subscriptions.home import here, known_dead

if TYPE_CHECKING:
    from tsunagu.broker.changes import ChangeLog
    from tsunagu.broker.storage.catalogue import Catalogue
    from tsunagu.broker.storage.leases import Leases
    from tsunagu.broker.storage.parked import ParkedDeliveries
    from tsunagu.subscriptions.dispatcher import Dispatcher

log = structlog.get_logger(__name__)

SECOND_LOOK = 1.0
BUSY = 0.02


class Recovery:
    """Keeps this process's lease, and takes over from others. `seconds` is how long a lease lasts."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        changes: ChangeLog,
        leases: Leases,
        parked: ParkedDeliveries,
        catalogue: Catalogue,
        *,
        seconds: float,
        second_look: float = SECOND_LOOK,
    ) -> None:
        self._dispatcher = dispatcher
        self._changes = changes
        self._leases = leases
        self._parked = parked
        self._catalogue = catalogue
        self._writer = dispatcher.writer
        self._seconds = seconds
        self._second_look = second_look
        self._well_since = 0.0
        self._task: asyncio.Task[None] | None = None
        self._heirlooms: set[asyncio.Task[None]] = set()
        self._unfinished: set[str] = set()

    async def start(self) -> None:
        """Register, take over from those that are certainly dead, and keep watch. Raises Unavailable.

        When it returns, what they left goes before anything that this process commits.
        """
        await self._leases.register(self._writer, here(), self._seconds)
        self._well_since = asyncio.get_running_loop().time()
        for writer, home in (await self._leases.homes()).items():
            if writer != self._writer and known_dead(home):
                await self._take(dead=writer)
        while await self._take():
            pass
        self._task = asyncio.create_task(self._watch(), name="leases")

    async def _watch(self) -> None:
        """Renew the lease, look for the dead, and write down marks, three times in the time of a lease."""
        while True:
            await asyncio.sleep(self._seconds / 3)
            try:
                await self._renew()
                while await self._take():
                    pass
            except NgsiError as error:
                # Others could not renew either: give them the time of a lease when the store is back.
                self._well_since = asyncio.get_running_loop().time()
                log.warning("lease_not_renewed", reason=error.detail)

    async def _renew(self) -> None:
        if not await self._leases.renew(self._writer, self._seconds):
            log.warning("lease_lost", writer=self._writer)
            await self._leases.register(self._writer, here(), self._seconds)

    async def _take(self, dead: str | None = None) -> bool:
        """Take one dead writer over, if there is one, and begin with what it left."""
        overdue = asyncio.get_running_loop().time() - self._well_since >= self._seconds
        writer = await self._leases.take(self._writer, self._seconds, overdue=overdue, dead=dead)
        if writer is None:
            return False
        log.info("taking_over", writer=writer)
        self._unfinished.add(writer)
        gaps = await self._begin(writer)
        task = asyncio.create_task(self._finish(writer, gaps), name=f"recovery of {writer}")
        self._heirlooms.add(task)
        task.add_done_callback(self._heirlooms.discard)
        return True

    async def _begin(self, writer: str) -> dict[str, Gaps]:
        """Adopt what a writer parked and dispatch what is in its log; return what numbers were missing, by tenant."""
        found: dict[str, Gaps] = {}
        for tenant in await self._catalogue.tenants():
            subscriptions = await self._parked.subscriptions(tenant, writer)
            if subscriptions:
                await self._parked.adopt(tenant, writer, self._writer)
                self._dispatcher.expect_parked(tenant, subscriptions)
            gaps = found[tenant] = Gaps(await self._changes.watermark(tenant, writer))
            await self._read(tenant, writer, gaps)
        return found

    async def _read(self, tenant: str, writer: str, gaps: Gaps) -> None:
        """Dispatch the changes of a writer that were not seen yet."""
        mark = self._dispatcher.marks.of(tenant, writer)
        mark.floor = gaps.start
        async for change in self._changes.after(tenant, writer, gaps.lowest - 1):
            if gaps.fill(change.number):
                await self._dispatcher.room()
                self._dispatcher.consider(change, mark, time.time_ns() // 1_000_000, recovered=True)

    async def _finish(self, writer: str, found: dict[str, Gaps]) -> None:
        """Look a second time, wait until everything is delivered or parked, and remove the writer."""
        marks = self._dispatcher.marks
        while True:
            try:
                await asyncio.sleep(self._second_look)
                for tenant, gaps in found.items():
                    await self._read(tenant, writer, gaps)
                    marks.of(tenant, writer).floor = None
                    marks.of(tenant, writer).passed(gaps.last)
                while marks.outstanding(writer):  # noqa: ASYNC110
                    await asyncio.sleep(BUSY)
                await marks.write()
                await self._leases.remove(writer)
            except NgsiError as error:
                log.warning("recovery_waits", writer=writer, reason=error.detail)
            else:
                self._unfinished.discard(writer)
                marks.drop(writer)
                log.info("taken_over", writer=writer)
                return

    async def end(self) -> None:
        """Give this process's lease up, after its dispatcher has drained. Raises Unavailable."""
        await self.close()
        for writer in self._unfinished:
            await self._leases.hand_over(writer)
        if len(self._dispatcher.outbox.parking) or self._dispatcher.marks.outstanding(self._writer):
            await self._leases.hand_over(self._writer)
        else:
            await self._leases.remove(self._writer)

    async def close(self) -> None:
        """Stop watching."""
        tasks = [*self._heirlooms, *([self._task] if self._task is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Gaps:
    """Which numbers of a growing sequence have been seen: all from `start` to `last` but those in the gaps."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.last = start
        self._missing: set[int] = set()

    @property
    def lowest(self) -> int:
        """The lowest number not seen."""
        return min(self._missing) if self._missing else self.last + 1

    def fill(self, number: int) -> bool:
        """Note a number; tell whether it is new."""
        if number > self.last:
            self._missing.update(range(self.last + 1, number))
            self.last = number
            return True
        if number in self._missing:
            self._missing.discard(number)
            return True
        return False
