"""The nearest entities of a frequent type around a place.

MongoDB has a search of its own for that ($nearSphere), which costs it a millisecond before it finds anything. All that
stands in a circle costs half, so a circle is asked for instead, as large as the page needs where entities stand as
dense as they did when somebody last asked there, and what it gives is put in order here. A circle finds points alone:
for a type that has other geometries, and where the circle held too few or too many, MongoDB's search is used.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from tsunagu.broker.errors import TooManyResults
from tsunagu.broker.query.ast import EntityQuery
from tsunagu.broker.query.geo_match import compile_distance, compile_geo
from tsunagu.broker.storage.mongo.areas import AREAS, DONE
from tsunagu.broker.storage.mongo.filters import to_filter
from tsunagu.broker.storage.mongo.gathered import GatheredReads
from tsunagu.broker.storage.mongo.geo_filters import circle, nearest
from tsunagu.broker.storage.mongo.indexes import PLACE
from tsunagu.broker.storage.mongo.keys import KEYS
from tsunagu.broker.storage.mongo.pages import WITHOUT_TIMES, rows_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tsunagu.broker.changes import Document
    from tsunagu.broker.query.ast import GeoQuery
    from tsunagu.broker.storage.mongo.client import Databases
    from tsunagu.broker.storage.mongo.conditions import Condition

TOO_MANY = 3  # times what is wanted: a circle is not read beyond
SPARE = 8
CELLS_A_DEGREE = 50  # what is known of density is known of places about two kilometres wide
MOST_KEPT = 10_000
LEAST_RADIUS = 1.0  # metres
DECIMALS = 3  # of the metres by which entities are put in order; those that stand as far follow by id
MOST_TIED = 5000  # that stand as far: beyond, their order is MongoDB's
INERTIA = 0.7  # part of what was known of a density in what is known after a circle that served


class Nearby:
    """Finds the nearest first, for queries that ask for a frequent type and a place and nothing else."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self._areas = GatheredReads(self._find_areas)
        self._densities: dict[tuple[str, str, int, int], float] = {}  # entities in a square metre

    async def of_points(self, tenant: str, query: EntityQuery) -> bool:
        """Tell whether a query asks for one type whose entities all have points as locations. Raises PyMongoError."""
        return await self._all_points(tenant, to_filter(EntityQuery(types=query.types)))

    async def _all_points(self, tenant: str, where: Condition) -> bool:
        type_iri = where.get(KEYS)
        return isinstance(type_iri, str) and await self._areas.get(tenant, type_iri, times=False) is None

    async def find(self, tenant: str, query: EntityQuery, limit: int, *, times: bool) -> list[Document] | None:
        """Return the nearest that match, at most `limit`; None where that is not to be said without more ado.

        `query` has a geoquery for which `geo_filters.nearest` is not None, and else types at most. Raises PyMongoError.
        """
        geo = query.geo
        assert geo is not None
        where = to_filter(replace(query, geo=None))
        if not await self._all_points(tenant, where):
            return await self._first(tenant, where, geo, limit, times=times)
        longitude, latitude = geo.geometry["coordinates"][:2]
        cell = (tenant, where[KEYS], round(longitude * CELLS_A_DEGREE), round(latitude * CELLS_A_DEGREE))
        known = self._densities.get(cell, 0.0)
        radius = _radius(geo, limit, known)
        found: list[Document] | None = None
        with contextlib.suppress(TooManyResults):  # a circle may hold more than is wanted, of large entities
            found, density = await self._circled(tenant, where, geo, radius, limit, times=times)
        if found is None:
            found, density = await self._searched(tenant, where, geo, limit, times=times)
        elif known:
            density = INERTIA * known + (1 - INERTIA) * density
        if len(self._densities) >= MOST_KEPT:
            self._densities.clear()
        self._densities[cell] = density
        return found

    async def _circled(
        self, tenant: str, where: Condition, geo: GeoQuery, radius: float, limit: int, *, times: bool
    ) -> tuple[list[Document] | None, float]:
        """Return the nearest within a circle, None if it held too many or too few, and how dense they stand."""
        most = TOO_MANY * limit + SPARE
        command: dict[str, Any] = {"filter": where | circle(geo, radius), "limit": most, "hint": PLACE}
        if not times:
            command["projection"] = WITHOUT_TIMES
        rows = await rows_of(self._databases, tenant, command, most)
        density = len(rows) / (math.pi * radius * radius)
        if len(rows) == most:
            return None, density
        found = [row for _, _, metres, row in _ranked(rows, geo) if metres <= radius][:limit]
        return (found if len(found) == limit or radius == geo.max_distance else None), density

    async def _searched(
        self, tenant: str, where: Condition, geo: GeoQuery, limit: int, *, times: bool
    ) -> tuple[list[Document] | None, float]:
        """Return the nearest points by MongoDB's search, and how dense they stand; None if it cannot tell the last one.

        It cannot where more stand as far as the last one than it was asked for, since those follow by id.
        """
        farthest = geo.max_distance or 0.0
        rows = await self._near(tenant, where, geo, limit + 1, times=times)
        ranked = _ranked(rows, geo)
        reach = max(ranked[-1][0], LEAST_RADIUS) if len(rows) > limit else farthest
        found = [row for _, _, metres, row in ranked if metres <= farthest][:limit]
        told = len(rows) <= limit or (len(found) == limit and ranked[limit - 1][0] < ranked[limit][0])
        return (found if told else None), len(rows) / (math.pi * reach * reach)

    async def _first(
        self, tenant: str, where: Condition, geo: GeoQuery, limit: int, *, times: bool
    ) -> list[Document] | None:
        """Return the first of whatever shape that MongoDB finds, in its order; None if too few of them match."""
        rows = await self._near(tenant, where, geo, limit + 1, times=times)
        matches = compile_geo(geo)
        found = [row for row in rows if matches(row)][:limit]
        return found if len(found) == limit or len(rows) <= limit else None

    async def _near(self, tenant: str, where: Condition, geo: GeoQuery, limit: int, *, times: bool) -> list[Document]:
        command: dict[str, Any] = {"filter": where | (nearest(geo) or {}), "limit": limit}
        if not times:
            command["projection"] = WITHOUT_TIMES
        return await rows_of(self._databases, tenant, command, limit)

    async def _find_areas(self, tenant: str, ids: list[str], *, times: bool) -> list[Document]:
        """Return those of the types that may have entities whose location is no point (`areas`)."""
        del times
        command = {"find": AREAS, "filter": {"_id": {"$in": [DONE, *ids]}}, "batchSize": len(ids) + 2}
        found: list[Document] = (await self._databases.read(tenant, command))["cursor"]["firstBatch"]
        looked_through = any(one["_id"] == DONE for one in found)
        return found if looked_through else [{"_id": one} for one in ids]

    async def close(self) -> None:
        """Wait for what is under way."""
        await self._areas.close()


