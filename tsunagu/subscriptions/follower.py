"""The follower: brings the changes of all processes to the deliverer's dispatcher, per entity in order.

What this process commits comes from memory; what others commit, and what any process committed before this one became
the deliverer, is read from the log. A process that is dead, or ended, is followed like a living one until all that it
left is delivered or parked; then its registration is removed. One that only does not renew its lease may be suspended,
and go on with what it was about to commit: it is followed for much longer.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import structlog

from tsunagu.background import end
from tsunagu.broker.changes import Change
from tsunagu.broker.errors import NgsiError
from tsunagu.subscriptions.gaps import Gaps
from tsunagu.subscriptions.sequence import Sequence

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence as Several

    from tsunagu.broker.changes import ChangeLog
    from tsunagu.broker.storage.leases import Leases
    from tsunagu.subscriptions.dispatcher import Dispatcher

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.25
SPACING_SECONDS = 0.004
RETRY_SECONDS = 0.5
SECOND_LOOK = 1.0
SEARCH_SECONDS = 2.0


class Stream:
    """The changes of one tenant. `gaps`: what was read, by writer; `early`: what was committed before the first look.

    `passed`: what this process committed up to this number was nobody's, since nobody had subscribed yet. `first`:
    nothing was read yet; `looked`: the loop's time at which the last complete look began.
    """

    __slots__ = ("early", "first", "gaps", "looked", "passed", "sequence", "tenant")

    def __init__(self, tenant: str, sequence: Sequence, passed: int) -> None:
        self.tenant = tenant
        self.sequence = sequence
        self.passed = passed
        self.gaps: dict[str, Gaps] = {}
        self.early: list[Change] = []
        self.first = True
        self.looked = 0.0


class Follower:
    """See the module's docstring. `opens` returns the numbers of this process's commits in a tenant that are open."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        changes: ChangeLog,
        leases: Leases,
        opens: Callable[[str], frozenset[int]],
    ) -> None:
        self._dispatcher = dispatcher
        self._changes = changes
        self._leases = leases
        self._presence = dispatcher.presence
        self._opens = opens
        self._writer = dispatcher.writer
        self._loop = asyncio.get_running_loop()
        self._streams: dict[str, Stream] = {}
        self._awake: set[str] = set()
        self._woken = asyncio.Event()
        self._searched = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow, from the watermarks on."""
        for tenant in self._dispatcher.store.indexes:
            self._stream(tenant)
        self._task = asyncio.create_task(self._run(), name="follower")

    def wake(self, tenant: str) -> None:
        """Look into the logs of a tenant at once."""
        self._awake.add(tenant)
        self._woken.set()

    def _stream(self, tenant: str) -> Stream:
        stream = self._streams.get(tenant)
        if stream is None:
            sequence = Sequence(self._go, partial(self._opens, tenant))
            stream = self._streams[tenant] = Stream(tenant, sequence, self._passed(tenant))
            self.wake(tenant)
        return stream

    def _passed(self, tenant: str) -> int:
        """Return the number up to which this process's commits were nobody's when the tenant got a subscription.

        What is being committed just now is the new subscription's. Where another process may have made it, and have
        answered before this one heard of it, that cannot be told.
        """
        if self._presence.others:
            return 0
        last = self._dispatcher.marks.of(tenant, self._writer).last
        return min((number - 1 for number in self._opens(tenant) if number <= last), default=last)

    # --- what comes -------------------------------------------------------------------------------------------------

    def committed(self, changes: Several[Change]) -> None:
        """Take changes of one tenant that this process committed, in commit order."""
        tenant = changes[0].tenant
        if tenant not in self._dispatcher.store.indexes:
            self._dispatcher.marks.of(tenant, self._writer).passed(changes[-1].number)
            return
        stream = self._stream(tenant)
        if stream.first:
            stream.early.extend(changes)
            return
        for change in changes:
            self._take(stream, change, read=False)
        if stream.sequence.waiting:
            self.wake(tenant)

    def _take(self, stream: Stream, change: Change, *, read: bool) -> None:
        """Put a change into the sequence, once."""
        if not stream.gaps[change.writer].fill(change.number, self._loop.time()):
            return
        mark = self._dispatcher.marks.of(stream.tenant, change.writer)
        if change.writer == self._writer:
            mark.floor = _floor(stream.gaps[change.writer]) if self._asks_late(stream.tenant) else None
        mark.hold(change.number)
        mark.passed(change.number)
        # Nobody else commits: what this process commits comes in order.
        alone = not self._presence.others and not stream.sequence.waiting
        stream.sequence.offer(change, read=read, sure=alone or (read and stream.first))

    def _go(self, change: Change, read: bool) -> None:
        """Hand a change on whose turn it is."""
        self._dispatcher.deal_with(change, recovered=read)

    # --- looking into the logs --------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._pause()):
                    await self._woken.wait()
            except TimeoutError:
                self._awake.update(self._streams)
            self._woken.clear()
            try:
                await self._look()
                await self._finish()
                await self._search()
            except NgsiError as error:
                log.warning("logs_not_read", reason=error.detail)
                await asyncio.sleep(RETRY_SECONDS)
                self._awake.update(self._streams)
            except Exception:
                log.exception("logs_not_read")
                await asyncio.sleep(RETRY_SECONDS)
                self._awake.update(self._streams)
            await asyncio.sleep(SPACING_SECONDS)

    def _pause(self) -> float | None:
        """Return how long nothing needs to be looked at, if nobody calls."""
        if any(stream.sequence.waiting or stream.first for stream in self._streams.values()):
            return 0.0
        return POLL_SECONDS if self._presence.others or any(map(self._asks_late, self._streams)) else None

    def _asks_late(self, tenant: str) -> bool:
        """Tell whether anybody asks for late data, which is found in the log alone, also that of this process."""
        index = self._dispatcher.store.indexes.get(tenant)
        return index is not None and index.late > 0

    async def _look(self) -> None:
        """Look once into the logs of each tenant that is awake."""
        awake, self._awake = self._awake, set()
        awake.update(tenant for tenant, stream in self._streams.items() if stream.sequence.waiting)
        for tenant in awake:
            if tenant in self._dispatcher.store.indexes:
                await self._read(self._stream(tenant))
            elif tenant in self._streams and not self._streams[tenant].sequence.waiting:
                self._drop(self._streams.pop(tenant))

    def _drop(self, stream: Stream) -> None:
        """Follow a tenant without subscriptions no more: what was committed up to now is nobody's."""
        for writer, gaps in stream.gaps.items():
            mark = self._dispatcher.marks.of(stream.tenant, writer)
            mark.floor = None
            mark.passed(gaps.last)

    async def _read(self, stream: Stream) -> None:
        """Read what is new in the logs of a tenant's writers, and let go what waited."""
        began = self._loop.time()
        stream.sequence.look()
        late = self._asks_late(stream.tenant)
        writers = [*self._presence.others, *((self._writer,) if stream.first or late else ())]
        for writer in writers:
            if writer not in stream.gaps:
                told = await self._changes.watermark(stream.tenant, writer)
                stream.gaps[writer] = Gaps(max(told, stream.passed) if writer == self._writer else told)
        positions = {writer: stream.gaps[writer].position(began) for writer in writers}
        async for found in self._changes.since(stream.tenant, positions, late=late):
            if isinstance(found, Change):
                self._take(stream, found, read=True)
                await self._dispatcher.room()
            else:
                writer, number = found
                stream.gaps[writer].fill(number, began)
                self._dispatcher.marks.of(stream.tenant, writer).passed(number)
        if stream.first:
            stream.first = False
            early, stream.early = stream.early, []
            for change in early:
                self._take(stream, change, read=False)
        for writer in writers:
            gaps = stream.gaps[writer]
            mark = self._dispatcher.marks.of(stream.tenant, writer)
            # Of its own commits this process knows which are open (`ChangeLog.move_watermark`).
            mark.floor = _floor(gaps) if writer != self._writer or late else None
            mark.passed(gaps.last)
        stream.sequence.release()
        stream.looked = began

    async def _search(self) -> None:
        """Look from time to time for what others have parked."""
        if self._presence.others and self._loop.time() >= self._searched + SEARCH_SECONDS:
            self._searched = self._loop.time()
            await self._dispatcher.look_for_parked()

    # --- the end of a writer, and of this one -----------------------------------------------------------------------

    async def _finish(self) -> None:
        """Remove those writers that commit nothing more and have nothing left to deliver."""
        presence = self._presence
        marks = self._dispatcher.marks
        for writer, since in list(presence.gone.items()):
            due = since + (SECOND_LOOK if writer in presence.dead else self._dispatcher.policy.forget)
            if any(stream.first or stream.looked < due for stream in self._streams.values()):
                continue
            if self._loop.time() < due or marks.outstanding(writer):
                continue
            for tenant in await self._dispatcher.tenants():
                mark = marks.of(tenant, writer)
                mark.floor = None
                mark.passed(max(mark.last, await self._changes.last(tenant, writer)))
            await marks.write()
            await self._leases.remove(writer)
            log.info("taken_over", writer=writer)
            marks.drop(writer)
            presence.forget(writer)
            for stream in self._streams.values():
                stream.gaps.pop(writer, None)

    async def finish(self, end: float) -> None:
        """Look until nothing waits any more, or until the loop's time is `end`. Raises Unavailable."""
        await self.close()
        while self._loop.time() < end:
            self._awake.update(self._streams)
            await self._look()
            if not any(stream.sequence.waiting or stream.first for stream in self._streams.values()):
                return
            await asyncio.sleep(SPACING_SECONDS)

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            await end(self._task)
            self._task = None

    def clear(self) -> None:
        """Forget everything: another process delivers now."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._streams.clear()
        self._awake.clear()


def _floor(gaps: Gaps) -> int | None:
    """Return the number that a watermark must not pass while something before `last` was not read."""
    return gaps.lowest - 1 if gaps.lowest <= gaps.last else None
