"""The temporal evolutions of entities, read from the change log in MongoDB.

The index on (entity, time in the history) serves every stretch of a history in either order, so that the last ten
instances cost ten records and not the whole; what is asked for by the time of the change (modifiedAt, createdAt) is
picked out of the index's keys and sorted by MongoDB.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from heapq import merge
from typing import TYPE_CHECKING, Any

from tsunagu.broker.query.ast import EntityQuery
from tsunagu.broker.storage.history import SCOPE, Evolution
from tsunagu.broker.storage.mongo.evolutions import AMENDED
from tsunagu.broker.storage.mongo.facts import facts_of, scopes_of
from tsunagu.broker.storage.mongo.faults import translated
from tsunagu.broker.storage.mongo.filters import to_filter
from tsunagu.broker.storage.mongo.indexes import CHANGES, ENTITIES, EVOLUTIONS
from tsunagu.broker.storage.mongo.ordered import Ordered
from tsunagu.broker.storage.mongo.records import ERASED, SPREAD_MS
from tsunagu.broker.storage.mongo.selection import Selection
from tsunagu.broker.storage.mongo.usual_times import fill_in, projection, recorded
from tsunagu.schemas.entity import instances

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence

    from tsunagu.broker.changes import Document
    from tsunagu.broker.query.ast import TemporalQuery
    from tsunagu.broker.settings import Settings
    from tsunagu.broker.storage.history import Fact, Wish
    from tsunagu.broker.storage.mongo.client import Database, Databases
    from tsunagu.broker.storage.mongo.records import Record

    Where = dict[str, Any]

BATCH = 200
SMALL_BATCH = 20
VISIBLE: dict[str, Any] = {"x": {"$exists": False}}
HEAD = {"type": 1, "created": 1, "modified": 1, SCOPE: 1}


class MongoHistory:
    """Reads temporal evolutions; see `storage.history.History`."""

    def __init__(self, databases: Databases, settings: Settings) -> None:
        self._databases = databases
        self._timeout = settings.store_timeout

    async def exists(self, tenant: str, entity_id: str) -> bool:
        """Return whether there is a temporal evolution of an entity."""
        with translated():
            async with asyncio.timeout(self._timeout):
                return await self._any(self._databases.of(tenant), entity_id)

    async def evolution(self, tenant: str, entity_id: str, wish: Wish) -> Evolution | None:
        """Return what is asked for of the evolution of an entity; None if there is no evolution of it at all."""
        with translated():
            async with asyncio.timeout(self._timeout):
                return await self._evolution(self._databases.of(tenant), entity_id, wish)

    async def _evolution(self, database: Database, entity_id: str, wish: Wish) -> Evolution | None:
        by_id = {"_id": entity_id}
        fields = {**HEAD, **projection(wish.attrs)}
        document, note = await asyncio.gather(
            database[ENTITIES].find_one(by_id, fields), database[EVOLUTIONS].find_one(by_id)
        )
        if document is None and note is None:
            return None
        departed = frozenset((note or {}).get("attrs", ()))
        times: dict[str, Any] = fill_in(document or {}).get("sys", {})
        names = (departed | times.keys()) - {SCOPE}
        if wish.attrs is not None:
            names &= wish.attrs
        scoped = SCOPE in departed or (document is not None and SCOPE in document)
        scopes = await self._scopes(database, entity_id) if scoped else []
        selection = await self._selected(database, entity_id, wish, names, _once_only(document, departed), note or {})
        nothing = not scopes and all("d" in fact.times for fact in selection.facts)
        if nothing and not await self._any(database, entity_id):
            return None
        head = document or note or {}
        return Evolution(
            id=entity_id,
            types=head.get("type", []),
            facts=selection.in_order(),
            scopes=scopes,
            names=frozenset(names),
            whole=selection.whole,
            created=head.get("created"),
            modified=head.get("modified"),
            deleted=None if document is not None else head.get("deleted"),
        )

    async def _any(self, database: Database, entity_id: str) -> bool:
        """Return whether the log tells anything but the end of an entity whose history was erased."""
        where = {"e": entity_id, **VISIBLE, "k": {"$ne": "deleted"}}
        return await database[CHANGES].find_one(where, {"_id": 1}) is not None

    async def _selected(
        self,
        database: Database,
        entity_id: str,
        wish: Wish,
        names: frozenset[str] | set[str],
        once_only: dict[str, int],
        note: Document,
    ) -> Selection:
        """Read records until all that is asked for is found; with `last`, backwards.

        `once_only` has attributes that were set with the entity and never again, without observedAt, and when: looking
        for more of them would lead through the whole history. `note` is what is noted of the evolution.
        """
        lacking = set(names)
        if wish.last is not None:
            lacking -= once_only.keys()
            if wish.member == "d":
                lacking &= set(note.get("attrs", ()))
        selection = Selection(wish, lacking)
        if wish.last is not None and wish.member in (None, "m", "c") and once_only.keys() & names:
            await self._read_once_only(database, entity_id, selection, once_only)
        amended = bool(note.get(AMENDED))
        where = {"e": entity_id, **_where(wish, amended=amended)}
        if amended and wish.member == "m" and wish.last is not None:
            await self._read_amended(database, where, selection)
        elif wish.last is None or selection.lacking:
            await self._read(database, where, selection)
        return selection

    async def _read_amended(self, database: Database, where: Where, selection: Selection) -> None:
        """Take the last modified of a history with corrections, which are not in the order of the log."""
        wish = selection.wish
        found = [
            fact
            async for record in _records(database, where, "at", -1, wish.attrs)
            for fact in facts_of(record)
            if wish.takes(fact)
        ]
        for fact in sorted(found, key=lambda fact: fact.moment("m") or 0, reverse=True):
            if not selection.add(fact):
                return

    async def _read_once_only(
        self, database: Database, entity_id: str, selection: Selection, once_only: dict[str, int]
    ) -> None:
        created = next(iter(once_only.values()))
        where = {"e": entity_id, "h": {"$gte": created, "$lte": created + SPREAD_MS}, "at": created, **VISIBLE}
        async for record in database[CHANGES].find(where, {"b": 0}):
            for fact in facts_of(recorded(record)):
                if fact.attribute in once_only and selection.wish.takes(fact):
                    selection.add(fact)

    async def _read(self, database: Database, where: Where, selection: Selection) -> None:
        """Read records in order into the selection until it wants no more.

        When some attributes have all that is asked for and others not, MongoDB is told to go on with the others only.
        """
        wish = selection.wish
        field = _field(wish)
        direction = 1 if wish.last is None else -1
        ordered = Ordered(direction, spread=SPREAD_MS if field == "h" else None)
        wanted = None if wish.attrs is None else set(wish.attrs)
        batch = BATCH if wish.last is None else min(BATCH, max(SMALL_BATCH, 2 * wish.last))
        resume: int | None = None
        seen: set[tuple[str, int]] = set()
        while True:
            narrowed = [where, _telling(wish, wanted)]
            if resume is not None:
                narrowed.append({field: {"$gte" if direction > 0 else "$lte": resume}})
            count = 0
            async with aclosing(
                _records(database, {"$and": narrowed}, field, direction, wish.attrs, batch=batch)
            ) as records:
                async for record in records:
                    key = (record["_id"]["w"], record["_id"]["n"])
                    if key in seen:
                        continue
                    if record[field] != resume:
                        resume, seen = record[field], set()
                    seen.add(key)
                    count += 1
                    taken = filter(wish.takes, facts_of(record))
                    if not all(selection.add(fact) for fact in ordered.after(record[field], taken)):
                        return
                    if wish.last is not None and not selection.lacking:
                        return
                    if count >= batch and wish.last is not None and wanted != selection.lacking:
                        wanted, batch = set(selection.lacking), BATCH
                        break
                else:
                    all(selection.add(fact) for fact in ordered.rest())
                    return

    async def facts(self, tenant: str, entity_id: str, wish: Wish) -> AsyncIterator[Fact]:
        """Yield the instances that a wish takes, oldest first, regardless of its `last` and `limit`; no scopes."""
        database = self._databases.of(tenant)
        field = _field(wish)
        ordered = Ordered(1, spread=SPREAD_MS if field == "h" else None)
        where = {"$and": [{"e": entity_id, **_where(wish, amended=True)}, _telling(wish, wish.attrs)]}
        with translated():
            async for record in _records(database, where, field, 1, wish.attrs):
                for fact in ordered.after(record[field], filter(wish.takes, facts_of(record))):
                    yield fact
        for fact in ordered.rest():
            yield fact

    async def observed(
        self, tenant: str, entity_id: str, names: Collection[str], moments: Collection[int]
    ) -> list[Fact]:
        """Return the instances of attributes that were observed at one of these times (epoch ms)."""
        attrs = frozenset(names)
        if not moments:
            return []
        spans = [{"e": entity_id, "h": {"$gte": start, "$lte": end}} for start, end in _reaching(moments)]
        where = {"o": True, **VISIBLE, "$and": [touching(attrs), {"$or": spans}]}
        with translated():
            async with asyncio.timeout(self._timeout):
                records = [record async for record in _records(self._databases.of(tenant), where, "h", 1, attrs)]
        wanted = set(moments)
        found = [fact for record in records for fact in facts_of(record)]
        return [fact for fact in found if fact.attribute in attrs and fact.times.get("o") in wanted]

    async def scopes(self, tenant: str, entity_id: str) -> list[Fact]:
        """Return all instances of an entity's scope, oldest first."""
        with translated():
            async with asyncio.timeout(self._timeout):
                return await self._scopes(self._databases.of(tenant), entity_id)

    async def _scopes(self, database: Database, entity_id: str) -> list[Fact]:
        where = {"e": entity_id, "s": True, **VISIBLE}
        rows = await database[CHANGES].find(where, {"b": 0}).hint("scopes").to_list(None)
        found = [fact for record in rows for fact in scopes_of(record)]
        return sorted(found, key=lambda fact: (fact.moment(None) or 0, fact.at))

    async def page(
        self, tenant: str, query: EntityQuery, wish: Wish, *, limit: int, offset: int = 0, descending: bool = False
    ) -> list[str]:
        """Return ids of entities, in their order, that have instances which the wish takes."""
        direction = -1 if descending else 1
        last = [{"$sort": {"_id": direction}}, *_hits(wish), {"$limit": offset + limit}, {"$project": {"_id": 1}}]
        present, departed = await self._both(tenant, query, last)
        ids = merge((row["_id"] for row in present), (row["_id"] for row in departed), reverse=descending)
        return list(ids)[offset : offset + limit]

    async def count(self, tenant: str, query: EntityQuery, wish: Wish) -> int:
        """Return how many entities `page` has in all."""
        both = await self._both(tenant, query, [*_hits(wish), {"$count": "n"}])
        return sum(int(rows[0]["n"]) for rows in both if rows)

    async def _both(
        self, tenant: str, query: EntityQuery, last: list[dict[str, Any]]
    ) -> tuple[list[Document], list[Document]]:
        """Run the last stages over the present entities that match and over the departed ones."""
        which = EntityQuery(ids=query.ids, id_pattern=query.id_pattern, types=query.types, selectors=query.selectors)
        noted = {"$and": [to_filter(which, types_in="type"), {"type": {"$exists": True}}]}
        database = self._databases.of(tenant)
        present = [{"$match": to_filter(which)}, *last]
        gone = [{"$match": noted}, *_STATELESS, *last]
        with translated():
            async with asyncio.timeout(self._timeout):
                cursors = await asyncio.gather(
                    database[ENTITIES].aggregate(present), database[EVOLUTIONS].aggregate(gone)
                )
                rows = await asyncio.gather(*(cursor.to_list(None) for cursor in cursors))
        return rows[0], rows[1]