def _ranked(rows: list[Document], geo: GeoQuery) -> list[tuple[float, str, float, Document]]:
    """Return the rows in order: what they are put in order by, their distance in metres, themselves."""
    distance = compile_distance(geo)
    measured = ((distance(row), row) for row in rows)
    return sorted(((round(far, DECIMALS), row["_id"], far, row) for far, row in measured), key=itemgetter(0, 1))


def _radius(geo: GeoQuery, limit: int, density: float) -> float:
    """Return the radius, in metres, of a circle that likely holds `limit` entities; at most what was asked for."""
    farthest = geo.max_distance or 0.0
    if not density:
        return farthest
    ample = limit + 2 * math.sqrt(limit)
    return min(farthest, max(math.sqrt(ample / (math.pi * density)), LEAST_RADIUS))


async def in_order_of_distance(rows: AsyncIterator[Document], geo: GeoQuery) -> AsyncIterator[Document]:
    """Yield points that come nearest first; those that stand as far as each other by id."""
    distance = compile_distance(geo)
    tied: list[Document] = []
    metres = 0.0
    async for row in rows:
        far = round(distance(row), DECIMALS)
        if far != metres or len(tied) >= MOST_TIED:
            for one in sorted(tied, key=itemgetter("_id")):
                yield one
            tied, metres = [], far
        tied.append(row)
    for one in sorted(tied, key=itemgetter("_id")):
        yield one
