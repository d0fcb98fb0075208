"""From query parameters, or the Query in a body, to what an operation selects.

ETSI GS CIM 009 v1.9.1: 5.7.1, 5.7.2, 5.2.23, 6.4.3.2, 6.23. A Query in a body is first brought into the form that
read_query gives to parameters, so that both are read by the same code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import time_ns
from typing import TYPE_CHECKING, Any

from tsunagu.broker.errors import BadRequestData, ResourceNotFound
from tsunagu.broker.query.ast import ROOT_COLLATION, EntityQuery
from tsunagu.broker.query.collation import parse_collation
from tsunagu.broker.query.geo import parse_geo
from tsunagu.broker.query.match import attributes_of, compile_types, link_depth
from tsunagu.broker.query.order import parse_order
from tsunagu.broker.query.pattern import parse_pattern
from tsunagu.broker.query.projection import MEMBERS, parse_attributes, parse_projection
from tsunagu.broker.query.q import parse_q
from tsunagu.broker.query.scope import parse_scope
from tsunagu.broker.query.types import parse_types

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tsunagu.broker.api.call import Call
    from tsunagu.broker.api.services import Services
    from tsunagu.broker.changes import Document
    from tsunagu.broker.jsonld.context import Context
    from tsunagu.broker.query.ast import Collation, GeoQuery, OrderKey

GEO = ("georel", "geometry", "coordinates")
DEEPEST_JOIN = 10


@dataclass(frozen=True, slots=True)
class Join:
    """How linked entities are returned (4.5.23): `form` flat or inline, `depth` how far, `seen` ids met before."""

    form: str
    depth: int
    seen: frozenset[str]


def now_ms() -> int:
    """Return the time, epoch milliseconds."""
    return time_ns() // 1_000_000


def query_of(params: Mapping[str, Any], context: Context, *, depth: int = 0) -> EntityQuery:
    """Return the query that parameters describe; `depth` is how many relationships its q may follow.

    Raises BadRequestData: a malformed parameter, a query that is too wide (5.7.2.4) or too deep; TooComplexQuery.
    """
    if "csf" in params:
        parse_q(params["csf"], context, parameter="csf")  # no registrations yet: what it selects from is empty
    query = EntityQuery(
        ids=tuple(map(context.expand_id, params["id"])) if "id" in params else None,
        id_pattern=parse_pattern(params["idPattern"], parameter="idPattern") if "idPattern" in params else None,
        types=parse_types(params["type"], context) if "type" in params else None,
        selectors=params.get("entities", ()),
        attrs=parse_attributes(params["attrs"], context) if "attrs" in params else None,
        q=parse_q(
            params["q"],
            context,
            expand_values=params.get("expandValues", ()),
            json_keys=params.get("jsonKeys", ()),
        )
        if "q" in params
        else None,
        geo=geo_of(params, context),
        scope=parse_scope(params["scopeQ"]) if "scopeQ" in params else None,
        order=order_of(params, context),
        collation=collation_of(params),
        now=now_ms(),
    )
    if not picks_of_ids(params, context):
        check_width(params, query)
    query = with_picked(params, context, query)
    if link_depth(query.q) > depth:
        raise BadRequestData(
            f"q: it follows relationships {link_depth(query.q)} deep, and the request allows {depth}; "
            "set join and joinLevel accordingly"
        )
    return query


def with_picked(params: Mapping[str, Any], context: Context, query: EntityQuery) -> EntityQuery:
    """Return the query for entities that pick leaves something of: they have one of the attributes it names (4.21).

    So pages are full and the count is right, where pick names attributes only.
    """
    if "pick" not in params or query.attrs is not None:
        return query
    names = parse_projection(params["pick"], context, parameter="pick")
    return query if names.keys() & MEMBERS else replace(query, attrs=tuple(names))


def picks_of_ids(params: Mapping[str, Any], context: Context) -> bool:
    """Return whether a query asks for named attributes of named entities: pick is a list of attribute names, too."""
    if "id" not in params or "pick" not in params:
        return False
    return bool(parse_projection(params["pick"], context, parameter="pick").keys() - MEMBERS)


def geo_of(params: Mapping[str, Any], context: Context) -> GeoQuery | None:
    """Return the geo-query, None if there is none; geoproperty alone makes none (6.4.3.2). Raises BadRequestData."""
    if not any(name in params for name in GEO):
        return None
    georel, geometry, coordinates, geoproperty = (params.get(name) for name in (*GEO, "geoproperty"))
    return parse_geo(georel, geometry, coordinates, geoproperty, context)


def check_width(params: Mapping[str, Any], query: EntityQuery) -> None:
    """Raise BadRequestData if a query selects by nothing that limits it (5.7.2.4), or if local contradicts type=*."""
    wildcard = params.get("type") == "*" or "*" in params.get("wildcards", ())
    if wildcard and params.get("local") is False:
        raise BadRequestData('local: type "*" means the local scope, which local=false contradicts; drop one of them')
    if wildcard or params.get("local") or "type" in params or query.selectors or attributes_of(query):
        return
    raise BadRequestData(
        "the query is too wide: give at least one of type, attrs, q, georel, with an attribute that is not a "
        "system one, or local=true"
    )


def order_of(params: Mapping[str, Any], context: Context) -> tuple[OrderKey, ...]:
    """Return the ordering, which is empty without orderBy. Raises BadRequestData."""
    if "orderBy" in params:
        return parse_order(
            params["orderBy"],
            context,
            order_from=params.get("orderFrom"),
            order_geometry=params.get("orderGeometry"),
        )
    return ()


def collation_of(params: Mapping[str, Any]) -> Collation:
    """Return the collation for the ordering. Raises BadRequestData."""
    return parse_collation(params["collation"]) if "collation" in params else ROOT_COLLATION


def join_of(params: Mapping[str, Any]) -> Join | None:
    """Return how linked entities are to be returned, None if not at all. Raises BadRequestData."""
    form = params.get("join", "@none")
    if form == "@none":
        return None
    depth = params.get("joinLevel", 1)
    if depth > DEEPEST_JOIN:
        raise BadRequestData(f"joinLevel: {depth} is deeper than this broker follows, {DEEPEST_JOIN}")
    return Join(form, depth, frozenset(params.get("containedBy", ())))


def matches_type(document: Document, text: str, context: Context) -> bool:
    """Return whether an entity has the types that a selection (4.17) asks for. Raises BadRequestData."""
    selection = parse_types(text, context)
    return selection is None or compile_types(selection)(document)


async def check_type(call: Call, services: Services, target: str, context: Context) -> None:
    """Raise ResourceNotFound if the request names a type (4.17) that the target entity does not have."""
    text = call.params.get("type")
    if text is None:
        return
    document = await services.entities.retrieve(call.tenant, target, times=False)
    if not matches_type(document, text, context):
        raise ResourceNotFound(f"there is no entity {target} of the type {text}")


def stored_names(names: tuple[str, ...] | None, context: Context, *, parameter: str) -> frozenset[str] | None:
    """Return the stored names of attributes that a parameter lists, None if it was not given. Raises BadRequestData."""
    return None if names is None else frozenset(parse_attributes(names, context, parameter=parameter))
