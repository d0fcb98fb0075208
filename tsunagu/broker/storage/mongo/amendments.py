"""Amending the history in MongoDB: erasing, and correcting instances (5.6.13 to 5.6.16; docs/decisions/0020).

What is erased is gone from the log, values and all: laws ask for that. Each amendment is one transaction on the records
of one entity; only the erasure of an attribute with more than SLICE records takes several.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from pymongo import DeleteMany, DeleteOne, ReplaceOne, UpdateMany, UpdateOne

from tsunagu.broker.storage.history import SCOPE
from tsunagu.broker.storage.mongo.erasure import corrected, drop, erased, found_at, moved
from tsunagu.broker.storage.mongo.evolutions import AMENDED
from tsunagu.broker.storage.mongo.facts import SCOPE_PLACE, parse_instance_id
from tsunagu.broker.storage.mongo.faults import translated
from tsunagu.broker.storage.mongo.history import VISIBLE, having, touching
from tsunagu.broker.storage.mongo.indexes import CHANGES, ENTITIES, EVOLUTIONS, WATERMARKS
from tsunagu.broker.storage.mongo.records import ERASED, LATE, WHOLE, entries_of, tells, told_at
from tsunagu.broker.storage.mongo.transactions import DURABLE, SNAPSHOT
from tsunagu.broker.storage.mongo.usual_times import recorded

if TYPE_CHECKING:
    from pymongo.asynchronous.client_session import AsyncClientSession

    from tsunagu.broker.storage.mongo.client import Database, Databases
    from tsunagu.broker.storage.mongo.records import Record
    from tsunagu.schemas.entity import Instance

Result = TypeVar("Result")
Work = Callable[["AsyncClientSession"], Awaitable[Result]]
Write = DeleteMany | DeleteOne | ReplaceOne[Any] | UpdateMany | UpdateOne

SLICE = 2000
SECONDS = 55.0


class MongoAmendments:
    """See `storage.history.Amendments`."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    async def _transact(self, tenant: str, work: Callable[[Database, AsyncClientSession], Awaitable[Result]]) -> Result:
        """Do something in a transaction, again while others stand in the way."""
        database = await self._databases.ready(tenant)
        with translated():
            async with asyncio.timeout(SECONDS), database.client.start_session() as session:

                async def attempt(session: AsyncClientSession) -> Result:
                    return await work(database, session)

                return await session.with_transaction(attempt, read_concern=SNAPSHOT, write_concern=DURABLE)

    async def erase(self, tenant: str, entity_id: str) -> bool:
        """Remove a whole evolution; tell whether there was one."""

        async def work(database: Database, session: AsyncClientSession) -> bool:
            log = database[CHANGES]
            if await log.find_one({"e": entity_id, **VISIBLE}, {"_id": 1}, session=session) is None:
                return False
            writers = await log.distinct("_id.w", {"e": entity_id}, session=session)
            writes: list[Write] = [
                DeleteMany({"e": entity_id, "_id": span}) for span in await _delivered(database, writers, session)
            ]
            writes += [DeleteMany({"e": entity_id, "k": LATE}), UpdateMany({"e": entity_id}, _HIDE)]
            await log.bulk_write(writes, session=session)
            await database[EVOLUTIONS].delete_one({"_id": entity_id}, session=session)
            await _unmark(database, entity_id, session)
            return True

        return await self._transact(tenant, work)

    async def erase_attribute(
        self, tenant: str, entity_id: str, name: str, *, dataset_id: str | None, every: bool
    ) -> bool:
        """Remove the instances of an attribute with a datasetId, or every one; tell whether it has any instance."""
        where: dict[str, Any] = {"e": entity_id, **VISIBLE, **touching({name})}
        usual = [name] if every or dataset_id is None else []
        entry: dict[str, Any] = {"0": name, "1": {"$ne": ERASED}, **({} if every else {"2": dataset_id})}
        scope = {"e": entity_id, **VISIBLE, "s": True}

        async def exists(database: Database, session: AsyncClientSession) -> bool:
            found = scope if name == SCOPE else where
            return await database[CHANGES].find_one(found, {"_id": 1}, session=session) is not None

        async def erase_some(database: Database, session: AsyncClientSession) -> bool:
            log = database[CHANGES]
            touched = {"e": entity_id, **VISIBLE, **having(usual, entry)}
            rows = await log.find(touched, session=session).limit(SLICE).to_list(None)
            if not rows:
                return False

            def wanted(_place: int, one: str, dataset: str | None) -> bool:
                return one == name and (every or dataset == dataset_id)

            await log.bulk_write([_written(erased(recorded(row), wanted)) for row in rows], session=session)
            await _unmark(database, entity_id, session)
            return len(rows) == SLICE

        async def erase_scopes(database: Database, session: AsyncClientSession) -> bool:
            gone = {"s": "", "a.scope": "", "b.scope": ""}
            await database[CHANGES].update_many({"e": entity_id, "s": True}, {"$unset": gone}, session=session)
            return False

        if not await self._transact(tenant, exists):
            return False
        if name == SCOPE:
            await self._transact(tenant, erase_scopes)
        while await self._transact(tenant, erase_some):
            pass
        return True

    async def erase_instance(self, tenant: str, entity_id: str, name: str, instance_id: str) -> bool:
        """Remove one instance; tell whether there was one."""

        async def work(database: Database, session: AsyncClientSession) -> bool:
            found = await _find(database, entity_id, name, instance_id, session)
            if found is None:
                return False
            record, place = found
            if place == SCOPE_PLACE:
                gone = {"s": "", "a.scope": "", "b.scope": ""}
                await database[CHANGES].update_one({"_id": record["_id"]}, {"$unset": gone}, session=session)
                return True
            instance, _ = found_at(record, int(place), name) or ({}, {})
            await _forget_value(database, record, int(place), instance, session)
            without = erased(record, lambda one, _name, _dataset: one == place)
            await database[CHANGES].bulk_write([_written(without)], session=session)
            await _unmark(database, entity_id, session)
            return True

        return await self._transact(tenant, work)

    async def correct(
        self, tenant: str, entity_id: str, name: str, instance_id: str, *, instance: Instance, times: dict[str, Any]
    ) -> bool:
        """Put another instance in the place of one, whose createdAt it keeps; tell whether there was one."""

        async def work(database: Database, session: AsyncClientSession) -> bool:
            found = await _find(database, entity_id, name, instance_id, session)
            if found is None or found[1] == SCOPE_PLACE:
                return False
            record, place = found[0], int(found[1])
            old, known = found_at(record, place, name) or ({}, {})
            await _forget_value(database, record, place, old, session)
            new_times = {**times, "c": known.get("c", record["at"])}
            dataset_id = entries_of(record)[place][2]
            placed = {**instance, **({} if dataset_id is None else {"datasetId": dataset_id})}
            writes = _corrections(record, place, placed, new_times)
            await database[CHANGES].bulk_write(writes, session=session)
            await _unmark(database, entity_id, session)
            await database[EVOLUTIONS].update_one(
                {"_id": entity_id},
                {"$set": {AMENDED: True}, "$addToSet": {"attrs": name}},
                upsert=True,
                session=session,
            )
            return True

        return await self._transact(tenant, work)


