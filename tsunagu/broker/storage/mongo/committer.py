"""Group commit: every write of the broker goes through here into MongoDB.

While one group is being committed the next one gathers; at most `groups_in_flight` transactions of a tenant run at
once, and no two of them hold the same entity. A group is one transaction: read, apply, write, append to the log,
commit with w: majority and j: true (`transactions.py`). What the commit made durable is answered and handed to the
listener; what failed is answered with its error (docs/decisions/0003).
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog
from bson.errors import BSONError
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from tsunagu.background import end
from tsunagu.broker.errors import InternalError, NgsiError, Unavailable
from tsunagu.broker.storage.mongo import areas
from tsunagu.broker.storage.mongo.faults import UNAVAILABLE, is_outage, is_transient, refusal
from tsunagu.broker.storage.mongo.group import Group
from tsunagu.broker.storage.mongo.indexes import CHANGES, ENTITIES, EVOLUTIONS, RECEIPTS
from tsunagu.broker.storage.mongo.lane import MOST_ENTITIES, Item, Lane, settle_all
from tsunagu.broker.storage.mongo.transactions import Doubtful, Lost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tsunagu.broker.changes import ChangeListener
    from tsunagu.broker.settings import Settings
    from tsunagu.broker.storage.mongo.attribute_indexes import AttributeIndexes
    from tsunagu.broker.storage.mongo.client import Databases
    from tsunagu.broker.storage.mongo.transactions import Transaction
    from tsunagu.broker.storage.writes import Succession, Write

log = structlog.get_logger(__name__)

ATTEMPTS = 6
RECHECK_SECONDS = 0.5
RECHECKS = 3


class _Narrow(Exception):
    """The group brings attributes in a form that the declared indexes do not know; `lacking` by attribute."""

    def __init__(self, lacking: dict[str, set[str]]) -> None:
        super().__init__()
        self.lacking = lacking


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
        return await self.queue(tenant, writes)

    def queue(
        self, tenant: str, writes: Sequence[Write], *, succession: Succession | None = None
    ) -> asyncio.Future[list[Any | NgsiError]]:
        """Queue several writes before it returns; see `storage.writes.Writer`. Raises Unavailable."""
        if self._closing:
            raise Unavailable("the broker is shutting down", retry_after=5)
        if succession is not None and succession.broken:
            raise Unavailable("writes that come before these wait to be sent again", retry_after=1)
        if not writes:  # nothing would ever answer them
            answered: asyncio.Future[list[Any | NgsiError]] = asyncio.get_running_loop().create_future()
            answered.set_result([])
            return answered
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

        Enough are as many as each in flight has, and not fewer than `further_group`; beside several, a whole group.
        One that starts for a few writes, just because there is a place for it, costs as many commands as one for
        sixty, and those wait for it.
        """
        waiting, in_flight = len(lane), lane.in_flight
        if not in_flight:
            return waiting > 0
        whole = min(self._limit, MOST_ENTITIES) if in_flight > 1 else 0
        enough = max(self._further, lane.writes_in_flight // in_flight, whole)
        return in_flight < self._in_flight and waiting >= enough

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
            except (Doubtful, TimeoutError) as error:
                raise Unavailable(UNAVAILABLE) from error
            except _Narrow as narrow:
                assert self._indexes is not None
                await self._indexes.widen(tenant, narrow.lacking)
            except (Lost, PyMongoError, BSONError, OverflowError) as error:
                if is_outage(error):
                    if time.monotonic() + 0.1 >= deadline:
                        raise Unavailable(UNAVAILABLE) from error
                    await asyncio.sleep(0.1)
                elif isinstance(error, Lost) or is_transient(error):
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
        """Read, apply, write and commit. Raises the driver's errors, Lost or Doubtful."""
        tenant = group.tenant
        async with await self._databases.transaction(tenant) as transaction:
            wanted = [(ENTITIES, group.entity_ids)]
            if asked := group.receipt_ids:
                wanted.append((RECEIPTS, asked))
            documents, *receipts = await transaction.find(wanted)
            known = [row["_id"] for rows in receipts for row in rows]
            first = self._numbers[tenant]
            now = time.time_ns() // 1_000_000
            self._numbers[tenant] = last = group.apply(documents, known, now, first)
            if not group.records and not group.receipts:
                return
            if self._indexes is not None and (lacking := self._indexes.lacking(tenant, group.changes)):
                raise _Narrow(lacking)
            numbers = range(first + 1, last + 1)
            self._open[tenant].update(numbers)
            try:
                new_areas = self._areas.lacking(tenant, group.changes)
                await transaction.commit(_commands(group, new_areas))
                self._areas.added(tenant, new_areas)
            except BaseException:
                if transaction.sent:
                    self._watch(group, numbers, transaction)
                else:
                    self._open[tenant].difference_update(numbers)
                raise

    def _finish(self, group: Group) -> None:
        """Hand the committed changes on and answer the callers, in one go of the event loop."""
        if group.changes and self.listener is not None:
            self.listener.committed(group.changes)
        self._open[group.tenant].difference_update([record["_id"]["n"] for record in group.records])
        for item, answer in group.answers:
            item.settle(answer)

    def _watch(self, group: Group, numbers: range, transaction: Transaction) -> None:
        """Find out in the background what became of a commit whose answer was lost."""
        task = asyncio.create_task(self._find_out(group, numbers, transaction), name=f"doubtful {group.tenant}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _find_out(self, group: Group, numbers: range, transaction: Transaction) -> None:
        """Ask until it is known whether a group was committed; deliver its changes if it was."""
        if not group.records:
            return
        committed = await transaction.outcome()
        if committed is None:
            committed = await self._is_logged(group)
        if committed:
            log.warning("doubtful_commit_found", tenant=group.tenant, changes=len(group.changes))
            if group.changes and self.listener is not None:
                self.listener.committed(group.changes)
        if not self._closing:
            self._open[group.tenant].difference_update(numbers)

    async def _is_logged(self, group: Group) -> bool:
        """Tell whether the first record of a group is in the log; it is looked for several times."""
        records = self._databases.of(group.tenant)[CHANGES].with_options(read_concern=ReadConcern("majority"))
        absent = 0
        while absent < RECHECKS and not self._closing:
            await asyncio.sleep(RECHECK_SECONDS)
            try:
                async with asyncio.timeout(self._timeout):
                    if await records.find_one({"_id": group.records[0]["_id"]}, {"_id": 1}) is not None:
                        return True
            except (PyMongoError, TimeoutError):
                absent = 0
                continue
            absent += 1
        return False

    async def close(self) -> None:
        """Commit what waits, then refuse new writes; returns when nothing is in flight."""
        while any(lane.in_flight or len(lane) for lane in self._lanes.values()):  # noqa: ASYNC110 - once, at the end
            await asyncio.sleep(0.005)
        self._closing = True
        await end(*self._tasks)


def _commands(group: Group, new_areas: set[str]) -> list[dict[str, Any]]:
    """Return the write commands of a group. Each does all it says: the transaction's snapshot is the guard.

    `new_areas` are the types that have entities now whose location is no point.
    """
    commands: list[dict[str, Any]] = []
    if group.deletes:
        commands.append({"delete": ENTITIES, "deletes": group.deletes, "ordered": False})
    if group.inserts:
        commands.append({"insert": ENTITIES, "documents": group.inserts, "ordered": False})
    if group.updates:
        commands.append({"update": ENTITIES, "updates": group.updates, "ordered": False})
    if group.evolutions:
        notes = [note.statement(entity_id) for entity_id, note in group.evolutions.items()]
        commands.append({"update": EVOLUTIONS, "updates": notes, "ordered": False})
    if group.records:
        commands.append({"insert": CHANGES, "documents": group.records, "ordered": False})
    if group.receipts:
        stamp = datetime.now(UTC)
        rows = [{**receipt, "at": stamp} for receipt in group.receipts]
        commands.append({"insert": RECEIPTS, "documents": rows, "ordered": False})
    if new_areas:
        commands.append({"update": areas.AREAS, "updates": areas.statements(new_areas), "ordered": False})
    return commands
