"""One page of a query, however deep: from a bookmark, from a survey of the order, else counted off in the index."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any

import structlog

from tsunagu.background import end
from tsunagu.broker.errors import NgsiError, TooManyResults
from tsunagu.broker.storage.mongo.bookmarks import Bookmarks
from tsunagu.broker.storage.mongo.faults import translated
from tsunagu.broker.storage.mongo.indexes import ENTITIES
from tsunagu.broker.storage.mongo.keys import FIRST_TYPE, KEYS
from tsunagu.broker.storage.mongo.positions import STRIDE, Survey, condition, hint_of
from tsunagu.broker.storage.mongo.usual_times import filled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from tsunagu.broker.changes import Change, Document
    from tsunagu.broker.storage.mongo.client import Databases

log = structlog.get_logger(__name__)

# What the plain view shows, named rather than what it does not: MongoDB copies members that are named, and builds the
# document anew to leave some out.
WITHOUT_TIMES = {"type": 1, "scope": 1, "attrs": 1, "expires": 1, "v": 1}
BY_ID = {"_id": 1}
LARGEST_PAGE = 4  # batches
SURVEYS = 200
FAR = 500  # entities to skip above which it pays to count them all
MANY_CREATED = 4 * STRIDE  # entities that came since surveys were looked after, at least,
GROWN = 2  # and at least this part of those that there were: a survey goes through all of them
LOOK_SECONDS = 2.0
TENANTS_AT_START = 20


async def rows_of(
    databases: Databases, tenant: str, command: dict[str, Any], expected: int, *, batches: int | None = LARGEST_PAGE
) -> list[Document]:
    """Run a find command on the entities and return all that it finds.

    MongoDB sends at most 16 MiB in a batch. Raises TooManyResults beyond `batches` of them; None for no limit.
    """
    command = {"find": ENTITIES, **command, "batchSize": expected + 1}
    cursor = (await databases.read(tenant, command))["cursor"]
    if cursor["id"]:
        await databases.read(tenant, {"killCursors": ENTITIES, "cursors": [cursor["id"]]})
        async with contextlib.aclosing(batches_of(databases, tenant, command, most=batches)) as found:
            return [row async for batch in found for row in batch]
    rows: list[Document] = cursor["firstBatch"]
    return filled(rows)


async def batches_of(
    databases: Databases, tenant: str, find: dict[str, Any], *, most: int | None = None
) -> AsyncGenerator[list[Document], None]:
    """Yield what a find command finds, a batch at a time, in one session; the cursor ends when nobody wants more.

    Raises TooManyResults when there is more than `most` batches.
    """
    database = databases.of(tenant)
    async with databases.client.start_session() as session:
        cursor = (await database.command(find, session=session))["cursor"]
        batch: list[Document] = cursor["firstBatch"]
        seen = 1
        try:
            while True:
                yield filled(batch)
                if not cursor["id"]:
                    return
                if seen == most:
                    raise TooManyResults(
                        f"what was asked for has more than {16 * most} MiB; ask for less at once, by limit"
                    )
                seen += 1
                more = {"getMore": cursor["id"], "collection": ENTITIES}
                cursor = (await database.command(more, session=session))["cursor"]
                batch = cursor["nextBatch"]
        finally:
            if cursor["id"]:
                await database.command({"killCursors": ENTITIES, "cursors": [cursor["id"]]}, session=session)


async def count_of(databases: Databases, tenant: str, query: dict[str, Any], **options: Any) -> int:
    """Return how many entities meet a filter; without one MongoDB knows it without counting."""
    reply = await databases.read(tenant, {"count": ENTITIES, "query": query, **options})
    return int(reply["n"])


async def type_names(databases: Databases, tenant: str) -> list[str]:
    """Return the types (IRIs) of which entities exist, in order: one look into the index for each."""
    found: list[str] = []
    bound: dict[str, Any] = {"$gte": FIRST_TYPE}
    while True:
        look = {"filter": {KEYS: bound}, "hint": KEYS, "returnKey": True, "limit": 1}
        rows = await rows_of(databases, tenant, look, 1)
        if not rows:
            return found
        found.append(rows[0][KEYS])
        bound = {"$gt": found[-1]}


async def in_order(databases: Databases, tenant: str, ids: Sequence[str], *, times: bool) -> list[Document]:
    """Return the entities with these ids, in their order; those that are gone meanwhile are left out."""
    if not ids:
        return []
    command: dict[str, Any] = {"filter": {"_id": {"$in": list(ids)}}}
    if not times:
        command["projection"] = WITHOUT_TIMES
    found = {row["_id"]: row for row in await rows_of(databases, tenant, command, len(ids))}
    return [found[one] for one in ids if one in found]


class Pages:
    """Finds pages. Hears of what this process commits; `shared` says that other processes write too."""

    def __init__(self, databases: Databases, *, shared: bool) -> None:
        self._databases = databases
        self._shared = shared
        self._bookmarks = Bookmarks()
        self._surveys: dict[tuple[str, str | None], Survey] = {}
        self._being_made: dict[tuple[str, str | None], Survey] = {}
        self._balance: Counter[str] = Counter()
        self._created: Counter[str] = Counter()
        self._had: dict[str, int] = {}  # entities of a tenant when surveys were looked after
        self._tasks: set[asyncio.Task[None]] = set()

    def committed(self, changes: Sequence[Change]) -> None:
        """Take note of changes of one tenant."""
        tenant = changes[0].tenant
        self._bookmarks.committed(changes)
        moved: dict[str, set[str]] = {}
        for change in changes:
            before, after = change.before, change.after
            if before is not None and after is not None:
                if before["type"] != after["type"]:
                    moved[change.entity_id] = {*before["type"], *after["type"]}
            else:
                self._balance[tenant] += 1 if before is None else -1
                self._created[tenant] += before is None
                whole = after or before
                moved[change.entity_id] = set() if whole is None else set(whole["type"])
        if moved:
            for (of, type_iri), survey in chain(self._surveys.items(), self._being_made.items()):
                if of == tenant:
                    survey.changed([one for one, types in moved.items() if type_iri is None or type_iri in types])

    async def find(
        self,
        tenant: str,
        where: dict[str, Any],
        order: dict[str, int] | None,
        *,
        limit: int,
        offset: int,
        times: bool,
    ) -> list[Document]:
        """Return one page of the entities that meet a filter, in an order that MongoDB can follow, or that of ids."""
        if order is not None:
            if offset >= FAR:
                return await self._from_behind(tenant, where, order, limit, offset, times=times)
            return await self._counted_off(tenant, where, order, limit, offset, times=times)
        name = repr(where)
        start, after = await self._start(tenant, name, where, offset)
        filtered = where
        if after is not None:
            beyond = {"_id": {"$gt": after}}
            filtered = {"$and": [where, beyond]} if "_id" in where or "$and" in where else {**where, **beyond}
        if is_plain(where):
            command = {"filter": filtered, "sort": BY_ID, "limit": limit, "hint": hint_of(where.get(KEYS))}
            if offset > start:
                command["skip"] = offset - start
            if not times:
                command["projection"] = WITHOUT_TIMES
            rows = await rows_of(self._databases, tenant, command, limit)
            self._prepare(tenant, where.get(KEYS), full=len(rows) == limit, far=offset - start)
        else:
            skip = offset - start
            # With the one before the page, so that a jump here leaves a bookmark even if the page is the last.
            early = 1 if skip else 0
            rows = await self._counted_off(tenant, filtered, BY_ID, limit + early, skip - early, times=times)
            if early and rows:
                self._bookmarks.put(tenant, name, offset, rows.pop(0)["_id"])
        self._remember(tenant, name, rows, limit, offset)
        return rows

    async def _start(self, tenant: str, name: str, where: dict[str, Any], offset: int) -> tuple[int, str | None]:
        """Return from where to count off: an offset, and the id that it comes after."""
        if not offset:
            return 0, None
        mark = self._bookmarks.nearest(tenant, name, offset, shared=self._shared)
        if is_plain(where) and offset >= STRIDE and (mark is None or offset - mark[0] > STRIDE):
            surveyed = await self._surveyed(tenant, where.get(KEYS), offset)
            if surveyed is not None and (mark is None or surveyed[0] > mark[0]):
                return surveyed
        return (0, None) if mark is None else mark

    def _remember(self, tenant: str, name: str, rows: list[Document], limit: int, offset: int) -> None:
        if len(rows) == limit:
            # The API asks for one more than the page has, to know whether another follows: both may be asked for next.
            for last in range(max(limit - 2, 0), limit):
                self._bookmarks.put(tenant, name, offset + last + 1, rows[last]["_id"])

    async def _from_behind(
        self, tenant: str, where: dict[str, Any], order: dict[str, int], limit: int, offset: int, *, times: bool
    ) -> list[Document]:
        """Return a page in the second half counted off from the end, for which MongoDB has to keep fewer in order."""
        after = await count_of(self._databases, tenant, where) - offset
        if after > offset:
            return await self._counted_off(tenant, where, order, limit, offset, times=times)
        wanted = min(limit, after)
        if wanted <= 0:
            return []
        backwards = {name: -direction for name, direction in order.items()}
        rows = await self._counted_off(tenant, where, backwards, wanted, after - wanted, times=times)
        return rows[::-1]

    async def _counted_off(
        self, tenant: str, where: dict[str, Any], order: dict[str, int], limit: int, skip: int, *, times: bool
    ) -> list[Document]:
        command: dict[str, Any] = {"filter": where, "sort": order, "limit": limit}
        if skip:
            command |= {"skip": skip, "projection": {"_id": 1}}
            rows = await rows_of(self._databases, tenant, command, limit)
            return await in_order(self._databases, tenant, [row["_id"] for row in rows], times=times)
        if not times:
            command["projection"] = WITHOUT_TIMES
        return await rows_of(self._databases, tenant, command, limit)

    async def _surveyed(self, tenant: str, type_iri: str | None, offset: int) -> tuple[int, str] | None:
        survey = self._surveys.get((tenant, type_iri))
        if survey is None:
            return None
        if self._shared and await self._base(tenant) != survey.base:
            self._surveys.pop((tenant, type_iri), None)  # others have written
            return None
        return await survey.nearest(offset)

    async def _base(self, tenant: str) -> int:
        """Return how many entities the tenant has but for those of this process: changes when others write."""
        return await count_of(self._databases, tenant, {}) - self._balance[tenant]

    def _prepare(self, tenant: str, type_iri: str | None, *, full: bool, far: int) -> None:
        """Have a survey made where it will serve: more pages follow and there is none, or a jump was far with one."""
        survey = self._surveys.get((tenant, type_iri))
        if full if survey is None else (survey.old and far >= STRIDE):
            self._survey(tenant, type_iri)

    def _survey(self, tenant: str, type_iri: str | None) -> None:
        """Have a survey made in the background, unless one is being made."""
        key = (tenant, type_iri)
        if key in self._being_made:
            return
        made = Survey(
            type_iri,
            find=lambda command: rows_of(self._databases, tenant, command, 1),
            count=lambda query: count_of(self._databases, tenant, query, hint=hint_of(type_iri)),
        )
        self._being_made[key] = made
        task = asyncio.create_task(self._make(key, made), name=f"survey {tenant}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _make(self, key: tuple[str, str | None], survey: Survey) -> None:
        try:
            with translated():
                if self._shared:
                    survey.base = await self._base(key[0])
                await survey.make()
        except NgsiError as error:
            log.info("survey_failed", tenant=key[0], detail=error.detail)
        else:
            if len(self._surveys) >= SURVEYS:
                self._surveys.clear()
            self._surveys[key] = survey
        finally:
            del self._being_made[key]

    async def run(self) -> None:
        """Have surveys made before anybody jumps: at the start, and where many entities came. Runs until cancelled."""
        with contextlib.suppress(NgsiError):
            for tenant in (await self._databases.tenants())[:TENANTS_AT_START]:
                self._created[tenant] = MANY_CREATED
        while True:
            for tenant in [one for one, number in self._created.items() if number >= self._many(one)]:
                del self._created[tenant]
                await self._survey_types(tenant)
            await asyncio.sleep(LOOK_SECONDS)

    def _many(self, tenant: str) -> int:
        """Return how many new entities of a tenant are reason enough to look after its surveys."""
        return max(MANY_CREATED, self._had.get(tenant, 0) // GROWN)

    async def _survey_types(self, tenant: str) -> None:
        """Have surveys made for the types of a tenant that have many entities, one after the other."""
        try:
            with translated():
                self._had[tenant] = await count_of(self._databases, tenant, {})
                types = await type_names(self._databases, tenant)
                for type_iri in (None, *types[: SURVEYS // 2]):
                    if await count_of(self._databases, tenant, condition(type_iri), limit=2 * STRIDE) == 2 * STRIDE:
                        self._survey(tenant, type_iri)
                        await asyncio.gather(*self._tasks, return_exceptions=True)
        except NgsiError as error:
            log.info("survey_failed", tenant=tenant, detail=error.detail)

    async def close(self) -> None:
        """End the surveys that are being made."""
        await end(*self._tasks)


def is_plain(where: dict[str, Any]) -> bool:
    """Tell whether a filter asks for one type alone, or for everything: an index has those in the order of ids."""
    return not where or (len(where) == 1 and isinstance(where.get(KEYS), str))
