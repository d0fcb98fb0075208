"""Reads by id that wait at the same time go out together, in one `find` (architecture, "The one idea").

No timer holds anything back: a lone read goes at once; what comes while a find is under way goes with the next.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tsunagu.broker.changes import Document

    Waiting = dict[str, list[asyncio.Future[Document | None]]]

LIMIT = 64  # ids in one find
IN_FLIGHT = 2
FURTHER = 8  # reads that must wait before a further find starts beside one in flight


class Find(Protocol):
    """Reads the documents with some ids at once."""

    async def __call__(self, tenant: str, ids: list[str], *, times: bool) -> list[Document]:
        """Return the documents that exist of these ids; for `times` see `storage.reads.Reader.get`."""


class _Gather:
    """The reads of one tenant that wait for the next find: who waits for each id."""

    __slots__ = ("called", "in_flight", "times", "waiting")

    def __init__(self) -> None:
        self.waiting: Waiting = {}
        self.times = False
        self.called = False
        self.in_flight = 0

    def may_start(self) -> bool:
        """Tell whether a find may start: at once when none is in flight; beside another only if enough reads wait."""
        waiting = len(self.waiting)
        return bool(waiting) and (not self.in_flight or (self.in_flight < IN_FLIGHT and waiting >= FURTHER))

    def take(self) -> tuple[Waiting, bool]:
        """Return what the next find shall read, and whether with times."""
        times = self.times
        if len(self.waiting) <= LIMIT:
            batch, self.waiting = self.waiting, {}
            self.times = False
        else:
            batch = {key: self.waiting.pop(key) for key in list(self.waiting)[:LIMIT]}
        return batch, times


class GatheredReads:
    """Reads by id of all tenants, through one function that reads many."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._gathers: dict[str, _Gather] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, tenant: str, entity_id: str, *, times: bool) -> Document | None:
        """Return one document, None if there is none; it may be shared with others who asked. Raises what find does."""
        loop = asyncio.get_running_loop()
        gather = self._gathers.get(tenant)
        if gather is None:
            gather = self._gathers[tenant] = _Gather()
        if times:
            gather.times = True
        future: asyncio.Future[Document | None] = loop.create_future()
        waiters = gather.waiting.get(entity_id)
        if waiters is not None:
            waiters.append(future)
        else:
            gather.waiting[entity_id] = [future]
            if not gather.called and gather.may_start():
                gather.called = True
                loop.call_soon(self._called, tenant, gather)
        return await future

    def _called(self, tenant: str, gather: _Gather) -> None:
        gather.called = False
        self._pump(tenant, gather)

    def _pump(self, tenant: str, gather: _Gather) -> None:
        while gather.may_start():
            batch, times = gather.take()
            gather.in_flight += 1
            task = asyncio.create_task(self._fetch(tenant, gather, batch, times=times), name=f"read {tenant}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _fetch(self, tenant: str, gather: _Gather, batch: Waiting, *, times: bool) -> None:
        try:
            found = {document["_id"]: document for document in await self._find(tenant, list(batch), times=times)}
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            for waiters in batch.values():
                for future in waiters:
                    if not future.done():
                        future.set_exception(error)
        else:
            for key, waiters in batch.items():
                document = found.get(key)
                for future in waiters:
                    if not future.done():
                        future.set_result(document)
        finally:
            gather.in_flight -= 1
            self._pump(tenant, gather)

    async def close(self) -> None:
        """Wait for the reads that are under way."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