# Stages that leave only evolutions whose entity has no current state.
_STATELESS: list[dict[str, Any]] = [
    {
        "$lookup": {
            "from": ENTITIES,
            "localField": "_id",
            "foreignField": "_id",
            "pipeline": [{"$project": {"_id": 1}}],
            "as": "present",
        }
    },
    {"$match": {"present": []}},
]


def _hits(wish: Wish) -> list[dict[str, Any]]:
    """Return the stages that leave only entities with a record that tells what the wish takes."""
    nothing: Where = {"t": [], "s": {"$exists": False}}  # an entity without attributes was created, or deleted
    where = {"$and": [_where(replace(wish, last=None), amended=True), _telling(wish, wish.attrs), {"$nor": [nothing]}]}
    one = [{"$match": where}, {"$limit": 1}, {"$project": {"_id": 1}}]
    lookup = {"from": CHANGES, "localField": "_id", "foreignField": "e", "pipeline": one, "as": "hits"}
    return [{"$lookup": lookup}, {"$match": {"hits": {"$ne": []}}}]


def _once_only(document: Document | None, departed: frozenset[str]) -> dict[str, int]:
    """Return the attributes that were set with the entity and never again, without observedAt, and when that was."""
    if document is None:
        return {}
    created = document["created"]
    return {
        name: created
        for name, value in document.get("sys", {}).items()
        if name not in departed
        and all(times["c"] == times["m"] == created and "o" not in times for times in instances(value))
    }


