"""Group commit: every write of the broker goes through here into MongoDB.

While one group is being committed the next one gathers; at most `groups_in_flight` transactions of a tenant run at
once, and no two of them hold the same entity. A group is one transaction: read, apply, write, append to the log,
commit with w: majority and j: true. What the commit made durable is answered and handed to the listener; what failed
is answered with its error. Commands are sent as such, not through the driver's bulk interface, which costs the
client twice as much for small groups (docs/decisions/0003).
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog
from bson.errors import BSONError
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from tsunagu.background import end
from tsunagu.broker.errors import InternalError, NgsiError, Unavailable
from tsunagu.broker.storage.mongo import areas
from tsunagu.broker.storage.mongo.client import DURABLE
from tsunagu.broker.storage.mongo.faults import DUPLICATE_KEY, UNAVAILABLE, is_outage, is_transient, refusal
from tsunagu.broker.storage.mongo.group import Group
from tsunagu.broker.storage.mongo.indexes import CHANGES, ENTITIES, EVOLUTIONS, RECEIPTS
from tsunagu.broker.storage.mongo.lane import Item, Lane, settle_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymongo.asynchronous.client_session import AsyncClientSession

    from tsunagu.broker.changes import ChangeListener
    from tsunagu.broker.settings import Settings
    from tsunagu.broker.storage.mongo.attribute_indexes import AttributeIndexes
    from tsunagu.broker.storage.mongo.client import Database, Databases
    from tsunagu.broker.storage.writes import Succession, Write

log = structlog.get_logger(__name__)

SNAPSHOT = ReadConcern("snapshot")
ATTEMPTS = 6
RECHECK_SECONDS = 0.5
RECHECKS = 3


class _Lost(Exception):
    """A guard of the group did not hold: another process changed an entity meanwhile."""


class _Narrow(Exception):
    """The group brings attributes in a form that the declared indexes do not know; `lacking` by attribute."""

    def __init__(self, lacking: dict[str, set[str]]) -> None:
        super().__init__()
        self.lacking = lacking


class _Doubtful(Exception):
    """The commit was sent, and its fate is unknown."""


class Committer:
    """Commits writes in groups. `writer` identifies this process in the log; `listener` hears of committed changes."""

    def __init__(
        self,
        databases: Databases,
        settings: Settings,
        *,
        writer: str,
        listener: ChangeListener | None = None,
        indexes: AttributeIndexes | None = None,
    ) -> None:
        self._databases = databases
        self._writer = writer
        self.listener = listener
        self._indexes = indexes
        self._limit = settings.group_limit
        self._in_flight = settings.groups_in_flight
        self._further = settings.further_group
        self._queue_limit = settings.queue_limit
        self._timeout = settings.store_timeout
        self._areas = areas.Areas()
        self._lanes: dict[str, Lane] = {}
        self._numbers: dict[str, int] = defaultdict(int)
        self._open: dict[str, set[int]] = defaultdict(set)
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    def open_number(self, tenant: str) -> int | None:
        """Return the lowest number of this writer whose fate is not known yet, None if all are known."""
        numbers = self._open.get(tenant)
        return min(numbers) if numbers else None

    def open_numbers(self, tenant: str) -> frozenset[int]:
        """Return all numbers of this writer whose fate is not known yet."""
        return frozenset(self._open.get(tenant, ()))

    @property
    def waiting(self) -> int:
        """How many writes wait for their group, over all tenants."""
        return sum(len(lane) for lane in self._lanes.values())

    async def submit(self, tenant: str, write: Write) -> Any:
        """Commit one write and return its answer once it is durable; see `storage.writes.Writer`."""
        answer = (await self.queue(tenant, (write,)))[0]
        if isinstance(answer, NgsiError):
            raise answer
        return answer

    async def submit_all(self, tenant: str, writes: Sequence[Write]) -> list[Any | NgsiError]:
        """Commit several writes; return for each its answer or its error, in order."""
        return await self.queue(tenant, writes) if writes else []

    def queue(
        self, tenant: str, writes: Sequence[Write], *, succession: Succession | None = None
    ) -> asyncio.Future[list[Any | NgsiError]]:
        """Queue several writes before it returns; see `storage.writes.Writer`. Raises Unavailable."""
        if self._closing:
            raise Unavailable("the broker is shutting down", retry_after=5)
        if succession is not None and succession.broken:
            raise Unavailable("writes that come before these wait to be sent again", retry_after=1)
        lane = self._lanes.get(tenant)
        if lane is None:
            lane = self._lanes[tenant] = Lane(queue_limit=self._queue_limit)
        try:
            ticket = lane.add(writes, succession)
        except Unavailable:
            if succession is not None:
                succession.broken = True
            raise
        if self._may_start(lane):
            # Not at once: whatever else this turn of the event loop brings goes into the same group.
            asyncio.get_running_loop().call_soon(self._pump, tenant, lane)
        return ticket.future

    def _may_start(self, lane: Lane) -> bool:
        """Tell whether a group may start: at once when none is in flight; beside others only if enough writes wait.

        Enough are as many as are in flight, and not fewer than `further_group`. A group that starts for a few
        writes, just because there is a place for it, costs as many commands as one for sixty, and those wait for it.
        """
        waiting = len(lane)
        if not lane.in_flight:
            return waiting > 0
        return lane.in_flight < self._in_flight and waiting >= max(self._further, lane.writes_in_flight)

    def _pump(self, tenant: str, lane: Lane) -> None:
        """Send groups as long as some wait and the number in flight allows."""
        while self._may_start(lane):
            items = lane.take(self._limit)
            if not items:
                return
            task = asyncio.create_task(self._carry(tenant, lane, items), name=f"commit {tenant}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, tenant: str, lane: Lane, items: list[Item]) -> None:
        """Commit one group, whatever it takes, and answer all its items.

        While MongoDB is away what waits is refused with them, so that no write overtakes an earlier one to its entity.
        """
        try:
            await self._databases.ready(tenant)
            await self._commit(tenant, items)
        except Unavailable as error:
            settle_all(items, error)
            lane.refuse_all(error)
        except NgsiError as error:
            settle_all(items, error)
        except Exception as error:
            log.exception("group_failed", tenant=tenant, writes=len(items))
            settle_all(items, InternalError(f"the write failed: {type(error).__name__}"))
        finally:
            lane.done(items)
            self._pump(tenant, lane)

    async def _commit(self, tenant: str, items: list[Item]) -> None:
        """Commit the items in one transaction; tried again on conflicts, split when one of them is at fault."""
        deadline = time.monotonic() + self._timeout
        conflicts = 0
        while True:
            group = Group(tenant, self._writer, items)
            try:
                async with asyncio.timeout(max(deadline - time.monotonic(), 0.05)):
                    await self._transact(group)
            except (_Doubtful, TimeoutError) as error:
                raise Unavailable(UNAVAILABLE) from error
            except _Narrow as narrow:
                assert self._indexes is not None
                await self._indexes.widen(tenant, narrow.lacking)
            except (_Lost, PyMongoError, BSONError, OverflowError) as error:
                if is_outage(error):
                    if time.monotonic() + 0.1 >= deadline:
                        raise Unavailable(UNAVAILABLE) from error
                    await asyncio.sleep(0.1)
                elif isinstance(error, _Lost) or is_transient(error):
                    conflicts += 1
                    if conflicts >= ATTEMPTS and len(items) > 1:
                        return await self._halves(tenant, items)
                    if time.monotonic() >= deadline:
                        raise Unavailable("other writers hold this entity; send again") from error
                    await asyncio.sleep(0.002 * conflicts)
                elif len(items) > 1:
                    return await self._halves(tenant, items)
                else:
                    known = refusal(error, items[0].write.entity_id)
                    if known is None:
                        raise
                    return items[0].settle(known)
            else:
                return self._finish(group)

    async def _halves(self, tenant: str, items: list[Item]) -> None:
        """Commit the two halves of a group one after the other."""
        middle = len(items) // 2
        for half in (items[:middle], items[middle:]):
            await self._commit(tenant, half)

    async def _transact(self, group: Group) -> None:
        """Read, apply, write and commit. Raises the driver's errors, _Lost or _Doubtful."""
        tenant = group.tenant
        database = await self._databases.ready(tenant)
        async with (
            database.client.start_session() as session,
            await session.start_transaction(read_concern=SNAPSHOT, write_concern=DURABLE),
        ):
            documents = await _find(database, ENTITIES, group.entity_ids, session)
            asked = group.receipt_ids
            known = [row["_id"] for row in await _find(database, RECEIPTS, asked, session)] if asked else []
            first = self._numbers[tenant]
            now = time.time_ns() // 1_000_000
            self._numbers[tenant] = last = group.apply(documents, known, now, first)
            if not group.records and not group.receipts:
                await session.abort_transaction()
                return
            if self._indexes is not None and (lacking := self._indexes.lacking(tenant, group.changes)):
                raise _Narrow(lacking)
            numbers = range(first + 1, last + 1)
            self._open[tenant].update(numbers)
            doubtful = False
            try:
                new_areas = self._areas.lacking(tenant, group.changes)
                await _write(database, group, session)
                if new_areas:
                    await _add_areas(database, new_areas, session)
                doubtful = True
                await _commit_transaction(session)
                doubtful = False
                self._areas.added(tenant, new_areas)
            except BaseException:
                if doubtful:
                    self._watch(group, numbers)
                else:
                    self._open[tenant].difference_update(numbers)
                raise

    def _finish(self, group: Group) -> None:
        """Hand the committed changes on and answer the callers, in one go of the event loop."""
        if group.changes and self.listener is not None:
            self.listener.committed(group.changes)
        self._open[group.tenant].difference_update(record["_id"]["n"] for record in group.records)
        for item, answer in group.answers:
            item.settle(answer)

    def _watch(self, group: Group, numbers: range) -> None:
        """Find out in the background what became of a commit whose answer was lost."""
        task = asyncio.create_task(self._find_out(group, numbers), name=f"doubtful {group.tenant}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _find_out(self, group: Group, numbers: range) -> None:
        """Ask until MongoDB tells whether the group's records are there; deliver its changes if they are."""
        if not group.records:
            return
        records = self._databases.of(group.tenant)[CHANGES].with_options(read_concern=ReadConcern("majority"))
        absent = 0
        while absent < RECHECKS and not self._closing:
            await asyncio.sleep(RECHECK_SECONDS)
            try:
                async with asyncio.timeout(self._timeout):
                    found = await records.find_one({"_id": group.records[0]["_id"]}, {"_id": 1})
            except (PyMongoError, TimeoutError):
                absent = 0
                continue
            if found is not None:
                log.warning("doubtful_commit_found", tenant=group.tenant, changes=len(group.changes))
                if group.changes and self.listener is not None:
                    self.listener.committed(group.changes)
                break
            absent += 1
        if not self._closing:
            self._open[group.tenant].difference_update(numbers)

    async def close(self) -> None:
        """Commit what waits, then refuse new writes; returns when nothing is in flight."""
        while any(lane.in_flight or len(lane) for lane in self._lanes.values()):  # noqa: ASYNC110 - once, at the end
            await asyncio.sleep(0.005)
        self._closing = True
        await end(*self._tasks)


async def _find(
    database: Database, collection: str, ids: list[str], session: AsyncClientSession
) -> list[dict[str, Any]]:
    """Read the documents with these ids, in one command and one batch where they fit."""
    where = {"_id": ids[0] if len(ids) == 1 else {"$in": ids}}
    command = {"find": collection, "filter": where, "batchSize": len(ids) + 1}
    reply = await database.command(command, session=session)
    found: list[dict[str, Any]] = reply["cursor"]["firstBatch"]
    while reply["cursor"]["id"]:
        reply = await database.command({"getMore": reply["cursor"]["id"], "collection": collection}, session=session)
        found.extend(reply["cursor"]["nextBatch"])
    return found


async def _write(database: Database, group: Group, session: AsyncClientSession) -> None:
    """Send the statements of a group. Raises _Lost when a guard fails, OperationFailure for refused documents."""
    if group.deletes:
        reply = await database.command(
            {"delete": ENTITIES, "deletes": group.deletes, "ordered": False}, session=session
        )
        _check(reply, len(group.deletes))
    if group.inserts:
        reply = await database.command(
            {"insert": ENTITIES, "documents": group.inserts, "ordered": False}, session=session
        )
        _check(reply, len(group.inserts))
    if group.updates:
        reply = await database.command(
            {"update": ENTITIES, "updates": group.updates, "ordered": False}, session=session
        )
        _check(reply, len(group.updates))
    if group.evolutions:
        notes = [note.statement(entity_id) for entity_id, note in group.evolutions.items()]
        reply = await database.command({"update": EVOLUTIONS, "updates": notes, "ordered": False}, session=session)
        _check(reply, len(notes))
    if group.records:
        reply = await database.command(
            {"insert": CHANGES, "documents": group.records, "ordered": False}, session=session
        )
        _check(reply, len(group.records))
    if group.receipts:
        stamp = datetime.now(UTC)
        rows = [{**receipt, "at": stamp} for receipt in group.receipts]
        reply = await database.command({"insert": RECEIPTS, "documents": rows, "ordered": False}, session=session)
        _check(reply, len(rows))


async def _add_areas(database: Database, types: set[str], session: AsyncClientSession) -> None:
    """Note types that have entities whose location is no point. Raises _Lost when another process does so, too."""
    command = {"update": areas.AREAS, "updates": areas.statements(types), "ordered": False}
    _check(await database.command(command, session=session), len(types))


def _check(reply: dict[str, Any], expected: int) -> None:
    """Raise unless a write command did all it was asked to."""
    failures = reply.get("writeErrors")
    if failures:
        first = failures[0]
        if first.get("code") == DUPLICATE_KEY:
            raise _Lost(first.get("errmsg", ""))
        raise OperationFailure(first.get("errmsg", "write refused"), first.get("code"), first)
    if reply["n"] != expected:
        raise _Lost(f"{reply['n']} of {expected} documents had the expected version")


async def _commit_transaction(session: AsyncClientSession) -> None:
    """Commit, asking again while the answer is unknown. Raises _Doubtful when it stays so."""
    for pause in (0.05, 0.2, 0.5, 1.0, 0.0):
        try:
            await session.commit_transaction()
        except PyMongoError as error:
            if not error.has_error_label("UnknownTransactionCommitResult"):
                raise
            if not pause:
                raise _Doubtful(str(error)) from error
            await asyncio.sleep(pause)
        else:
            return
