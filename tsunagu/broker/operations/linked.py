"""Following relationships: queries over linked entities (4.9) and the retrieval of linked entities (4.5.23)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsunagu.broker.errors import TooComplexQuery, TooManyResults
from tsunagu.broker.query.linked import resolve_linked
from tsunagu.broker.representations.joins import targets

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tsunagu.broker.changes import Document
    from tsunagu.broker.operations.entities import Entities
    from tsunagu.broker.query.ast import EntityQuery

MOST_MATCHES = 10_000
MOST_LINKED = 10_000


async def without_links(entities: Entities, tenant: str, query: EntityQuery) -> EntityQuery:
    """Return a query with each condition on linked entities replaced by the ids of those that meet it.

    Raises TooComplexQuery when more than MOST_MATCHES entities meet one of them.
    """

    async def find(inner: EntityQuery) -> Collection[str]:
        page = await entities.query(tenant, inner, limit=MOST_MATCHES + 1, times=False)
        if len(page.documents) > MOST_MATCHES:
            raise TooComplexQuery(f"q: more than {MOST_MATCHES} linked entities meet the condition in braces")
        return [document["_id"] for document in page.documents]

    return await resolve_linked(query, find)


async def linked_documents(
    entities: Entities, tenant: str, documents: Iterable[Document], *, depth: int, seen: Collection[str] = ()
) -> dict[str, Document]:
    """Return the documents that relationships lead to from the given ones, `depth` steps far, by id.

    Entities in `seen` are not looked up. Raises TooManyResults above MOST_LINKED.
    """
    known: dict[str, Document] = {}
    frontier = list(documents)
    reached = {document["_id"]: document for document in frontier}
    for _ in range(depth):
        wanted: dict[str, None] = {}
        for document in frontier:
            for value in document["attrs"].values():
                for uri in targets(value):
                    if uri in reached:
                        known[uri] = reached[uri]
                    elif uri not in seen:
                        wanted[uri] = None
        if not wanted:
            break
        if len(reached) + len(wanted) > MOST_LINKED:
            raise TooManyResults(f"the relationships lead to more than {MOST_LINKED} entities; lower joinLevel")
        frontier = await entities.retrieve_many(tenant, list(wanted))
        for document in frontier:
            reached[document["_id"]] = known[document["_id"]] = document
    return {uri: document for uri, document in known.items() if uri not in seen}
