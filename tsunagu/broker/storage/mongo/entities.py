"""Reading entities from MongoDB: by id, gathered; by query."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tsunagu.broker.storage.mongo.faults import translated
from tsunagu.broker.storage.mongo.filters import needs_ranking, residual, to_filter, to_sort
from tsunagu.broker.storage.mongo.frequent import FrequentTypes
from tsunagu.broker.storage.mongo.gathered import GatheredReads
from tsunagu.broker.storage.mongo.geo_filters import nearest
from tsunagu.broker.storage.mongo.indexes import ENTITIES
from tsunagu.broker.storage.mongo.keys import KEYS, due_before
from tsunagu.broker.storage.mongo.nearby import Nearby, in_order_of_distance
from tsunagu.broker.storage.mongo.ordering import ranked_ids
from tsunagu.broker.storage.mongo.pages import (
    BY_ID,
    WITHOUT_TIMES,
    Pages,
    batches_of,
    count_of,
    in_order,
    rows_of,
    type_names,
)
from tsunagu.broker.storage.mongo.usual_times import fill_in, projection
from tsunagu.broker.storage.reads import Page, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence

    from tsunagu.broker.changes import Document
    from tsunagu.broker.query.ast import EntityQuery
    from tsunagu.broker.settings import Settings
    from tsunagu.broker.storage.mongo.attribute_indexes import AttributeIndexes
    from tsunagu.broker.storage.mongo.client import Databases

STREAM_PAGE = 500


class MongoReader:
    """Reads entities; concurrent reads by id share one `find` (architecture, "The one idea")."""

    def __init__(self, databases: Databases, settings: Settings, *, indexes: AttributeIndexes | None = None) -> None:
        self._databases = databases
        self._indexes = indexes
        self._timeout = settings.store_timeout
        self._gets = GatheredReads(self._find)
        self._frequent = FrequentTypes(databases)
        self._nearby = Nearby(databases)
        self.pages = Pages(databases, shared=settings.multi_process)

    async def get(self, tenant: str, entity_id: str, *, times: bool = True) -> Document | None:
        """Return one document, None if there is none; see `storage.reads.Reader`."""
        document = await self._gets.get(tenant, entity_id, times=times)
        if document is not None and "expires" in document and document["expires"] <= time.time_ns() // 1_000_000:
            return None
        return document

    async def _find(self, tenant: str, ids: list[str], *, times: bool) -> list[Document]:
        """Return the documents with these ids, in one command."""
        command: dict[str, Any] = {"filter": {"_id": ids[0]} if len(ids) == 1 else {"_id": {"$in": ids}}}
        if not times:
            command["projection"] = WITHOUT_TIMES
        with translated():
            async with asyncio.timeout(self._timeout):
                return await rows_of(self._databases, tenant, command, len(ids), batches=None)

    async def get_many(self, tenant: str, ids: Sequence[str]) -> list[Document]:
        """Return the documents that exist of these ids, in no particular order."""
        now = time.time_ns() // 1_000_000
        found = await self._find(tenant, list(dict.fromkeys(ids)), times=True) if ids else []
        return [document for document in found if document.get("expires", now + 1) > now]

    async def query(
        self, tenant: str, query: EntityQuery, *, limit: int, offset: int = 0, count: bool = False, times: bool = True
    ) -> Page:
        """Return the documents that match, in the query's order; see `storage.reads.Reader`."""
        with translated():
            async with asyncio.timeout(self._timeout):
                if needs_ranking(query.order):
                    return await self._ranked(tenant, query, limit=limit, offset=offset, count=count)
                matches = residual(query)
                if matches is not None:
                    return await self._refined(
                        tenant, query, matches, limit=limit, offset=offset, count=count, times=times
                    )
                return await self._plain(tenant, query, limit=limit, offset=offset, count=count, times=times)

    async def _plain(
        self, tenant: str, query: EntityQuery, *, limit: int, offset: int, count: bool, times: bool
    ) -> Page:
        """Answer a query whose filter says it all.

        What has expired and is not swept yet (4.22) is left out here, in memory: as a part of the filter it would keep
        MongoDB from answering out of the index alone.
        """
        now = query.now
        members = await self._indexes.members(tenant) if self._indexes is not None and query.q is not None else {}
        where = to_filter(query if now is None else replace(query, now=None), members=members)
        total: int | None = None
        if count:
            total = await count_of(self._databases, tenant, where)
        documents = (
            []
            if not limit or total == 0
            else await self.pages.find(tenant, where, to_sort(query.order), limit=limit, offset=offset, times=times)
        )
        if now is not None:
            documents = [one for one in documents if "expires" not in one or one["expires"] > now]
        return Page(documents, total)

    async def _ranked(self, tenant: str, query: EntityQuery, *, limit: int, offset: int, count: bool) -> Page:
        """Answer a query with an order that MongoDB cannot follow: its ids are ranked in memory."""
        ids = await ranked_ids(self._databases.of(tenant)[ENTITIES], query)
        page = ids[offset : offset + limit]
        documents = await in_order(self._databases, tenant, page, times=True)
        return Page(documents, len(ids) if count else None)

    async def _refined(
        self,
        tenant: str,
        query: EntityQuery,
        matches: Callable[[Document], bool],
        *,
        limit: int,
        offset: int,
        count: bool,
        times: bool,
    ) -> Page:
        """Answer a query whose filter lets too much through: what it finds is matched once more in memory.

        Of the candidates only what the test looks at is read, and the documents of the page follow. The first page
        around a place has a shorter way (`nearby`).
        """
        geo_only = query.geo is not None and residual(replace(query, geo=None)) is None
        nearest_first = await self._nearest_first(tenant, query)
        if nearest_first and limit and not offset and not count:
            documents = await self._nearby.find(tenant, query, limit, times=times)
            if documents is not None:
                return Page(documents)
        where = to_filter(query, nearest_first=nearest_first)
        fields = {f"attrs.{query.geo.attribute}": 1} if query.geo is not None and geo_only else projection()
        find: dict[str, Any] = {"filter": where, "projection": fields}
        if not nearest_first:
            find["sort"] = to_sort(query.order) or BY_ID
        ids: list[str] = []
        total = 0
        of_points = nearest_first and await self._nearby.of_points(tenant, query)
        async with aclosing(self._rows(tenant, find)) as rows:
            async for row in in_order_of_distance(rows, query.geo) if query.geo and of_points else rows:
                if not matches(row):
                    continue
                total += 1
                if offset < total <= offset + limit:
                    ids.append(row["_id"])
                if len(ids) == limit and not count:
                    break
        documents = await in_order(self._databases, tenant, ids, times=times)
        return Page(documents, total if count else None)

    async def _nearest_first(self, tenant: str, query: EntityQuery) -> bool:
        """Tell whether a query is best answered from its place outward, the nearest first (`filters.to_filter`).

        So it is where only a place and a frequent type are asked for, and no order: MongoDB then looks at few more than
        are wanted. A rare type, or any other condition, may be the better way to begin.
        """
        others = (query.ids, query.id_pattern, query.selectors, query.attrs, query.q, query.scope, query.order)
        if nearest(query.geo) is None or any(others):
            return False
        return await self._frequent.many(tenant, query.types)

    async def _rows(self, tenant: str, find: dict[str, Any]) -> AsyncGenerator[Document, None]:
        """Yield what a find command finds, in batches; ends its cursor when nobody wants more."""
        command = {"find": ENTITIES, **find, "batchSize": STREAM_PAGE, "allowDiskUse": True}
        async with aclosing(batches_of(self._databases, tenant, command)) as batches:
            async for batch in batches:
                for row in batch:
                    yield row

    async def stream(self, tenant: str, query: EntityQuery) -> AsyncIterator[Document]:
        """Yield every document that matches, in the order of ids."""
        where, matches = to_filter(query), residual(query)
        with translated():
            async for row in self._databases.of(tenant)[ENTITIES].find(where).sort("_id", 1).batch_size(STREAM_PAGE):
                document = fill_in(row)
                if matches is None or matches(document):
                    yield document

    async def explain(self, tenant: str, query: EntityQuery, *, limit: int) -> dict[str, Any]:
        """Return how MongoDB finds the first page of a query: index, keys and documents looked at, time in ms.

        Also the filter itself, and whether what it finds is tested once more or ranked in memory. What is near a place
        is told as MongoDB's own search finds it, which a circle mostly spares (`nearby`).
        """
        members = await self._indexes.members(tenant) if self._indexes is not None else {}
        with translated():
            nearest_first = await self._nearest_first(tenant, query)
            where = to_filter(replace(query, now=None), members=members, nearest_first=nearest_first)
            find = {"find": ENTITIES, "filter": where, "limit": limit}
            if not nearest_first:
                find["sort"] = to_sort(query.order) or BY_ID
            reply = await self._databases.of(tenant).command({"explain": find, "verbosity": "executionStats"})
        statistics = reply["executionStats"]
        return {
            "indexes": sorted(_indexes_in(statistics["executionStages"])) or ["none: all entities are looked at"],
            "keysExamined": statistics["totalKeysExamined"],
            "entitiesExamined": statistics["totalDocsExamined"],
            "entitiesFound": statistics["nReturned"],
            "milliseconds": statistics["executionTimeMillis"],
            "testedAgainInMemory": residual(query) is not None,
            "rankedInMemory": needs_ranking(query.order),
            "filter": where,
        }

    async def type_names(self, tenant: str) -> list[str]:
        """Return the entity types (IRIs) of which entities exist."""
        with translated():
            async with asyncio.timeout(self._timeout):
                return await type_names(self._databases, tenant)

    async def count_of_type(self, tenant: str, type_iri: str) -> int:
        """Return how many entities of a type exist."""
        with translated():
            async with asyncio.timeout(self._timeout):
                return await count_of(self._databases, tenant, {KEYS: type_iri})

    async def usage(self, tenant: str, *, type_iri: str | None = None, attribute: str | None = None) -> list[Usage]:
        """Return which attributes entities have, by type; of one type or one attribute only if it is given."""
        where: dict[str, Any] = {}
        if type_iri is not None:
            where[KEYS] = type_iri
        if attribute is not None:
            where["attrs." + attribute] = {"$exists": True}
        pipeline: list[Mapping[str, Any]] = [
            {"$match": where},
            {"$project": {"type": 1, "attrs": {"$objectToArray": "$attrs"}}},
            {"$unwind": "$type"},
            {"$unwind": "$attrs"},
        ]
        if type_iri is not None:
            pipeline.append({"$match": {"type": type_iri}})
        if attribute is not None:
            pipeline.append({"$match": {"attrs.k": attribute}})
        pipeline += [
            {"$group": {"_id": {"t": "$type", "a": "$attrs.k", "k": "$attrs.v.type"}, "n": {"$sum": 1}}},
            {"$sort": {"_id.t": 1, "_id.a": 1}},
        ]
        found: dict[tuple[str, str], tuple[list[str], int]] = {}
        with translated():
            async with asyncio.timeout(self._timeout):
                async for row in await self._databases.of(tenant)[ENTITIES].aggregate(pipeline, allowDiskUse=True):
                    key = (row["_id"]["t"], row["_id"]["a"])
                    kinds, entities = found.get(key, ([], 0))
                    seen = row["_id"]["k"]
                    kinds = [
                        *kinds,
                        *(kind for kind in (seen if isinstance(seen, list) else [seen]) if kind not in kinds),
                    ]
                    found[key] = (kinds, entities + row["n"])
        return [
            Usage(key[0], key[1], tuple(dict.fromkeys(kinds)), entities) for key, (kinds, entities) in found.items()
        ]

    async def attribute_count(self, tenant: str, attribute: str) -> int:
        """Return how many instances of an attribute exist, over all entities."""
        path = "$attrs." + attribute
        size = {"$cond": [{"$isArray": path}, {"$size": path}, 1]}
        counting: list[Mapping[str, Any]] = [
            {"$match": {"attrs." + attribute: {"$exists": True}}},
            {"$group": {"_id": None, "n": {"$sum": size}}},
        ]
        with translated():
            async with asyncio.timeout(self._timeout):
                rows = await (await self._databases.of(tenant)[ENTITIES].aggregate(counting)).to_list(None)
        return int(rows[0]["n"]) if rows else 0

    async def due(self, now: int) -> AsyncIterator[tuple[str, list[str]]]:
        """Yield (tenant, ids of entities that have expired or have attributes that have), some at a time."""
        for tenant in await self._databases.tenants():
            with translated():
                found = self._databases.of(tenant)[ENTITIES].find(due_before(now), {"_id": 1}).limit(STREAM_PAGE)
                ids = [row["_id"] async for row in found]
            if ids:
                yield tenant, ids

    async def close(self) -> None:
        """Wait for the reads that are under way."""
        await self.pages.close()
        await self._nearby.close()
        await self._gets.close()


def _indexes_in(stage: dict[str, Any]) -> set[str]:
    """Return the names of the indexes that a plan uses."""
    found = {stage["indexName"]} if "indexName" in stage else set()
    for inner in [stage["inputStage"]] if "inputStage" in stage else stage.get("inputStages", []):
        found |= _indexes_in(inner)
    return found
