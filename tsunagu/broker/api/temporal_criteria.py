"""From query parameters to what a request for temporal evolutions asks for (4.11, 4.5.19, 5.7.3, 5.7.4, 6.18, 6.19)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tsunagu.broker.api.views import projections
from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.query.projection import MEMBERS, parse_attributes
from tsunagu.broker.query.temporal import MEMBERS as TIMES
from tsunagu.broker.query.temporal import parse_temporal
from tsunagu.broker.representations.aggregation import METHODS
from tsunagu.broker.representations.language import language_ranges
from tsunagu.broker.representations.temporal import TemporalView
from tsunagu.broker.storage.history import Wish

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tsunagu.broker.jsonld.context import Context
    from tsunagu.broker.query.ast import EntityQuery, OrderKey


@dataclass(frozen=True, slots=True)
class Aggregating:
    """How values are aggregated: methods of 4.5.19, and the length of a period in ms, 0 for the whole time."""

    methods: tuple[str, ...]
    period: int


def wish_of(params: Mapping[str, Any], context: Context, *, limit: int, required: bool) -> Wish:
    """Return the instances that parameters ask for; `limit` is how many of one entity an answer may have.

    `required`: a temporal query has to be there (5.7.4.4). Raises BadRequestData.
    """
    timerel, time_at, end_time_at, timeproperty = (
        params.get(name) for name in ("timerel", "timeAt", "endTimeAt", "timeproperty")
    )
    window = None
    member = None if timeproperty is None else TIMES.get(timeproperty)
    if timerel is not None or time_at is not None or end_time_at is not None or required:
        window = parse_temporal(timerel, time_at, end_time_at, timeproperty)
        member = window.member
    elif timeproperty is not None and member is None:
        raise BadRequestData(f"timeproperty: {timeproperty!r} is none of {', '.join(map(str, TIMES))}")
    return Wish(
        member=member,
        window=window,
        attrs=wanted_attributes(params, context),
        datasets=params.get("datasetId"),
        last=params.get("lastN"),
        limit=limit,
    )


def wanted_attributes(params: Mapping[str, Any], context: Context) -> frozenset[str] | None:
    """Return the stored names of the attributes that attrs or pick name, None for all. Raises BadRequestData."""
    if "attrs" in params:
        return frozenset(parse_attributes(params["attrs"], context))
    pick, _ = projections(params, context, None)
    names = None if pick is None else frozenset(pick.keys() - MEMBERS)
    return names or None


def temporal_view_of(params: Mapping[str, Any], context: Context, wish: Wish) -> TemporalView:
    """Return how evolutions are to be shown. Raises BadRequestData where parameters contradict each other."""
    if "lang" in params:
        language_ranges(params["lang"])  # raises BadRequestData if it is malformed
    pick, omit = projections(params, context, None)
    return TemporalView(
        format=params.get("format", "normalized"),
        sys_attrs="sysAttrs" in params.get("options", ()),
        pick=pick,
        omit=omit,
        lang=params.get("lang"),
        member=wish.member,
    )


def aggregating_of(params: Mapping[str, Any]) -> Aggregating | None:
    """Return how values are to be aggregated, None if they are not. Raises BadRequestData."""
    if params.get("format") != "aggregatedValues":
        return None
    methods = params.get("aggrMethods")
    if not methods:
        raise BadRequestData(f"aggrMethods: aggregatedValues needs one or more of {', '.join(METHODS)}")
    for method in methods:
        if method not in METHODS:
            raise BadRequestData(f"aggrMethods: {method!r} is none of {', '.join(METHODS)}")
    return Aggregating(tuple(dict.fromkeys(methods)), params.get("aggrPeriodDuration", 0))


def is_descending(query: EntityQuery) -> bool:
    """Return the direction of the order by id, the only one there is (5.7.4.4). Raises BadRequestData for another."""
    if not query.order:
        return False
    first: OrderKey = query.order[0]
    if len(query.order) > 1 or first.path.names or first.path.member != "id":
        raise BadRequestData("orderBy: evolutions can be ordered by id only (id or id;desc)")
    return first.descending
