"""Orders that MongoDB cannot follow (4.23): it finds the entities, and they are ranked in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.broker.errors import TooManyResults
from tsunagu.broker.query.ranking import compile_ranker, ordered_ids, texts_of
from tsunagu.broker.storage.mongo.collation import places_of
from tsunagu.broker.storage.mongo.filters import order_fields, residual, to_filter
from tsunagu.broker.storage.mongo.usual_times import fill_in, projection

if TYPE_CHECKING:
    from pymongo.asynchronous.collection import AsyncCollection

    from tsunagu.broker.query.ast import EntityQuery

MAX_ENTITIES = 200_000


async def ranked_ids(entities: AsyncCollection[dict[str, Any]], query: EntityQuery) -> list[str]:
    """Return the ids of all entities that match, in the query's order (for which `filters.needs_ranking` holds).

    Raises TooManyResults if more than MAX_ENTITIES match.
    """
    matches, rank = residual(query), compile_ranker(query.order)
    fields = order_fields(query.order)
    if matches is not None:
        fields = {name: 1 for name in fields if not name.startswith(("attrs.", "sys."))} | projection()
    rows = []
    async with entities.find(to_filter(query), fields) as cursor:
        async for row in cursor:
            document = fill_in(row)
            if matches is not None and not matches(document):
                continue
            rows.append(rank({"attrs": {}, **document}))
            if len(rows) > MAX_ENTITIES:
                raise TooManyResults(f"orderBy: at most {MAX_ENTITIES} entities can be put in order; narrow the query")
    places = await places_of(entities.database, texts_of(rows), query.collation)
    return ordered_ids(rows, query.order, places)
