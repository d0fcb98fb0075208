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


class MongoLeases:
    """See `tsunagu.broker.storage.leases.Leases`."""

    def __init__(self, databases: Databases) -> None:
        self._writers = databases.system[WRITERS]
        self._roles = databases.system[ROLES]

    async def register(self, writer: str, home: Home, seconds: float) -> None:
        """Say that a writer is alive for so long."""
        row = {
            "heir": None,
            "handed": False,
            "machine": {"$literal": home.machine},
            "pid": {"$literal": home.pid},
            "started": {"$literal": home.started},
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

    async def take(self, heir: str, seconds: float, *, overdue: bool, dead: str | None = None) -> str | None:
        """Take one writer over, and return its id; None if there is none. Of several heirs only one gets it."""
        reasons: list[dict[str, Any]] = [{"handed": True}]
        if overdue:
            reasons.append(OVERDUE)
        if dead is not None:
            reasons.append({"_id": dead, "heir": None})
        taken = {"heir": {"$literal": heir}, "handed": False, "until": _in(seconds)}
        with translated():
            row = await self._writers.find_one_and_update(
                {"$and": [{"_id": {"$ne": heir}}, {"heir": {"$ne": heir}}, {"$or": reasons}]},
                [{"$set": taken}],
                sort=[("_id", 1)],
            )
        return row["_id"] if row else None

    async def homes(self) -> dict[str, Home]:
        """Return where the writers run that are registered and not taken over, by their ids."""
        with translated():
            rows = await self._writers.find({"heir": None}).to_list(None)
        return {row["_id"]: Home(row["machine"], row["pid"], row["started"]) for row in rows}

    async def hand_over(self, writer: str) -> None:
        """Say that a writer ends and leaves something to be done: whoever comes first may take it."""
        with translated():
            await self._writers.update_one({"_id": writer}, {"$set": {"handed": True, "heir": None}})

    async def remove(self, writer: str) -> None:
        """Remove a writer that left nothing."""
        with translated():
            await self._writers.delete_one({"_id": writer})

    async def hold(self, role: str, writer: str, seconds: float) -> bool:
        """Get or keep a role that only one writer at a time may have; tell whether this one has it."""
        free = {"$or": [{"$eq": ["$writer", {"$literal": writer}]}, {"$lt": ["$until", "$$NOW"]}]}  # absent: less
        taken = {
            "writer": {"$cond": [free, {"$literal": writer}, "$writer"]},
            "until": {"$cond": [free, _in(seconds), "$until"]},
        }
        with translated():
            try:
                row = await self._roles.find_one_and_update(
                    {"_id": role}, [{"$set": taken}], upsert=True, return_document=ReturnDocument.AFTER
                )
            except DuplicateKeyError:  # two made the row at once, and the other was first
                return False
        return row is not None and row["writer"] == writer

    async def release(self, role: str, writer: str) -> None:
        """Give a role up."""
        with translated():
            await self._roles.delete_one({"_id": role, "writer": writer})
