"""The change log in MongoDB, as its readers see it: delivery, replay, preview."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import structlog
from pymongo import WriteConcern

from tsunagu.broker.storage.mongo.faults import translated
from tsunagu.broker.storage.mongo.indexes import CHANGES, ENTITIES, WATERMARKS
from tsunagu.broker.storage.mongo.lateness import late_change
from tsunagu.broker.storage.mongo.records import LATE, Record
from tsunagu.broker.storage.mongo.snapshot import snapshot
from tsunagu.broker.storage.mongo.states import bare, change_of, redo, undo
from tsunagu.broker.storage.mongo.usual_times import recorded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from pymongo.asynchronous.cursor import AsyncCursor

    from tsunagu.broker.changes import Change, Document, Key, Position
    from tsunagu.broker.storage.mongo.client import Databases

    States = OrderedDict[str, tuple[int, Document | None]]

log = structlog.get_logger(__name__)

STATES_KEPT = 10_000
PAGE = 200


class MongoChangeLog:
    """The log of all tenants; `open_number(tenant)` tells the lowest number whose fate is not yet known here."""

    def __init__(self, databases: Databases, *, writer: str, open_number: Callable[[str], int | None]) -> None:
        self._databases = databases
        self._writer = writer
        self._open_number = open_number
        self._states: dict[str, States] = {}

    async def since(
        self, tenant: str, positions: Mapping[str, Position], *, late: bool = False
    ) -> AsyncIterator[Change | Key]:
        """Yield what was not read yet of the logs of these writers; see `ChangeLog.since`.

        A snapshot that has a change has the one before it of the same entity, whoever wrote it; and `at` never falls
        from one version to the next. So this order is the order of versions, across writers.
        """
        spans: list[dict[str, Any]] = [
            {"_id": {"$gt": {"w": writer, "n": position.number}, "$lt": {"w": writer, "n": float("inf")}}}
            for writer, position in positions.items()
        ]
        gaps = [{"w": writer, "n": number} for writer, position in positions.items() for number in position.missing]
        if gaps:
            spans.append({"_id": {"$in": gaps}})
        if not spans:
            return
        database = self._databases.of(tenant)
        # Its own log a process reads once, unless for late data; others' logs it follows, and keeps what it met there.
        again = late or positions.keys() != {self._writer}
        states: States = self._states.setdefault(tenant, OrderedDict()) if again else OrderedDict()
        with translated():
            async with snapshot(database) as session:
                found = database[CHANGES].find({"$or": spans}, session=session)
                async for page in _pages(found.sort([("at", 1), ("v", 1), ("_id", 1)]).allow_disk_use(True)):
                    changes = await self.rebuilt(tenant, page, states, late=late)
                    for record, change in zip(page, changes, strict=True):
                        yield change if change is not None else (record["_id"]["w"], record["_id"]["n"])

    async def between(self, tenant: str, start: int, end: int) -> AsyncIterator[Change]:
        """Yield all changes with start <= at < end (epoch ms), oldest first and per entity in order."""
        async for change in self._selected(tenant, {"at": {"$gte": start, "$lt": end}}):
            yield change

    async def latest(self, tenant: str, count: int) -> AsyncIterator[Change]:
        """Yield the last `count` changes, oldest first, documents rebuilt."""
        records = self._databases.of(tenant)[CHANGES]
        with translated():
            newest = (
                await records.find({"k": {"$ne": LATE}}, {"_id": 1}).sort([("$natural", -1)]).limit(count).to_list(None)
            )
        async for change in self._selected(tenant, {"_id": {"$in": [row["_id"] for row in newest]}}):
            yield change

    async def _selected(self, tenant: str, where: dict[str, Any]) -> AsyncIterator[Change]:
        records = self._databases.of(tenant)[CHANGES]
        states: States = OrderedDict()
        found = records.find({**where, "k": {"$ne": LATE}}).sort([("at", 1), ("v", 1)]).allow_disk_use(True)
        with translated():
            async for page in _pages(found):
                for change in await self.rebuilt(tenant, page, states):
                    if change is not None:
                        yield change

    async def rebuilt(
        self, tenant: str, records: list[Record], states: States, *, late: bool = False
    ) -> list[Change | None]:
        """Return the changes of records, None for what is no change; `states`: (version, document) of entities met.

        If `late`, late readings are told as changes, too (`late_change`).
        """
        versions: dict[str, int] = {}
        wanted: dict[str, list[int]] = {}
        for record in map(recorded, records):
            entity, version = record["e"], record["v"]
            known = versions.get(entity) or states.get(entity, (None,))[0]
            if record["k"] == LATE:
                if late and known != version:
                    wanted.setdefault(entity, []).append(version)
                continue
            if record["k"] == "updated" and known != version - 1:
                wanted.setdefault(entity, []).extend((version - 1, version))
            versions[entity] = version
        found = await self._states_after(tenant, wanted) if wanted else {}
        changes: list[Change | None] = []
        for record in records:
            entity, version = record["e"], record["v"]
            if record["k"] == LATE:
                met = states.get(entity)
                state = met[1] if met is not None and met[0] == version else found.get((entity, version))
                changes.append(late_change(record, tenant, state) if late else None)
                continue
            try:
                before, after = _around(record, states.pop(entity, None), found)
            except ValueError:  # what cannot be rebuilt must not keep everything behind it from being read
                log.exception("change_not_rebuilt", tenant=tenant, record=record["_id"])
                changes.append(None)
                continue
            states[entity] = (version, after)
            changes.append(change_of(record, tenant, before, after))
        while len(states) > STATES_KEPT:
            states.popitem(last=False)
        return changes

    async def _states_after(
        self, tenant: str, wanted: Mapping[str, list[int]]
    ) -> dict[tuple[str, int], Document | None]:
        """Return documents as they were at these versions, by undoing the changes after them."""
        database = self._databases.of(tenant)
        spans = [{"e": entity, "v": {"$gte": min(versions)}} for entity, versions in wanted.items()]
        with translated():
            async with snapshot(database) as session:
                rows = database[ENTITIES].find({"_id": {"$in": list(wanted)}}, session=session)
                present: dict[str, Document | None] = {row["_id"]: bare(row) async for row in rows}
                later: dict[str, list[Record]] = {}
                async for step in database[CHANGES].find({"$or": spans, "k": {"$ne": LATE}}, session=session):
                    later.setdefault(step["e"], []).append(recorded(step))
        found: dict[tuple[str, int], Document | None] = {}
        for entity, versions in wanted.items():
            state = present.get(entity)
            steps = sorted(later.get(entity, ()), key=lambda step: int(step["v"]))
            for version in sorted(versions, reverse=True):
                while steps and steps[-1]["v"] > version:
                    step = steps.pop()
                    below = steps[-1] if steps and steps[-1]["v"] == step["v"] - 1 else None
                    state = undo(step, state, below)
                found[entity, version] = state
        return found

    async def writers(self, tenant: str) -> list[str]:
        """Return every writer that has a record in the log."""
        records = self._databases.of(tenant)[CHANGES]
        found: list[str] = []
        where: dict[str, Any] = {}
        while True:
            with translated():
                row = await records.find(where, {"_id": 1}).sort("_id", 1).limit(1).to_list(1)
            if not row:
                return found
            found.append(row[0]["_id"]["w"])
            where = {"_id": {"$gt": {"w": found[-1], "n": float("inf")}}}

    async def watermark(self, tenant: str, writer: str) -> int:
        """Return the number up to which every change of `writer` is delivered or parked; 0 if none is."""
        with translated():
            row = await self._databases.of(tenant)[WATERMARKS].find_one({"_id": writer})
        return int(row["n"]) if row else 0

    async def last(self, tenant: str, writer: str) -> int:
        """Return the highest number of `writer` in the log; 0 if there is none."""
        span = {"$gt": {"w": writer, "n": 0}, "$lt": {"w": writer, "n": float("inf")}}
        with translated():
            row = await self._databases.of(tenant)[CHANGES].find_one({"_id": span}, {"_id": 1}, sort=[("_id", -1)])
        return int(row["_id"]["n"]) if row else 0

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
        # Should a mark get lost, what stands behind it is only told once more: no flush of the disk for it.
        watermarks = database[WATERMARKS].with_options(write_concern=WriteConcern(w=1))
        with translated():
            await watermarks.update_one({"_id": writer}, {"$max": {"n": number}}, upsert=True)
            await database[CHANGES].delete_many({"x": writer, "_id": {"$lte": {"w": writer, "n": number}}})


async def _pages(cursor: AsyncCursor[Record]) -> AsyncIterator[list[Record]]:
    """Yield what a cursor finds, some records at a time: MongoDB would send 16 MiB at once, five times as much here."""
    async with cursor.batch_size(PAGE):
        while page := await cursor.to_list(PAGE):
            yield page


def _around(
    record: Record,
    known: tuple[int, Document | None] | None,
    found: Mapping[tuple[str, int], Document | None],
) -> tuple[Document | None, Document | None]:
    """Return the documents before and after a record, given the state known last or, by version, the one after it."""
    entity, version = record["e"], record["v"]
    if known is not None and known[0] == version - 1 and record["k"] == "updated":
        return known[1], redo(record, known[1])
    if record["k"] == "created":
        return None, redo(record, None)
    if record["k"] == "deleted":
        return undo(record, None), None
    before, after = found[entity, version - 1], found[entity, version]
    if before is None or after is None:
        raise ValueError(f"the states around record {record['_id']} are not to be had")
    return before, after
