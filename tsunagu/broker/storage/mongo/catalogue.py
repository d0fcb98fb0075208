"""The catalogue in MongoDB.

An entry is kept as {"_id": id, "d": entry} in the tenant's collection `kind`, so that its members may have any name.
Each write also puts an announcement into one small collection of the system database, in the same transaction;
every process follows that collection with a change stream.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog
from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError, PyMongoError

from tsunagu.background import end
from tsunagu.broker.errors import AlreadyExists
from tsunagu.broker.storage.catalogue import Announcement, Deed, Entry
from tsunagu.broker.storage.mongo.faults import translated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from pymongo.asynchronous.client_session import AsyncClientSession

    from tsunagu.broker.storage.mongo.client import Databases

log = structlog.get_logger(__name__)

ANNOUNCEMENTS = "announcements"
FORGET_SECONDS = 24 * 3600
NAMESPACE_EXISTS = 48
BATCH = 500


def _inner(where: Entry | None) -> Entry:
    return {("_id" if key == "_id" else "d." + key): value for key, value in (where or {}).items()}


class MongoCatalogue:
    """The catalogue of all tenants; `start` opens the change stream, `close` ends it."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self._watchers: list[tuple[frozenset[str], Callable[[Announcement], None]]] = []
        self._known: set[tuple[str, str]] = set()
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    async def start(self) -> None:
        """Create the announcements' collection and follow it; returns when announcements are being heard."""
        system = self._databases.system
        with translated():
            await system.command({"create": ANNOUNCEMENTS}, check=True, allowable_errors=[NAMESPACE_EXISTS])
            await system[ANNOUNCEMENTS].create_index(
                [("at", ASCENDING)], name="forget", expireAfterSeconds=FORGET_SECONDS
            )
        self._task = asyncio.create_task(self._follow(), name="catalogue announcements")
        async with asyncio.timeout(10):
            await self._ready.wait()

    async def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            await end(self._task)

    def watch(self, kinds: frozenset[str], callback: Callable[[Announcement], None]) -> None:
        """Have `callback` called for every write of these kinds; see `storage.catalogue.Catalogue`."""
        self._watchers.append((kinds, callback))

    async def _follow(self) -> None:
        """Read the change stream for ever; after a break, say that anything may have changed."""
        only: list[Mapping[str, Any]] = [{"$match": {"operationType": "insert"}}, {"$project": {"fullDocument": 1}}]
        broken = False
        while True:
            try:
                async with await self._databases.system[ANNOUNCEMENTS].watch(only, max_await_time_ms=1000) as stream:
                    if broken:
                        self._tell(Announcement("", "", "", "unknown"))
                        broken = False
                    self._ready.set()
                    async for event in stream:
                        row = event["fullDocument"]
                        self._tell(Announcement(row["tenant"], row["kind"], row["id"], row["deed"]))
            except PyMongoError as error:
                if not broken:
                    log.warning("announcements_lost", reason=str(error)[:200])
                broken = True
                await asyncio.sleep(0.5)

    def _tell(self, announcement: Announcement) -> None:
        for kinds, callback in self._watchers:
            if announcement.deed == "unknown" or announcement.kind in kinds:
                try:
                    callback(announcement)
                except Exception:
                    log.exception("watcher_failed", kind=announcement.kind)

    async def _announced(
        self, tenant: str, kind: str, key: str, deed: Deed, write: Callable[[AsyncClientSession], Awaitable[bool]]
    ) -> bool:
        """Do a write and announce it in one transaction, if it did anything."""
        await self._prepare(tenant, kind)

        async def both(session: AsyncClientSession) -> bool:
            done = await write(session)
            if done:
                row = {"at": datetime.now(UTC), "tenant": tenant, "kind": kind, "id": key, "deed": deed}
                await self._databases.system[ANNOUNCEMENTS].insert_one(row, session=session)
            return done

        with translated():
            async with asyncio.timeout(10), self._databases.client.start_session() as session:
                return bool(await session.with_transaction(both))

    async def _prepare(self, tenant: str, kind: str) -> None:
        """Make sure that the collection is there: a transaction does not like to create it."""
        if (tenant, kind) not in self._known:
            database = await self._databases.ready(tenant)
            with translated():
                await database.command({"create": kind}, check=True, allowable_errors=[NAMESPACE_EXISTS])
            self._known.add((tenant, kind))

    async def get(self, tenant: str, kind: str, id: str) -> Entry | None:  # noqa: A002
        """Return one entry, None if there is none."""
        with translated():
            row = await self._databases.of(tenant)[kind].find_one({"_id": id})
        return row["d"] if row else None

    async def insert(self, tenant: str, kind: str, id: str, entry: Entry) -> None:  # noqa: A002
        """Add an entry. Raises AlreadyExists."""

        async def write(session: AsyncClientSession) -> bool:
            await self._databases.of(tenant)[kind].insert_one({"_id": id, "d": entry}, session=session)
            return True

        try:
            await self._announced(tenant, kind, id, "inserted", write)
        except DuplicateKeyError as error:
            raise AlreadyExists(f"{id} exists already among the {kind}") from error

    async def replace(self, tenant: str, kind: str, id: str, entry: Entry) -> None:  # noqa: A002
        """Put an entry in the place of the one with this id, or add it."""

        async def write(session: AsyncClientSession) -> bool:
            await self._databases.of(tenant)[kind].replace_one({"_id": id}, {"d": entry}, upsert=True, session=session)
            return True

        await self._announced(tenant, kind, id, "replaced", write)

    async def delete(self, tenant: str, kind: str, id: str) -> bool:  # noqa: A002
        """Remove an entry; tell whether there was one."""

        async def write(session: AsyncClientSession) -> bool:
            return (await self._databases.of(tenant)[kind].delete_one({"_id": id}, session=session)).deleted_count > 0

        return await self._announced(tenant, kind, id, "deleted", write)

    async def discard(self, tenant: str, kind: str, ids: Sequence[str]) -> int:
        """Remove entries of a kind that nobody watches, without announcing it; return how many there were."""
        if not ids:
            return 0
        with translated():
            result = await self._databases.of(tenant)[kind].delete_many({"_id": {"$in": list(ids)}})
        return result.deleted_count

    async def find(
        self,
        tenant: str,
        kind: str,
        where: Entry | None = None,
        *,
        limit: int = 0,
        offset: int = 0,
        sort: tuple[tuple[str, int], ...] = (),
    ) -> list[Entry]:
        """Return the entries that match, by id unless `sort` says otherwise; limit 0 means all."""
        order = [("d." + name, direction) for name, direction in sort] or [("_id", 1)]
        with translated():
            cursor = self._databases.of(tenant)[kind].find(_inner(where)).sort(order).skip(offset).limit(limit)
            return [row["d"] async for row in cursor]

    async def batches(self, tenant: str, kind: str) -> AsyncIterator[list[Entry]]:
        """Yield all entries, in no order, some hundreds at a time."""
        with translated():
            async with self._databases.of(tenant)[kind].find(batch_size=BATCH) as cursor:
                while rows := await cursor.to_list(BATCH):
                    yield [row["d"] for row in rows]

    async def count(self, tenant: str, kind: str, where: Entry | None = None) -> int:
        """Return how many entries match."""
        with translated():
            return int(await self._databases.of(tenant)[kind].count_documents(_inner(where)))

    async def change(self, tenant: str, kind: str, id: str, values: Entry, *, increments: Entry | None = None) -> bool:  # noqa: A002
        """Set members of an entry and add to counters, without announcing it; tell whether it was there."""
        update: dict[str, Any] = {}
        if values:
            update["$set"] = _inner(values)
        if increments:
            update["$inc"] = _inner(increments)
        if not update:
            return await self.get(tenant, kind, id) is not None
        with translated():
            result = await self._databases.of(tenant)[kind].update_one({"_id": id}, update)
        return result.matched_count > 0

    async def tenants(self) -> list[str]:
        """Return all tenants; the default one is ""."""
        return await self._databases.tenants()
