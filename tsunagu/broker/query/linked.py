"""Linked terms of q, `sensor{Device:humidity}==40` (4.9, EXAMPLES 13 and 14).

A reader of one document cannot follow a Relationship. So the terms are resolved before: the entities that meet the
inner condition are looked up, innermost first, and the term becomes "the Relationship has one of these ids".
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tsunagu.broker.query.ast import And, EntityQuery, Linked, Or, PointsTo
from tsunagu.broker.query.match import link_depth
from tsunagu.schemas.entity import instances

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

    from tsunagu.broker.query.ast import QNode
    from tsunagu.schemas.entity import Document

    Find = Callable[[EntityQuery], Awaitable[Collection[str]]]


async def resolve_linked(query: EntityQuery, find: Find, *, documents: Sequence[Document] | None = None) -> EntityQuery:
    """Return the query with each linked term replaced by the ids of the entities that meet it.

    `find` returns the ids of the entities that match a query, which has `types`, `q` and `now`, and `ids` where only
    some entities come into question. With `documents`, the answer serves to match these documents only (a change that
    a subscription looks at): then only entities that they point to are looked up.
    """
    if not link_depth(query.q):
        return query
    assert query.q is not None
    return replace(query, q=await _resolve(query.q, query, find, documents))


async def _resolve(node: QNode, query: EntityQuery, find: Find, documents: Sequence[Document] | None) -> QNode:
    if isinstance(node, And | Or):
        return type(node)(tuple([await _resolve(part, query, find, documents) for part in node.parts]))
    if not isinstance(node, Linked):
        return node
    candidates = None if documents is None else tuple(sorted(targets_of(node.path.names, documents)))
    if candidates == ():
        return PointsTo(node.path, frozenset())
    inner = await _resolve(node.inner, query, find, None)
    found = await find(EntityQuery(ids=candidates, types=node.types, q=inner, now=query.now))
    return PointsTo(node.path, frozenset(found))


def targets_of(names: tuple[str, ...], documents: Iterable[Document]) -> set[str]:
    """Return the ids that the Relationships or ListRelationships at a path of stored names point to."""
    holders: list[dict[str, Any]] = [document["attrs"] for document in documents]
    for name in names:
        holders = [instance for holder in holders if name in holder for instance in instances(holder[name])]
    ids: set[str] = set()
    for holder in holders:
        for target in (holder.get("object", ()), holder.get("objectList", ())):
            ids.update([target] if isinstance(target, str) else target)
    return ids
