"""Notifications outside of memory: written in batches, loaded again in order, removed when delivered.

While anything of a subscription is parked, newer notifications of it go behind. A parked notification counts as dealt
with for the watermark: the store has it. All writing is done by one background task, so that it happens in order.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

import structlog

from tsunagu.background import end
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

    def __init__(self, cursor: int) -> None:
        self.cursor = cursor
        self.unsaved: dict[Job, None] = {}
        self.loading = False

    def set_back(self, seq: int) -> None:
        """See to it that the row with this seq is loaded."""
        self.cursor = min(self.cursor, seq - 1)


class Parking:
    """Parked notifications. `saved` hears of subscriptions that have rows to be loaded."""

    def __init__(self, store: ParkedDeliveries, saved: Callable[[Iterable[Key]], None]) -> None:
        self._store = store
        self._saved = saved
        self._backlogs: dict[Key, Backlog] = {}
        self._unsaved: dict[str, dict[Job, None]] = {}
        self._letters: deque[tuple[Job, str]] = deque()
        self._removals: dict[str, set[str]] = {}
        self._in_memory: dict[str, set[str]] = {}
        self._discards: dict[Key, None] = {}
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
        return sum(map(len, self._unsaved.values()))

    def start(self) -> None:
        """Start the background task."""
        self._task = asyncio.create_task(self._run(), name="parking")

    # --- what others ask for, at once -------------------------------------------------------------------------------

    def put(self, job: Job) -> None:
        """Park a job behind what is parked of its subscription already."""
        key = job.subscription.key
        backlog = self._backlogs.get(key)
        if backlog is None:
            backlog = self._backlogs[key] = Backlog(job.seq - 1)
        if job.row is not None:
            backlog.set_back(job.seq)
            self._in_memory.get(key[0], set()).discard(job.row)
            job.settle()
            self._saved((key,))
            return
        backlog.unsaved[job] = None
        self.keep(job)

    def keep(self, job: Job) -> None:
        """Write a job down that stays in memory: it is loaded by an heir only."""
        self._unsaved.setdefault(job.subscription.tenant, {})[job] = None
        self._work.set()

    def expect(self, key: Key) -> None:
        """Say that the store may hold rows of a subscription that nobody has loaded yet, from any place on."""
        self._backlogs.setdefault(key, Backlog(0)).cursor = 0

    def delivered(self, job: Job) -> None:
        """Remove what is kept of a job, and settle it."""
        for part in job.parts:
            tenant = part.subscription.tenant
            if part.row is not None:
                self._in_memory.get(tenant, set()).discard(part.row)
                self._removals.setdefault(tenant, set()).add(part.row)
                self._work.set()
            elif tenant in self._unsaved:
                self._unsaved[tenant].pop(part, None)
        job.settle()

    def bury(self, job: Job, reason: str) -> None:
        """Make a dead letter of a job."""
        if job.row is not None:
            self._in_memory.get(job.subscription.tenant, set()).discard(job.row)
        self._letters.append((job, reason))
        self._work.set()

    def discard(self, key: Key) -> None:
        """Remove everything of a subscription that is deleted."""
        self._backlogs.pop(key, None)
        unsaved = self._unsaved.get(key[0], {})
        for job in [job for job in unsaved if job.subscription.key == key]:
            del unsaved[job]
            job.settle()
        loaded = self._in_memory.get(key[0], set())
        loaded.difference_update([row for row in loaded if row.startswith(f"{key[1]}|")])
        self._discards[key] = None
        self._work.set()

    def forget(self, key: Key) -> None:
        """Leave what is saved of a subscription to the process that delivers."""
        if key in self._backlogs and not self._backlogs[key].unsaved:
            del self._backlogs[key]

    def forget_all(self) -> None:
        """Leave everything to another process, also what is not saved yet: it is in the log."""
        self._backlogs.clear()
        self._unsaved.clear()
        self._letters.clear()
        self._in_memory.clear()

    def behind(self) -> list[Key]:
        """Return the subscriptions that have something parked."""
        return list(self._backlogs)

    async def load(self, key: Key, limit: int) -> list[Parked]:
        """Return the next parked notifications of a subscription; when there are no more, its backlog ends.

        Returns nothing while another load is under way. Raises Unavailable.
        """
        backlog = self._backlogs.get(key)
        if backlog is None or backlog.loading:
            return []
        backlog.loading = True
        try:
            async with self._reading:
                # What was delivered must be gone first: the cursor may have been set back.
                await self._remove()
                start = backlog.cursor
                rows = await self._store.load(*key, after=start, limit=limit)
        finally:
            backlog.loading = False
        if self._backlogs.get(key) is not backlog or backlog.cursor != start:
            return []
        complete = len(rows) < limit and not backlog.unsaved
        if backlog.unsaved:
            lowest = min(job.seq for job in backlog.unsaved)
            rows = [row for row in rows if row.seq < lowest]
        if rows:
            backlog.cursor = rows[-1].seq
        if complete:
            del self._backlogs[key]
        in_memory = self._in_memory.setdefault(key[0], set())
        rows = [row for row in rows if row.id not in in_memory]
        in_memory.update(row.id for row in rows)
        return rows

    async def coalesce(self, key: Key) -> None:
        """Forget of what is parked of a subscription all but the latest of each entity. Raises Unavailable."""
        await self._store.coalesce(*key)

    # --- the background task ----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            self._busy = True
            try:
                await self._discard()
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
        for tenant in list(self._unsaved):
            unsaved = self._unsaved[tenant]
            while unsaved:
                await self._discard()
                jobs = list(islice(unsaved, ROWS_AT_ONCE))
                await self._store.put(tenant, [self.row(job) for job in jobs])
                self._written(tenant, jobs)
            del self._unsaved[tenant]
        while self._letters:
            job, reason = self._letters[0]
            letter = DeadLetter(self.row(job), time.time_ns() // 1_000_000, reason)
            await self._store.bury(job.subscription.tenant, [letter])
            self._letters.popleft()
            job.settle()

    def _written(self, tenant: str, jobs: list[Job]) -> None:
        """Take note that jobs are in the store now; remove those again that were delivered or deleted meanwhile."""
        unsaved = self._unsaved[tenant]
        ready: dict[Key, None] = {}
        for job in jobs:
            row = self.row(job).id
            if job not in unsaved:
                self._removals.setdefault(tenant, set()).add(row)
                self._work.set()
                continue
            del unsaved[job]
            job.settle()
            key = job.subscription.key
            backlog = self._backlogs.get(key)
            if backlog is not None and job in backlog.unsaved:
                del backlog.unsaved[job]
                backlog.set_back(job.seq)
                ready[key] = None
            else:
                job.row = row
                self._in_memory.setdefault(tenant, set()).add(row)
        if ready:
            self._saved(ready)

    async def _remove(self) -> None:
        """Remove what was delivered."""
        for tenant, ids in list(self._removals.items()):
            some = list(ids)
            await self._store.remove(tenant, some)
            ids.difference_update(some)
            if not ids:
                self._removals.pop(tenant, None)

    async def _discard(self) -> None:
        """Remove what was deleted, before anything is written: a new subscription may have the id of a deleted one."""
        while self._discards:
            key = next(iter(self._discards))
            del self._discards[key]
            try:
                await self._store.discard(*key)
            except NgsiError:
                self._discards[key] = None
                raise

    def row(self, job: Job) -> Parked:
        """Return the row that keeps a job."""
        subscription = job.subscription
        identity = job.row or f"{subscription.id}|{job.changes[0].key}"
        return Parked(identity, subscription.id, job.seq, job.lane, job.changes)

    async def flushed(self) -> None:
        """Wait until everything asked for so far is written. Waits for the store if it is away."""
        while any(self._unsaved.values()) or self._letters or self._removals or self._discards or self._busy:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Stop the background task."""
        if self._task is not None:
            await end(self._task)
