"""The change log in MongoDB, as its readers see it: recovery, replay, preview."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from tsunagu.broker.storage.mongo.faults import translated
from tsunagu.broker.storage.mongo.indexes import CHANGES, ENTITIES, WATERMARKS
from tsunagu.broker.storage.mongo.records import LATE, Record, change_of, redo, undo
from tsunagu.broker.storage.mongo.spans import SPAN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tsunagu.broker.changes import Change, Document
    from tsunagu.broker.storage.mongo.client import Databases

STATES_KEPT = 10_000
PAGE = 500


class MongoChangeLog:
    """The log of all tenants; `open_number(tenant)` tells the lowest number whose fate is not yet known here."""

    def __init__(self, databases: Databases, *, writer: str, open_number: Callable[[str], int | None]) -> None:
        self._databases = databases
        self._writer = writer
        self._open_number = open_number

    async def after(self, tenant: str, writer: str, number: int) -> AsyncIterator[Change]:
        """Yield the changes of `writer` with a number above `number`, in order, documents rebuilt."""
        states: OrderedDict[str, tuple[int, Document | None]] = OrderedDict()
        async for record in self._writer_records(tenant, writer, number):
            if record["k"] != LATE:
                yield await self._rebuilt(tenant, record, states)

    async def _writer_records(self, tenant: str, writer: str, number: int) -> AsyncIterator[Record]:
        log = self._databases.of(tenant)[CHANGES]
        while True:
            span = {"$gt": {"w": writer, "n": number}, "$lt": {"w": writer, "n": float("inf")}}
            with translated():
                page = await log.find({"_id": span}).sort("_id", 1).limit(PAGE).to_list(None)
            for record in page:
                yield record
            if len(page) < PAGE:
                return
            number = page[-1]["_id"]["n"]

    async def between(self, tenant: str, start: int, end: int) -> AsyncIterator[Change]:
        """Yield all changes with start <= at < end (epoch ms), oldest first and per entity in order."""
        async for change in self._selected(tenant, {"at": {"$gte": start, "$lt": end}}):
            yield change

    async def latest(self, tenant: str, count: int) -> AsyncIterator[Change]:
        """Yield the last `count` changes, oldest first, documents rebuilt."""
        log = self._databases.of(tenant)[CHANGES]
        with translated():
            newest = (
                await log.find({"k": {"$ne": LATE}}, {"_id": 1}).sort([("$natural", -1)]).limit(count).to_list(None)
            )
        async for change in self._selected(tenant, {"_id": {"$in": [row["_id"] for row in newest]}}):
            yield change

    async def _selected(self, tenant: str, where: dict[str, Any]) -> AsyncIterator[Change]:
        log = self._databases.of(tenant)[CHANGES]
        states: OrderedDict[str, tuple[int, Document | None]] = OrderedDict()
        with translated():
            async for record in (
                log.find({**where, "k": {"$ne": LATE}}).sort([("at", 1), ("v", 1)]).allow_disk_use(True)
            ):
                yield await self._rebuilt(tenant, record, states)

    async def _rebuilt(
        self, tenant: str, record: Record, states: OrderedDict[str, tuple[int, Document | None]]
    ) -> Change:
        """Return the change of a record; `states` holds (version, document) of entities met before."""
        entity = record["e"]
        known = states.pop(entity, None)
        after: Document | None
        before: Document | None
        if known is not None and known[0] == record["v"] - 1 and record["k"] == "updated":
            before = known[1]
            after = redo(record, before)
        else:
            after = await self._state_after(tenant, record)
            before = undo(record, after)
        states[entity] = (record["v"], after)
        if len(states) > STATES_KEPT:
            states.popitem(last=False)
        return change_of(record, tenant, before, after)

    async def _state_after(self, tenant: str, record: Record) -> Document | None:
        """Return the document as it was after the change of `record`, by undoing the later changes."""
        if record["k"] == "deleted":
            return None
        if record["k"] == "created":
            return redo(record, None)
        database = self._databases.of(tenant)
        with translated():
            async with database.client.start_session(snapshot=True) as session:
                state = await database[ENTITIES].find_one({"_id": record["e"]}, {SPAN: 0}, session=session)
                later = database[CHANGES].find(
                    {"e": record["e"], "v": {"$gt": record["v"]}, "k": {"$ne": LATE}}, session=session
                )
                undone = await later.sort("v", -1).to_list(None)
        for step in undone:
            state = undo(step, state)
        return state

    async def writers(self, tenant: str) -> list[str]:
        """Return every writer that has a record in the log."""
        log = self._databases.of(tenant)[CHANGES]
        found: list[str] = []
        where: dict[str, Any] = {}
        while True:
            with translated():
                row = await log.find(where, {"_id": 1}).sort("_id", 1).limit(1).to_list(1)
            if not row:
                return found
            found.append(row[0]["_id"]["w"])
            where = {"_id": {"$gt": {"w": found[-1], "n": float("inf")}}}

    async def watermark(self, tenant: str, writer: str) -> int:
        """Return the number up to which every change of `writer` is delivered or parked; 0 if none is."""
        with translated():
            row = await self._databases.of(tenant)[WATERMARKS].find_one({"_id": writer})
        return int(row["n"]) if row else 0

    async def move_watermark(self, tenant: str, writer: str, number: int) -> None:
        """Say that every change of `writer` up to `number` is delivered or parked; it never moves back.

        A number whose transaction is still open in this process, or whose fate is unknown, holds the mark below it.
        """
        if writer == self._writer:
            lowest = self._open_number(tenant)
            if lowest is not None and number >= lowest:
                number = lowest - 1
        if number <= 0:
            return
        database = self._databases.of(tenant)
        with translated():
            await database[WATERMARKS].update_one({"_id": writer}, {"$max": {"n": number}}, upsert=True)
            await database[CHANGES].delete_many({"x": writer, "_id": {"$lte": {"w": writer, "n": number}}})
