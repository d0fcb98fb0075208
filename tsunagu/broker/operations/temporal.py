"""Temporal evolutions of entities: reading (5.7.3, 5.7.4) and providing them (5.6.11 to 5.6.16), apart from HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from tsunagu.broker.errors import ResourceNotFound
from tsunagu.broker.query.ast import EntityQuery
from tsunagu.broker.query.match import attributes_of, compile_matcher
from tsunagu.broker.query.scope import compile_scope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Sequence

    from tsunagu.broker.changes import Document
    from tsunagu.broker.query.ast import ScopeSelection, TemporalQuery
    from tsunagu.broker.storage.history import Evolution, Fact, History, Wish

Result = TypeVar("Result")
CHUNK = 200
AT_ONCE = 8
EVERYTHING = 2**31
EVER = 2**62


@dataclass(frozen=True, slots=True)
class EvolutionPage:
    """Part of a query's result; `more` tells that others follow, `count` how many there are in all, if asked for."""

    evolutions: list[Evolution]
    more: bool
    count: int | None = None


class Temporal:
    """Operations that read temporal evolutions. All raise NgsiError subclasses, Unavailable among them."""

    def __init__(self, history: History) -> None:
        self._history = history

    async def retrieve(self, tenant: str, entity_id: str, wish: Wish) -> Evolution:
        """Return what is asked for of one evolution (5.7.3). Raises ResourceNotFound if there is none."""
        evolution = await self._history.evolution(tenant, entity_id, wish)
        if evolution is None:
            raise ResourceNotFound(f"there is no temporal evolution of an entity {entity_id}")
        return evolution

    def every_fact(self, tenant: str, evolution: Evolution, wish: Wish) -> AsyncIterator[Fact]:
        """Yield all instances that a wish takes of an evolution, regardless of `limit`, oldest first."""
        return self._history.facts(tenant, evolution.id, wish)

    async def query(
        self,
        tenant: str,
        query: EntityQuery,
        wish: Wish,
        *,
        limit: int,
        offset: int = 0,
        count: bool = False,
        descending: bool = False,
    ) -> EvolutionPage:
        """Return one page of the evolutions that match (5.7.4), by id; limit 0 only counts."""
        total: int | None = None
        if _is_plain(query, wish):
            total = await self._history.count(tenant, query, wish) if count else None
            wanted = limit + 1 if limit else 0
            ids = (
                await self._history.page(tenant, query, wish, limit=wanted, offset=offset, descending=descending)
                if wanted
                else []
            )
        else:
            ids = []
            seen = 0
            async for entity_id in self.matching(tenant, query, wish, descending=descending):
                seen += 1
                if offset < seen <= offset + limit + 1:
                    ids.append(entity_id)
                if not count and len(ids) > limit:
                    break
            total = seen if count else None
        found = await self._each(tenant, ids[:limit], query, wish)
        return EvolutionPage([one for one in found if one is not None], len(ids) > limit, total)

    async def matching(
        self, tenant: str, query: EntityQuery, wish: Wish, *, descending: bool = False
    ) -> AsyncIterator[str]:
        """Yield the ids of all entities whose evolution matches, in order."""
        offset = 0
        while True:
            ids = await self._history.page(tenant, query, wish, limit=CHUNK, offset=offset, descending=descending)
            offset += len(ids)
            if _is_plain(query, wish):
                kept = ids
            else:
                kept = [
                    one for one, fits in zip(ids, await self._tested(tenant, ids, query, wish), strict=True) if fits
                ]
            for entity_id in kept:
                yield entity_id
            if len(ids) < CHUNK:
                return

    async def _tested(self, tenant: str, ids: Sequence[str], query: EntityQuery, wish: Wish) -> list[bool]:
        """Return for each evolution whether it meets q, geoquery, scope query and datasetId (5.7.4.4)."""
        values = EntityQuery(q=query.q, geo=query.geo)
        matches = compile_matcher(values)
        looked_at = replace(wish, attrs=attributes_of(values), datasets=None, last=None, limit=EVERYTHING)
        once = replace(wish, last=None, limit=1)

        async def fits(entity_id: str) -> bool:
            if query.q is not None or query.geo is not None:
                evolution = await self._history.evolution(tenant, entity_id, looked_at)
                if evolution is None or not matches(_document(evolution)):
                    return False
            if query.scope is None and wish.datasets is None and wish.member != "c":
                return True
            narrowed = await self._narrowed(tenant, entity_id, query.scope, once)
            evolution = None if narrowed is None else await self._history.evolution(tenant, entity_id, narrowed)
            return evolution is not None and bool(evolution.facts)

        return await _some_at_once([fits(one) for one in ids])

    async def _each(self, tenant: str, ids: Sequence[str], query: EntityQuery, wish: Wish) -> list[Evolution | None]:
        """Return the evolutions with these ids, of a scope query only what happened while the scope matched."""

        async def one(entity_id: str) -> Evolution | None:
            narrowed = await self._narrowed(tenant, entity_id, query.scope, wish)
            return None if narrowed is None else await self._history.evolution(tenant, entity_id, narrowed)

        return await _some_at_once([one(entity_id) for entity_id in ids])

    async def _narrowed(self, tenant: str, entity_id: str, scope: ScopeSelection | None, wish: Wish) -> Wish | None:
        """Return the wish for the time in which the entity's scope matched; None if it never did (4.18, C.5.16)."""
        if scope is None:
            return wish
        spans = valid_spans(await self._history.scopes(tenant, entity_id), scope, wish.window)
        return replace(wish, spans=spans) if spans else None


def _is_plain(query: EntityQuery, wish: Wish) -> bool:
    """Return whether the store can tell what matches without looking at values."""
    conditions = (query.q, query.geo, query.scope, wish.datasets)
    return all(condition is None for condition in conditions) and wish.member != "c"


def _document(evolution: Evolution) -> Document:
    """Return a document whose attributes have all instances of an evolution, for the matcher of queries."""
    attrs: dict[str, list[object]] = {}
    times: dict[str, list[object]] = {}
    for fact in evolution.facts:
        if "d" not in fact.times:
            attrs.setdefault(fact.attribute, []).append(fact.instance)
            times.setdefault(fact.attribute, []).append(fact.times)
    return {
        "_id": evolution.id,
        "type": evolution.types,
        "attrs": attrs,
        "sys": times,
        "created": evolution.created or 0,
        "modified": evolution.modified or 0,
    }


def valid_spans(
    scopes: Sequence[Fact], selection: ScopeSelection, window: TemporalQuery | None
) -> tuple[tuple[int, int], ...]:
    """Return the spans of time, start <= t < end in epoch ms, in which a scope that matches was valid.

    A scope is valid from when it was set until it is replaced or removed (4.18). Spans outside the window are left out.
    """
    matches = compile_scope(selection)
    low = 0 if window is None or window.start is None else window.start
    high = EVER if window is None or window.end is None else window.end
    moments = [fact.moment(None) or 0 for fact in scopes]
    spans = []
    for fact, start, end in zip(scopes, moments, [*moments[1:], EVER][: len(moments)], strict=True):
        if matches(fact.instance["value"]) and max(start, low) < min(end, high):
            spans.append((start, end))
    return tuple(spans)


async def _some_at_once(work: Sequence[Awaitable[Result]]) -> list[Result]:
    """Await all, a few at once; return their results in order."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(item: Awaitable[Result]) -> Result:
        async with gate:
            return await item

    return list(await asyncio.gather(*map(one, work)))