def _field(wish: Wish) -> str:
    """Return the member of records that gives the order that a wish asks for."""
    return "at" if wish.member in ("m", "c") else "h"


def _where(wish: Wish, *, amended: bool) -> Where:
    """Return the condition on records that may tell what a wish takes; `amended`: some may have been amended."""
    where: Where = dict(VISIBLE)
    if wish.member == "o":
        where["o"] = True
    if wish.window is None:
        return where
    span = _span(wish.window)
    if wish.member == "c":
        span.pop("$lt", None)  # an instance keeps its createdAt when it changes later
    if not span:
        return where
    reaching = dict(span)
    if "$lt" in reaching:
        reaching["$lt"] += SPREAD_MS  # a record that tells several times stands at the latest
    if wish.member == "d":
        where["$or"] = [{"h": reaching}, {"o": True}]
    elif wish.member == "m" and amended:
        where["$or"] = [{"at": span}, {"am": span}]
    elif _field(wish) == "at":
        where["at"] = span
    else:
        where["h"] = reaching
    return where


def _telling(wish: Wish, names: Collection[str] | None) -> Where:
    """Return the condition on the entries of a record that it tells what a wish takes, of these attributes (None: all).

    Entries have times only where the record tells several; of the others, `_where` says nearly all.
    """
    entry = _entry(names, "deleted" if wish.member == "d" else {"$ne": ERASED})
    usual: Any = None if wish.member == "d" else {"$type": "string"} if names is None else {"$in": sorted(names)}
    where = {} if names is None and wish.member != "d" else _one_of(usual, entry)
    if wish.member in ("m", "c"):
        return where
    span = {} if wish.window is None else _span(wish.window)
    timed = {**entry, "4": {"$exists": True, **span}}
    single: Where = {"l": {"$exists": False}}
    if wish.member == "o":
        timed["5"] = True
        usual = None
    elif wish.member == "d":  # what was provided with an observedAt stands at that, not at the time of its deletion
        timed = {**entry, "$or": [{"4": timed["4"]}, {"5": True}]}
        single["o"] = {"$exists": False}
    none: list[Where] = [{"l": {"$exists": True}, "$nor": [_one_of(usual, timed, span)]}]
    if "$lt" in span:
        none.append({**single, "h": {"$gte": span["$lt"]}})
    return {**where, "$nor": none}


