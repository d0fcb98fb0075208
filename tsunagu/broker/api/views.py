"""From parameters to a View, which says how entities are shown (6.3.7, 6.3.11, 6.3.15, 4.15, 4.21)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.broker.api.call import GEO_JSON
from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.query.projection import is_attribute_name, parse_attributes, parse_projection, projection_depth
from tsunagu.broker.representations import View
from tsunagu.broker.representations.language import language_ranges

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tsunagu.broker.api.criteria import Join
    from tsunagu.broker.jsonld.context import Context
    from tsunagu.broker.representations import Projection


def view_of(params: Mapping[str, Any], context: Context, *, media: str, join: Join | None = None) -> View:
    """Return the view that parameters ask for. Raises BadRequestData where they contradict each other (5.7.2.4)."""
    geojson = media == GEO_JSON
    geometry = params.get("geometryProperty")
    if geometry is not None and not geojson:
        raise BadRequestData("geometryProperty: it applies only together with Accept: application/geo+json")
    if geometry is not None and not is_attribute_name(geometry):
        raise BadRequestData(f"geometryProperty: {geometry!r} is not the name of an attribute")
    if "lang" in params:
        language_ranges(params["lang"])  # raises BadRequestData if it is malformed
    pick, omit = projections(params, context, join)
    return View(
        format=params.get("format", "normalized"),
        geojson=geojson,
        sys_attrs="sysAttrs" in params.get("options", ()),
        pick=pick,
        omit=omit,
        attrs=frozenset(parse_attributes(params["attrs"], context)) if "attrs" in params else None,
        lang=params.get("lang"),
        dataset_ids=params.get("datasetId"),
        geometry_property=None if geometry is None else context.attribute(geometry),
    )


def projections(
    params: Mapping[str, Any], context: Context, join: Join | None
) -> tuple[Projection | None, Projection | None]:
    """Return pick and omit. Raises BadRequestData for a contradiction, or if they go deeper than the join."""
    pick = parse_projection(params["pick"], context, parameter="pick") if "pick" in params else None
    omit = parse_projection(params["omit"], context, parameter="omit") if "omit" in params else None
    if "attrs" in params and (pick is not None or omit is not None):
        raise BadRequestData("attrs: it cannot be combined with pick or omit; use pick alone")
    if pick and omit:
        for name in pick.keys() & omit.keys():
            if pick[name] is None and omit[name] is None:
                raise BadRequestData(f"omit: {context.compact_name(name)} stands in pick, too; name it in one of them")
    depth = 0 if join is None else join.depth
    for name, projection in (("pick", pick), ("omit", omit)):
        if projection and projection_depth(projection) > depth:
            raise BadRequestData(
                f"{name}: it follows relationships {projection_depth(projection)} deep, the request allows {depth}; "
                "set join and joinLevel accordingly"
            )
    return pick, omit
