"""Parked notifications and dead letters in MongoDB: two collections in each tenant's database.

A row::

    {"_id": subscription|first change|lane, "s": subscription, "q": seq, "l": lane, "c": [CHANGE, ...]}

A dead letter is such a row with "at" and "why". A CHANGE holds the members of `broker.changes.Change`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, IndexModel
from pymongo.errors import BulkWriteError

from tsunagu.broker.changes import Change, Touch
from tsunagu.broker.storage.mongo.faults import DUPLICATE_KEY, translated
from tsunagu.broker.storage.parked import DeadLetter, Parked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymongo.asynchronous.collection import AsyncCollection

    from tsunagu.broker.storage.mongo.client import Databases

    Rows = AsyncCollection[dict[str, Any]]

PARKED = "parked"
DEAD = "deadletters"
NAMESPACE_EXISTS = 48
REMOVED_AT_ONCE = 1000


def _packed(change: Change) -> dict[str, Any]:
    touched = [[touch.attribute, touch.deed, touch.dataset_id] for touch in change.touched]
    packed = {
        "w": change.writer,
        "n": change.number,
        "e": change.entity_id,
        "k": change.kind,
        "at": change.at,
        "t": touched,
    }
    optional = {"b": change.before, "a": change.after, "m": change.meta}
    packed.update({key: value for key, value in optional.items() if value is not None})
    return packed


def _change(tenant: str, packed: dict[str, Any]) -> Change:
    return Change(
        tenant=tenant,
        writer=packed["w"],
        number=packed["n"],
        entity_id=packed["e"],
        kind=packed["k"],
        at=packed["at"],
        before=packed.get("b"),
        after=packed.get("a"),
        touched=tuple(Touch(name, deed, dataset) for name, deed, dataset in packed["t"]),
        meta=packed.get("m"),
    )


def _row(parked: Parked) -> dict[str, Any]:
    return {
        "_id": parked.id,
        "s": parked.subscription,
        "q": parked.seq,
        "l": parked.lane,
        "c": [_packed(change) for change in parked.changes],
    }


def _parked(tenant: str, row: dict[str, Any]) -> Parked:
    changes = tuple(_change(tenant, packed) for packed in row["c"])
    return Parked(row["_id"], row["s"], row["q"], row["l"], changes)


class MongoParkedDeliveries:
    """See `tsunagu.broker.storage.parked.ParkedDeliveries`."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self._readied: set[str] = set()

    def _rows(self, tenant: str) -> Rows:
        return self._databases.of(tenant)[PARKED]

    def _letters(self, tenant: str) -> Rows:
        return self._databases.of(tenant)[DEAD]

    async def _ready(self, tenant: str) -> None:
        if tenant not in self._readied:
            order = [("s", ASCENDING), ("q", ASCENDING)]
            await self._rows(tenant).create_indexes([IndexModel(order, name="queue")])
            await self._letters(tenant).create_indexes([IndexModel(order, name="order")])
            self._readied.add(tenant)

    async def put(self, tenant: str, rows: Sequence[Parked]) -> None:
        """Keep rows; one whose id is there already is left as it is."""
        with translated():
            await self._ready(tenant)
            await _insert(self._rows(tenant), [_row(parked) for parked in rows])

    async def load(self, tenant: str, subscription: str, *, after: int, limit: int) -> list[Parked]:
        """Return the first `limit` rows of a subscription with a seq above `after`, in order."""
        where = {"s": subscription, "q": {"$gt": after}}
        with translated():
            rows = await self._rows(tenant).find(where).sort("q", 1).limit(limit).to_list(None)
        return [_parked(tenant, row) for row in rows]

    async def remove(self, tenant: str, ids: Sequence[str]) -> None:
        """Remove rows."""
        with translated():
            await self._rows(tenant).delete_many({"_id": {"$in": list(ids)}})

    async def coalesce(self, tenant: str, subscription: str) -> None:
        """Keep of each lane of a subscription only the latest row."""
        latest: dict[str, str] = {}
        superseded: list[str] = []
        with translated():
            async for row in self._rows(tenant).find({"s": subscription}, {"l": 1}).sort("q", 1):
                older = latest.get(row["l"])
                if older is not None:
                    superseded.append(older)
                latest[row["l"]] = row["_id"]
                if len(superseded) == REMOVED_AT_ONCE:
                    await self.remove(tenant, superseded)
                    superseded.clear()
            if superseded:
                await self.remove(tenant, superseded)

    async def subscriptions(self, tenant: str) -> list[str]:
        """Return the subscriptions that have rows."""
        with translated():
            return list(await self._rows(tenant).distinct("s"))

    async def discard(self, tenant: str, subscription: str) -> None:
        """Remove the rows and dead letters of a subscription."""
        with translated():
            await self._rows(tenant).delete_many({"s": subscription})
            await self._letters(tenant).delete_many({"s": subscription})

    async def bury(self, tenant: str, letters: Sequence[DeadLetter]) -> None:
        """Keep dead letters, and remove the rows with their ids."""
        with translated():
            await self._ready(tenant)
            rows = [{**_row(letter.parked), "at": letter.at, "why": letter.reason} for letter in letters]
            await _insert(self._letters(tenant), rows)
            await self.remove(tenant, [letter.parked.id for letter in letters])

    async def dead(self, tenant: str, subscription: str, *, limit: int, offset: int = 0) -> list[DeadLetter]:
        """Return dead letters of a subscription, oldest first."""
        with translated():
            rows = (
                await self._letters(tenant)
                .find({"s": subscription})
                .sort("q", 1)
                .skip(offset)
                .limit(limit)
                .to_list(None)
            )
        return [DeadLetter(_parked(tenant, row), row["at"], row["why"]) for row in rows]

    async def counts(self, tenant: str, subscriptions: Sequence[str]) -> tuple[dict[str, int], dict[str, int]]:
        """Return how many rows, and how many dead letters, each of these subscriptions has, where it has any."""
        of_these: list[dict[str, Any]] = [
            {"$match": {"s": {"$in": list(subscriptions)}}},
            {"$group": {"_id": "$s", "n": {"$sum": 1}}},
        ]
        found: list[dict[str, int]] = []
        for collection in (self._rows(tenant), self._letters(tenant)):
            with translated():
                cursor = await collection.aggregate(of_these)
                found.append({row["_id"]: row["n"] for row in await cursor.to_list(None)})
        return found[0], found[1]

    async def exhume(self, tenant: str, subscription: str, *, ids: Sequence[str] | None, since: int | None) -> int:
        """Turn dead letters into rows again: those named, or those given up since (epoch ms), or all."""
        where: dict[str, Any] = {"s": subscription}
        if ids is not None:
            where["_id"] = {"$in": list(ids)}
        if since is not None:
            where["at"] = {"$gte": since}
        done = 0
        with translated():
            await self._ready(tenant)
            async for row in self._letters(tenant).find(where).sort("q", 1):
                del row["at"], row["why"]
                await _insert(self._rows(tenant), [row])
                await self._letters(tenant).delete_one({"_id": row["_id"]})
                done += 1
        return done


async def _insert(collection: Rows, rows: list[dict[str, Any]]) -> None:
    """Insert rows; those whose id is there already are left as they are."""
    try:
        await collection.insert_many(rows, ordered=False)
    except BulkWriteError as error:
        if any(failure["code"] != DUPLICATE_KEY for failure in error.details["writeErrors"]):
            raise
