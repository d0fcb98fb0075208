"""Tallies and attempts in MongoDB: two collections in each tenant's database; attempts expire after some days."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, DESCENDING, IndexModel, UpdateOne, WriteConcern

from tsunagu.broker.storage.deliveries import Attempt, Tally
from tsunagu.broker.storage.mongo.faults import translated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tsunagu.broker.storage.mongo.client import Databases

TALLIES = "tallies"
ATTEMPTS = "attempts"
KEEP_SECONDS = 7 * 24 * 3600
COUNTS = ("sent", "failed")
MOMENTS = ("last_notification", "last_success", "last_failure")


class MongoDeliveryRecords:
    """See `tsunagu.broker.storage.deliveries.DeliveryRecords`."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self._readied: set[str] = set()

    async def add(self, tenant: str, tallies: Mapping[str, Tally]) -> None:
        """Add tallies to those kept, by subscription id."""
        updates: list[UpdateOne] = []
        for subscription, tally in tallies.items():
            values = asdict(tally)
            update: dict[str, Any] = {"$inc": {name: values[name] for name in COUNTS}}
            moments = {name: values[name] for name in MOMENTS if values[name] is not None}
            if moments:
                update["$max"] = moments
            updates.append(UpdateOne({"_id": subscription}, update, upsert=True))
        if updates:
            with translated():
                await self._databases.of(tenant)[TALLIES].bulk_write(updates, ordered=False)

    async def tallies(self, tenant: str, subscriptions: Sequence[str]) -> dict[str, Tally]:
        """Return the tallies kept of these subscriptions, where there are any."""
        with translated():
            rows = await self._databases.of(tenant)[TALLIES].find({"_id": {"$in": list(subscriptions)}}).to_list(None)
        return {row["_id"]: Tally(**{name: row[name] for name in (*COUNTS, *MOMENTS) if name in row}) for row in rows}

    async def note(self, tenant: str, attempts: Sequence[Attempt]) -> None:
        """Keep attempts, for some days."""
        attempts_kept = self._databases.of(tenant)[ATTEMPTS].with_options(write_concern=WriteConcern(w=1))
        with translated():
            if tenant not in self._readied:
                by_subscription = IndexModel([("subscription", ASCENDING), ("at", DESCENDING)], name="subscription")
                forget = IndexModel([("kept", ASCENDING)], name="forget", expireAfterSeconds=KEEP_SECONDS)
                await attempts_kept.create_indexes([by_subscription, forget])
                self._readied.add(tenant)
            now = datetime.now(UTC)
            await attempts_kept.insert_many([{**asdict(attempt), "kept": now} for attempt in attempts], ordered=False)

    async def attempts(self, tenant: str, subscription: str, *, limit: int, before: int | None = None) -> list[Attempt]:
        """Return the latest attempts of a subscription, newest first, earlier than `before` (epoch ms) if given."""
        where: dict[str, Any] = {"subscription": subscription}
        if before is not None:
            where["at"] = {"$lt": before}
        with translated():
            cursor = self._databases.of(tenant)[ATTEMPTS].find(where, {"_id": 0, "kept": 0}).sort("at", -1).limit(limit)
            rows = await cursor.to_list(None)
        return [Attempt(**{**row, "changes": tuple(row["changes"])}) for row in rows]

    async def forget(self, tenant: str, subscription: str) -> None:
        """Remove all that is kept about a subscription."""
        database = self._databases.of(tenant)
        with translated():
            await database[TALLIES].delete_one({"_id": subscription})
            await database[ATTEMPTS].delete_many({"subscription": subscription})
