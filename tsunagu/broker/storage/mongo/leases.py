"""Leases in MongoDB: a row for each writer and for each role in the system's database; MongoDB's clock counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from tsunagu.broker.storage.leases import Home, Writer
from tsunagu.broker.storage.mongo.faults import translated

if TYPE_CHECKING:
    from collections.abc import Collection

    from tsunagu.broker.storage.mongo.client import Databases

WRITERS = "writers"
ROLES = "roles"
OVERDUE = {"$lt": ["$until", "$$NOW"]}


def _in(seconds: float) -> dict[str, Any]:
    return {"$add": ["$$NOW", int(seconds * 1000)]}


class MongoLeases:
    """See `tsunagu.broker.storage.leases.Leases`."""

    def __init__(self, databases: Databases) -> None:
        self._writers = databases.system[WRITERS]
        self._roles = databases.system[ROLES]

    async def register(self, writer: str, home: Home, port: int, seconds: float) -> None:
        """Say that a writer is alive for so long."""
        row = {
            "machine": {"$literal": home.machine},
            "pid": {"$literal": home.pid},
            "started": {"$literal": home.started},
            "port": {"$literal": port},
            "ended": False,
            "seen": "",
            "until": _in(seconds),
        }
        with translated():
            await self._writers.update_one({"_id": writer}, [{"$set": row}], upsert=True)

    async def renew(self, writer: str, seconds: float) -> bool:
        """Prolong a writer's lease; False if it is not registered any more."""
        with translated():
            result = await self._writers.update_one({"_id": writer}, [{"$set": {"until": _in(seconds)}}])
        return result.matched_count > 0

    async def writers(self) -> dict[str, Writer]:
        """Return all registered writers by their ids."""
        shown = {"overdue": OVERDUE, "machine": 1, "pid": 1, "started": 1, "port": 1, "ended": 1, "seen": 1}
        with translated():
            rows = await self._writers.find({}, shown).to_list(None)
        return {
            row["_id"]: Writer(
                Home(row["machine"], row["pid"], row["started"]),
                port=row.get("port", 0),
                overdue=row["overdue"],
                ended=row.get("ended", False),
                seen=row.get("seen", ""),
            )
            for row in rows
        }

    async def see(self, writers: Collection[str], by: str) -> None:
        """Say that a writer follows these."""
        with translated():
            await self._writers.update_many({"_id": {"$in": list(writers)}}, {"$set": {"seen": by}})

    async def end(self, writer: str) -> None:
        """Say that a writer commits nothing more, and has left something to be delivered."""
        with translated():
            await self._writers.update_one({"_id": writer}, {"$set": {"ended": True}})

    async def remove(self, writer: str) -> None:
        """Remove a writer that left nothing."""
        with translated():
            await self._writers.delete_one({"_id": writer})

    async def hold(
        self, role: str, writer: str, seconds: float, *, overdue: bool = True, over: Collection[str] = ()
    ) -> str:
        """Get or keep a role that one writer at a time may have; return whose it is then."""
        reasons: list[dict[str, Any]] = [{"$in": [{"$ifNull": ["$writer", ""]}, {"$literal": ["", writer, *over]}]}]
        if overdue:
            reasons.append(OVERDUE)
        taken = {
            "writer": {"$cond": [{"$or": reasons}, {"$literal": writer}, "$writer"]},
            "until": {"$cond": [{"$or": reasons}, _in(seconds), "$until"]},
        }
        with translated():
            while True:
                try:
                    row = await self._roles.find_one_and_update(
                        {"_id": role}, [{"$set": taken}], upsert=True, return_document=ReturnDocument.AFTER
                    )
                except DuplicateKeyError:  # two made the row at once, and the other was first
                    continue
                assert row is not None
                return str(row["writer"])

    async def release(self, role: str, writer: str) -> None:
        """Give a role up."""
        with translated():
            await self._roles.delete_one({"_id": role, "writer": writer})
