"""Leases in MongoDB: a row for each writer and for each role in the system's database; MongoDB's clock counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from tsunagu.broker.storage.leases import Home
from tsunagu.broker.storage.mongo.faults import translated

if TYPE_CHECKING:
    from tsunagu.broker.storage.mongo.client import Databases

WRITERS = "writers"
ROLES = "roles"


def _in(seconds: float) -> dict[str, Any]:
    return {"$add": ["$$NOW", int(seconds * 1000)]}


OVERDUE = {"$expr": {"$lt": ["$until", "$$NOW"]}}
LONG_AGO = {"$subtract": ["$$NOW", 1]}


class MongoLeases:
    """See `tsunagu.broker.storage.leases.Leases`."""

    def __init__(self, databases: Databases) -> None:
        self._writers = databases.system[WRITERS]
        self._roles = databases.system[ROLES]

    async def register(self, writer: str, home: Home, seconds: float) -> None:
        """Say that a writer is alive for so long."""
        row = {
            "heir": None,
            "machine": {"$literal": home.machine},
            "pid": {"$literal": home.pid},
            "until": _in(seconds),
        }
        with translated():
            await self._writers.update_one({"_id": writer}, [{"$set": row}], upsert=True)

    async def renew(self, writer: str, seconds: float) -> bool:
        """Prolong a writer's lease, and those it has taken over; False if it is not registered any more."""
        later = [{"$set": {"until": _in(seconds)}}]
        with translated():
            await self._writers.update_many({"heir": writer}, later)
            result = await self._writers.update_one({"_id": writer, "heir": None}, later)
        return result.matched_count > 0

    async def take(self, heir: str, seconds: float, *, dead: Home | None = None) -> str | None:
        """Take one writer over that is dead, and return its id; None if there is none."""
        when: dict[str, Any] = OVERDUE if dead is None else {"machine": dead.machine, "pid": dead.pid}
        with translated():
            row = await self._writers.find_one_and_update(
                {"_id": {"$ne": heir}, "heir": {"$ne": heir}, **when},
                [{"$set": {"heir": {"$literal": heir}, "until": _in(seconds), "machine": None, "pid": None}}],
                sort=[("_id", 1)],
                return_document=ReturnDocument.AFTER,
            )
        return row["_id"] if row else None

    async def homes(self) -> list[Home]:
        """Return the homes of all writers that are registered."""
        with translated():
            rows = await self._writers.find({"machine": {"$ne": None}}, {"machine": 1, "pid": 1}).to_list(None)
        return [Home(row["machine"], row["pid"]) for row in rows]

    async def hand_over(self, writer: str) -> None:
        """Say that a writer ends and leaves something to be done: whoever comes first may take it."""
        with translated():
            change = {"until": LONG_AGO, "machine": None, "pid": None, "heir": None}
            await self._writers.update_one({"_id": writer}, [{"$set": change}])

    async def remove(self, writer: str) -> None:
        """Remove a writer that left nothing."""
        with translated():
            await self._writers.delete_one({"_id": writer})

    async def hold(self, role: str, writer: str, seconds: float) -> bool:
        """Get or keep a role that only one writer at a time may have; tell whether this one has it."""
        with translated():
            try:
                await self._roles.update_one(
                    {"_id": role, "$or": [{"writer": writer}, OVERDUE]},
                    [{"$set": {"writer": {"$literal": writer}, "until": _in(seconds)}}],
                    upsert=True,
                )
            except DuplicateKeyError:
                return False
        return True

    async def release(self, role: str, writer: str) -> None:
        """Give a role up."""
        with translated():
            await self._roles.delete_one({"_id": role, "writer": writer})
