"""Entity queries in memory: a query becomes a function of a stored document (5.7.2.4; subscriptions, 5.8.6).

It reads the same documents and gives the same answers as the MongoDB filter (tests/contract/test_query_readers.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsunagu.broker.query.ast import And, Linked, Or
from tsunagu.broker.query.geo_match import compile_geo
from tsunagu.broker.query.q_match import compile_q
from tsunagu.broker.query.scope import compile_scope
from tsunagu.schemas.entity import CORE_NAMESPACE, stored_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tsunagu.broker.query.ast import EntityQuery, EntitySelector, QNode, TypeSelection
    from tsunagu.schemas.entity import Document

    Matcher = Callable[[Document], bool]

SYSTEM_ATTRIBUTES = frozenset(
    stored_name(CORE_NAMESPACE + term) for term in ("createdAt", "modifiedAt", "deletedAt", "expiresAt", "observedAt")
)


def compile_matcher(query: EntityQuery) -> Matcher:
    """Return whether a document meets all conditions of the query, as closures, cheap ones first."""
    parts = list(_parts(query))
    if not parts:
        return lambda _: True
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 2:  # noqa: PLR2004 - the common case, type and q, without a loop
        first, second = parts
        return lambda document: first(document) and second(document)
    return lambda document: all(part(document) for part in parts)


def _parts(query: EntityQuery) -> Iterator[Matcher]:
    if query.ids is not None:
        ids = frozenset(query.ids)
        yield lambda document: document["_id"] in ids
    if query.types is not None:
        yield compile_types(query.types)
    if query.selectors:
        selectors = tuple(map(_selector, query.selectors))
        yield lambda document: any(selector(document) for selector in selectors)
    if query.id_pattern is not None:
        search = query.id_pattern.search
        yield lambda document: search(document["_id"])
    if query.now is not None:
        now = query.now
        yield lambda document: "expires" not in document or document["expires"] > now
    if query.attrs is not None:
        attrs = query.attrs
        yield lambda document: any(name in document["attrs"] for name in attrs)
    if query.scope is not None:
        scopes = compile_scope(query.scope)
        yield lambda document: scopes(document.get("scope", ()))
    if query.q is not None:
        yield compile_q(query.q)
    if query.geo is not None:
        yield compile_geo(query.geo)


def compile_types(selection: TypeSelection) -> Matcher:
    """Return whether a document has all types of any alternative."""
    alternatives = selection.alternatives
    if len(alternatives) == 1 and len(alternatives[0]) == 1:
        wanted = alternatives[0][0]
        return lambda document: wanted in document["type"]
    return lambda document: any(all(wanted in document["type"] for wanted in types) for types in alternatives)


def _selector(selector: EntitySelector) -> Matcher:
    parts: list[Matcher] = []
    if selector.ids is not None:
        ids = frozenset(selector.ids)
        parts.append(lambda document: document["_id"] in ids)
    if selector.types is not None:
        parts.append(compile_types(selector.types))
    if selector.id_pattern is not None:
        search = selector.id_pattern.search
        parts.append(lambda document: search(document["_id"]))
    return parts[0] if len(parts) == 1 else lambda document: all(part(document) for part in parts)


def attributes_of(query: EntityQuery) -> frozenset[str]:
    """Return the stored names of the entity's attributes that decide whether it matches: of q, geoquery and attrs.

    Members of the entity itself and system times, such as modifiedAt, are no attributes (5.7.2.4 asks for another one);
    a linked term counts with its Relationship.
    """
    names = set(query.attrs or ())
    if query.q is not None:
        names.update(_names(query.q))
    if query.geo is not None:
        names.add(query.geo.attribute)
    return frozenset(names) - SYSTEM_ATTRIBUTES


def _names(node: QNode) -> Iterator[str]:
    if isinstance(node, And | Or):
        for part in node.parts:
            yield from _names(part)
    else:
        yield from node.path.names[:1]


def link_depth(node: QNode | None) -> int:
    """Return how many Relationships a query follows at most, to be compared with joinLevel: 0 without braces."""
    if isinstance(node, And | Or):
        return max(map(link_depth, node.parts))
    return 1 + link_depth(node.inner) if isinstance(node, Linked) else 0
