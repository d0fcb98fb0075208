"""Notifications outside of memory: written in batches, loaded again in order, removed when delivered.

While anything of a subscription is parked, newer notifications of it go behind. A parked notification counts as dealt
with for the watermark: the store has it. Everything here is done by one background task, so that it happens in order.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from tsunagu.broker.errors import NgsiError
from tsunagu.broker.storage.parked import DeadLetter, Parked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tsunagu.broker.storage.parked import ParkedDeliveries
    from tsunagu.subscriptions.job import Job

log = structlog.get_logger(__name__)

Key = tuple[str, str]
RETRY_SECONDS = 0.5
ROWS_AT_ONCE = 200


class Backlog:
    """What of one subscription is parked. `unsaved` jobs are not in the store yet; `cursor`: loaded up to this seq."""

    __slots__ = ("cursor", "loading", "unsaved")

    def __init__(self) -> None:
        self.cursor = 0
        self.unsaved = 0
        self.loading = False


class Parking:
    """The parked notifications of one process (`owner`). `saved` hears of subscriptions whose jobs are written."""

    def __init__(self, store: ParkedDeliveries, owner: str, saved: Callable[[Iterable[Key]], None]) -> None:
        self._store = store
        self._owner = owner
        self._saved = saved
        self._backlogs: dict[Key, Backlog] = {}
        self._unsaved: list[Job] = []
        self._letters: list[tuple[Job, str]] = []
        self._removals: dict[str, set[str]] = {}
        self._discards: set[Key] = set()
        self._work = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._busy = False
        self._reading = asyncio.Lock()

    def __contains__(self, key: Key) -> bool:
        """Tell whether anything of a subscription is parked."""
        return key in self._backlogs

    def __len__(self) -> int:
        return len(self._backlogs)

    @property
    def unsaved(self) -> int:
        """How many jobs wait to be written."""
        return len(self._unsaved)

    def start(self) -> None:
        """Start the background task."""
        self._task = asyncio.create_task(self._run(), name="parking")

    # --- what others ask for, at once -------------------------------------------------------------------------------

    def put(self, job: Job) -> None:
        """Park a job behind what is parked of its subscription already."""
        key = job.subscription.key
        backlog = self._backlogs.get(key)
        if backlog is None:
            backlog = self._backlogs[key] = Backlog()
            backlog.cursor = job.seq - 1
        if job.row is not None:
            backlog.cursor = min(backlog.cursor, job.seq - 1)
            job.settle()
            self._saved([key])
            return
        backlog.unsaved += 1
        self._unsaved.append(job)
        self._work.set()

    def expect(self, key: Key) -> None:
        """Say that the store holds rows of a subscription."""
        backlog = self._backlogs.setdefault(key, Backlog())
        backlog.cursor = 0

    def delivered(self, job: Job) -> None:
        """Remove a job's row, if it has one, and settle it."""
        for part in job.parts:
            if part.row is not None:
                self._removals.setdefault(part.subscription.tenant, set()).add(part.row)
                self._work.set()
        job.settle()

    def bury(self, job: Job, reason: str) -> None:
        """Make a dead letter of a job."""
        self._letters.append((job, reason))
        self._work.set()

    def discard(self, key: Key) -> None:
        """Remove everything of a subscription that is deleted."""
        self._backlogs.pop(key, None)
        for job in self._unsaved:
            if job.subscription.key == key:
                job.settle()
        self._unsaved = [job for job in self._unsaved if job.subscription.key != key]
        self._discards.add(key)
        self._work.set()

    def behind(self) -> list[Key]:
        """Return the subscriptions that have something parked."""
        return list(self._backlogs)

    async def load(self, key: Key, limit: int) -> list[Parked]:
        """Return the next parked notifications of a subscription; when there are no more, its backlog ends.

        Returns nothing while jobs are not written yet, or while another load is under way. Raises Unavailable.
        """
        backlog = self._backlogs.get(key)
        if backlog is None or backlog.loading or backlog.unsaved:
            return []
        backlog.loading = True
        try:
            async with self._reading:
                # What was delivered must be gone first: the cursor may have been set back.
                await self._remove()
                rows = await self._store.load(key[0], self._owner, key[1], after=backlog.cursor, limit=limit)
        finally:
            backlog.loading = False
        if self._backlogs.get(key) is not backlog:
            return []
        if rows:
            backlog.cursor = rows[-1].seq
        if len(rows) < limit and not backlog.unsaved:
            del self._backlogs[key]
        return rows

    # --- the background task ----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            self._busy = True
            try:
                await self._save()
                async with self._reading:
                    await self._remove()
            except NgsiError as error:
                log.warning("parking_waits", reason=error.detail)
                await asyncio.sleep(RETRY_SECONDS)
                self._work.set()
            finally:
                self._busy = False

    async def _save(self) -> None:
        """Write unsaved jobs and dead letters."""
        while self._unsaved:
            tenant = self._unsaved[0].subscription.tenant
            jobs = [job for job in self._unsaved if job.subscription.tenant == tenant][:ROWS_AT_ONCE]
            await self._store.put(tenant, [self.row(job) for job in jobs])
            written = set(jobs)
            present = [job for job in self._unsaved if job in written]  # some may have been discarded meanwhile
            self._unsaved = [job for job in self._unsaved if job not in written]
            for job in present:
                backlog = self._backlogs.get(job.subscription.key)
                if backlog is not None:
                    backlog.unsaved -= 1
                    backlog.cursor = min(backlog.cursor, job.seq - 1)
                job.settle()
            self._saved({job.subscription.key for job in present})
        while self._letters:
            job, reason = self._letters[0]
            letter = DeadLetter(self.row(job), time.time_ns() // 1_000_000, reason)
            await self._store.bury(job.subscription.tenant, [letter])
            self._letters.pop(0)
            job.settle()

    async def _remove(self) -> None:
        """Remove what was delivered and what was deleted."""
        for tenant, ids in list(self._removals.items()):
            some = list(ids)
            await self._store.remove(tenant, some)
            ids.difference_update(some)
            if not ids:
                self._removals.pop(tenant, None)
        while self._discards:
            key = next(iter(self._discards))
            await self._store.discard(*key)
            self._discards.discard(key)

    def row(self, job: Job) -> Parked:
        """Return the row that keeps a job."""
        subscription = job.subscription
        identity = job.row or f"{subscription.id}|{job.changes[0].key}"
        return Parked(identity, self._owner, subscription.id, job.seq, job.lane, job.changes)

    async def flushed(self) -> None:
        """Wait until everything asked for so far is written. Waits for the store if it is away."""
        while self._unsaved or self._letters or self._removals or self._discards or self._busy:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Stop the background task."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
