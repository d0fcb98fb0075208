"""The end of the change log in MongoDB, read on again and again over all writers: the live feed's way to it."""

from __future__ import annotations

from collections import OrderedDict
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from tsunagu.broker.storage.mongo.faults import translated
from tsunagu.broker.storage.mongo.indexes import CHANGES
from tsunagu.broker.storage.mongo.snapshot import snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tsunagu.broker.changes import Change, Key, Position
    from tsunagu.broker.storage.mongo.changes import MongoChangeLog, States
    from tsunagu.broker.storage.mongo.client import Databases
    from tsunagu.broker.storage.mongo.records import Record

AT_ONCE = 500
INFINITE = float("inf")


class MongoTail:
    """See `tsunagu.broker.changes.ChangeTail`."""

    def __init__(self, databases: Databases, log: MongoChangeLog) -> None:
        self._databases = databases
        self._log = log

    async def ends(self, tenant: str, writers: Iterable[str]) -> dict[str, int]:
        """Return the highest number that each writer has in the log, 0 where there is none."""
        return {writer: await self._log.last(tenant, writer) for writer in writers}

    async def started(self, tenant: str, moment: int) -> list[str]:
        """Return the writers whose first change is not older than a time (epoch ms)."""
        log = self._databases.of(tenant)[CHANGES]
        found: list[str] = []
        where: dict[str, Any] = {}
        while True:
            with translated():
                row = await log.find(where, {"at": 1}).sort("_id", 1).limit(1).to_list(1)
            if not row:
                return found
            writer = row[0]["_id"]["w"]
            if row[0]["at"] >= moment:
                found.append(writer)
            where = {"_id": {"$gt": {"w": writer, "n": INFINITE}}}

    def reader(self, tenant: str) -> MongoTailReader:
        """Return a reader for one stream of changes."""
        return MongoTailReader(self._databases, self._log, tenant)


class MongoTailReader:
    """See `tsunagu.broker.changes.TailReader`."""

    def __init__(self, databases: Databases, log: MongoChangeLog, tenant: str) -> None:
        self._databases = databases
        self._log = log
        self._tenant = tenant
        self._states: States = OrderedDict()

    async def read(self, positions: Mapping[str, Position]) -> tuple[list[Change | Key], bool]:
        """Return some of what lies beyond the positions, and whether that is all."""
        if not positions:
            return [], True
        records, complete = await self._records(positions)
        if not records:
            return [], complete
        changes = await self._log.rebuilt(self._tenant, records, self._states)
        found: list[Change | Key] = []
        for record, change in zip(records, changes, strict=True):
            told = change is not None and "x" not in record
            found.append(change if told and change is not None else (record["_id"]["w"], record["_id"]["n"]))
        return found, complete

    async def _records(self, positions: Mapping[str, Position]) -> tuple[list[Record], bool]:
        """Return records beyond the positions, in order. Where there are many: as far as all writers' pages reach.

        They are of one snapshot: one that has a change has the one before it of the same entity, whoever wrote it.
        """
        branches = [_beyond(writer, position.number) for writer, position in positions.items()]
        missing = [{"w": writer, "n": number} for writer, position in positions.items() for number in position.missing]
        if missing:
            branches.append({"_id": {"$in": missing}})
        database = self._databases.of(self._tenant)
        records = database[CHANGES]
        with translated():
            async with snapshot(database) as session:
                found = await records.find({"$or": branches}, session=session).limit(AT_ONCE + 1).to_list(None)
                if len(found) <= AT_ONCE:
                    return sorted(found, key=itemgetter("at", "v")), True
                pages = [
                    await records.find(branch, session=session).sort("_id", 1).limit(AT_ONCE).to_list(None)
                    for branch in branches
                ]
        horizon = min(page[-1]["at"] for page in pages if len(page) == AT_ONCE)
        reached = [record for page in pages for record in page if record["at"] <= horizon]
        return sorted(reached, key=itemgetter("at", "v")), False


def _beyond(writer: str, number: int) -> dict[str, Any]:
    return {"_id": {"$gt": {"w": writer, "n": number}, "$lt": {"w": writer, "n": INFINITE}}}