_HIDE = [{"$set": {"x": "$_id.w"}}]


async def _unmark(database: Database, entity_id: str, session: AsyncClientSession) -> None:
    """Say that the log does not tell an entity's present state any more."""
    await database[ENTITIES].update_one({"_id": entity_id}, {"$unset": {WHOLE: ""}}, session=session)


async def _delivered(database: Database, writers: list[str], session: AsyncClientSession) -> list[dict[str, Any]]:
    """Return the spans of record ids that nobody has to deliver any more."""
    marks = await database[WATERMARKS].find({"_id": {"$in": writers}}, session=session).to_list(None)
    return [{"$gte": {"w": mark["_id"], "n": 0}, "$lte": {"w": mark["_id"], "n": mark["n"]}} for mark in marks]


def _written(record: Record) -> Write:
    """Return the write of a changed record; a late one that has nothing left goes."""
    if record["k"] == LATE and "x" in record:
        return DeleteOne({"_id": record["_id"]})
    return ReplaceOne({"_id": record["_id"]}, record)


async def _find(
    database: Database, entity_id: str, name: str, instance_id: str, session: AsyncClientSession
) -> tuple[Record, int | str] | None:
    """Return the record that holds an instance of an attribute, and the place there; None if there is none."""
    parsed = parse_instance_id(instance_id)
    if parsed is None:
        return None
    key, place = parsed
    log = database[CHANGES]
    record = await log.find_one({"_id": key, "e": entity_id, **VISIBLE}, session=session)
    if record is None:
        return None
    if place == SCOPE_PLACE:
        return (record, place) if name == SCOPE and record.get("s") else None
    entries = entries_of(record)
    entry = entries[int(place)] if int(place) < len(entries) else ["", ERASED, None]
    if entry[1] == ERASED and len(entry) > len(("name", "deed", "dataset")):
        record = await log.find_one({"_id": entry[3], "e": entity_id, **VISIBLE}, session=session)
        place = 0
    if record is None or found_at(recorded(record), int(place), name) is None:
        return None
    return record, place


async def _forget_value(
    database: Database, record: Record, place: int, instance: Instance, session: AsyncClientSession
) -> None:
    """Take the value of an instance out of the other records that hold it.

    These are what was before the next change and, of an instance that is told apart, the change itself.
    """
    name, _, dataset_id, *_ = entries_of(record)[place]
    where = {
        "e": record["e"],
        "v": {"$gte": record["v"]},
        **having([name] if dataset_id is None else [], {"0": name, "2": dataset_id}),
        "_id": {"$ne": record["_id"]},
        "k": {"$ne": LATE},
    }
    rows = await database[CHANGES].find(where, session=session).sort("v", 1).limit(2).to_list(None)
    for row in map(recorded, rows):
        if row["v"] == record["v"]:
            drop(row.get("a"), name, dataset_id, instance)
        drop(row.get("b"), name, dataset_id, instance)
    if rows:
        await database[CHANGES].bulk_write([ReplaceOne({"_id": row["_id"]}, row) for row in rows], session=session)


def _corrections(record: Record, place: int, instance: Instance, times: dict[str, Any]) -> list[Write]:
    """Return the writes that correct an instance; one that gets another time moves into a record of its own."""
    time = told_at(times, record["at"])
    amended = times["m"]
    live = sum(entry[1] != ERASED for entry in entries_of(record))
    if tells(record, time):
        return [ReplaceOne({"_id": record["_id"]}, {**corrected(record, place, instance, times), "am": amended})]
    if live == 1 and record["k"] == LATE:
        result = {**corrected(record, place, instance, times), "h": time[0], "am": amended}
        if "l" in result:
            result["l"] = time[0]
        if time[1]:
            result["o"] = True
        else:
            result.pop("o", None)
        return [ReplaceOne({"_id": record["_id"]}, result)]
    late = {**moved(record, place, instance, times), "am": amended}
    rest = erased(record, lambda one, _name, _dataset: one == place)
    rest["t"][place] = [*rest["t"][place], late["_id"]]
    rest.pop("x", None)
    return [ReplaceOne({"_id": record["_id"]}, rest), ReplaceOne({"_id": late["_id"]}, late, upsert=True)]