def _entry(names: Collection[str] | None, deed: Any) -> Where:
    return {"1": deed} if names is None else {"0": {"$in": sorted(names)}, "1": deed}


def _reaching(moments: Collection[int]) -> list[tuple[int, int]]:
    """Return the spans, first and last, in which "h" of records lies that may tell one of these times."""
    found: list[tuple[int, int]] = []
    for moment in sorted(moments):
        if found and moment <= found[-1][1]:
            found[-1] = found[-1][0], moment + SPREAD_MS
        else:
            found.append((moment, moment + SPREAD_MS))
    return found


def _span(window: TemporalQuery) -> dict[str, int]:
    span = {}
    if window.start is not None:
        span["$gte"] = window.start
    if window.end is not None:
        span["$lt"] = window.end
    return span


def touching(names: Collection[str]) -> Where:
    """Return the condition on records that they touch one of the attributes."""
    return having(sorted(names), _entry(names, {"$ne": ERASED}))


def having(usual: Sequence[str], entry: Where) -> Where:
    """Return the condition on records that they have the usual entry of one of these attributes, or such an entry."""
    return _one_of({"$in": usual} if usual else None, entry)


def _one_of(usual: Any, entry: Where, span: dict[str, int] | None = None) -> Where:
    """Return the condition that "t" has an entry that is a name alone, `usual` (at a time in `span`), or `entry`.

    What a record of several times tells under a name alone, it tells at "at".
    """
    full: Where = {"t": {"$elemMatch": entry}}
    if usual is None:
        return full
    return {"$or": [{"t": usual, **({"at": span} if span else {})}, full]}


async def _records(
    database: Database, where: Where, field: str, direction: int, attrs: frozenset[str] | None, *, batch: int = BATCH
) -> AsyncGenerator[Record, None]:
    """Yield records in order, without what was before; of the attributes only those named."""
    fields: dict[str, int] = {"b": 0}
    if attrs is not None:
        fields = dict.fromkeys(("e", "k", "at", "h", "l", "o", "t"), 1)
        fields |= projection(attrs, prefix="a.")
    cursor = database[CHANGES].find(where, fields).sort(field, direction).batch_size(batch).allow_disk_use(True)
    async with cursor:
        async for record in cursor:
            yield recorded(record)
