"""Entity queries as MongoDB commands: filter, what is left to test in memory, order (5.7.2.4).

A filter may let more documents through than the query means, never fewer: then `residual` returns the test that the
caller applies to each document that MongoDB finds. Both readers of a query give the same answers
(tests/contract/test_query_readers.py).
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from bson.regex import Regex

from tsunagu.broker.query.ast import EntityQuery
from tsunagu.broker.query.match import compile_matcher
from tsunagu.broker.storage.mongo.conditions import all_of, any_of
from tsunagu.broker.storage.mongo.geo_filters import geo_condition, nearest
from tsunagu.broker.storage.mongo.keys import KEYS
from tsunagu.broker.storage.mongo.q_filters import is_exact, q_condition
from tsunagu.broker.storage.mongo.usual_times import projection

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from tsunagu.broker.query.ast import EntitySelector, GeoQuery, OrderKey, ScopePattern, ScopeSelection, TypeSelection
    from tsunagu.broker.query.pattern import Pattern
    from tsunagu.broker.storage.mongo.conditions import Condition
    from tsunagu.schemas.entity import Document

_NONE_KNOWN: Mapping[str, Collection[str]] = MappingProxyType({})
_ORDER_MEMBERS = {"id": "_id", "created": "created", "modified": "modified"}


def to_filter(
    query: EntityQuery,
    *,
    members: Mapping[str, Collection[str]] = _NONE_KNOWN,
    nearest_first: bool = False,
    types_in: str = KEYS,
) -> Condition:
    """Return the MongoDB filter of a query without linked terms.

    `members`: for attributes (stored names) that are known to be stored with certain value members only, those, e.g.
    {"…waterLevel": {"value"}}: the filter then asks for no others, so that an index on one path serves the query.
    `nearest_first`: a find without a sort may give the nearest first, where that is cheaper (`geo_filters.nearest`).
    `types_in`: the member that has the types, of documents that are no entities.
    """
    parts = [
        _ids(query.ids),
        _id_pattern(query.id_pattern),
        _types(query.types, types_in),
        any_of(_selector(one, types_in) for one in query.selectors) if query.selectors else {},
        {} if query.attrs is None else any_of({f"attrs.{name}": {"$exists": True}} for name in query.attrs),
        {} if query.scope is None else _scopes(query.scope),
        {} if query.q is None else q_condition(query.q, members),
        _geo(query.geo, nearest_first=nearest_first),
        {} if query.now is None else {"expires": {"$not": {"$lte": query.now}}},
    ]
    return all_of(part for part in parts if part)


def residual(query: EntityQuery) -> Callable[[Document], bool] | None:
    """Return the test that what the filter finds must still pass, None where the filter says it all.

    The test looks at `attrs` and `sys` only.
    """
    q = None if query.q is None or is_exact(query.q) else query.q
    return None if q is None and query.geo is None else compile_matcher(EntityQuery(q=q, geo=query.geo))


def to_sort(order: Sequence[OrderKey]) -> dict[str, int] | None:
    """Return the sort by members that every document has, with the id last so that the order is total.

    None where there is no order, or one that MongoDB cannot follow (`needs_ranking`): of values of mixed types, of
    texts by a collation, by distance.
    """
    if not order or needs_ranking(order):
        return None
    sort = {_ORDER_MEMBERS[str(key.path.member)]: -1 if key.descending else 1 for key in reversed(order)}
    return {**dict(reversed(sort.items())), **({} if "_id" in sort else {"_id": 1})}


def needs_ranking(order: Sequence[OrderKey]) -> bool:
    """Return whether the order has to be found in memory, by `tsunagu.broker.query.ranking`."""
    return any(key.path.names or key.path.member not in _ORDER_MEMBERS for key in order)


def order_fields(order: Sequence[OrderKey]) -> dict[str, int]:
    """Return the projection with all that ranking looks at."""
    fields = {"_id": 1}
    for key in order:
        if not key.path.names:
            fields["_id" if key.path.member == "id" else str(key.path.member)] = 1
        elif key.path.is_time:
            fields |= projection(key.path.names[:1])
        else:
            fields[f"attrs.{key.path.names[0]}"] = 1
    return fields


def _geo(geo: GeoQuery | None, *, nearest_first: bool) -> Condition:
    if geo is None:
        return {}
    return (nearest(geo) if nearest_first else None) or geo_condition(geo)


def _ids(ids: Sequence[str] | None) -> Condition:
    if ids is None:
        return {}
    return {"_id": ids[0]} if len(ids) == 1 else {"_id": {"$in": list(ids)}}


def _id_pattern(pattern: Pattern | None) -> Condition:
    return {} if pattern is None else {"_id": {"$regex": pattern.pcre}}


def _types(selection: TypeSelection | None, member: str) -> Condition:
    if selection is None:
        return {}
    single = [types[0] for types in selection.alternatives if len(types) == 1]
    parts: list[Condition] = [{member: {"$all": list(types)}} for types in selection.alternatives if len(types) > 1]
    if single:
        parts.insert(0, {member: single[0] if len(single) == 1 else {"$in": single}})
    return any_of(parts)


def _selector(selector: EntitySelector, types_in: str) -> Condition:
    parts = (_ids(selector.ids), _id_pattern(selector.id_pattern), _types(selector.types, types_in))
    return all_of(part for part in parts if part)


def _scopes(selection: ScopeSelection) -> Condition:
    return any_of(all_of(map(_scope, patterns)) for patterns in selection.alternatives)


def _scope(pattern: ScopePattern) -> Condition:
    """Return the condition on the scopes (4.19): always of several keys, since a text alone is a type.

    MongoDB takes the beginning of a regular expression as bounds in the index, unless there is a "|" in it.
    """
    if not pattern.levels:
        return {KEYS: {"$in": [Regex("^/")]}}
    path = "".join(f"/{level}" for level in pattern.levels)
    levels = "".join("/[^/]+" if level == "+" else f"/{re.escape(level)}" for level in pattern.levels)
    itself: str | Regex[str] = Regex(f"^{levels}\\z") if "+" in pattern.levels else path
    return {KEYS: {"$in": [itself, Regex(f"^{levels}/")] if pattern.subtree else [itself]}}
