"""The geoquery language (4.10): georel, geometry, coordinates, geoproperty.

Grammar of georel::

    georel   = "near;" distance "==" PositiveNumber
             / "within" / "contains" / "overlaps" / "intersects" / "equals" / "disjoint"
    distance = "maxDistance" / "minDistance"                        in metres

PositiveNumber is a number of JSON without sign, above 0. geometry is a GeoJSON type but GeometryCollection;
coordinates are JSON, as text or, in bodies, as an array.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, cast

from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.query.ast import GeoQuery
from tsunagu.broker.query.projection import is_attribute_name
from tsunagu.schemas.entity import LOCATION
from tsunagu.schemas.geo import GEOMETRY_TYPES, check_geometry

if TYPE_CHECKING:
    from tsunagu.broker.query.ast import Georel, Terms

RELATIONS = ("near", "within", "contains", "overlaps", "intersects", "equals", "disjoint")
MAX_POSITIONS = 10_000
_NAMES = ("geometry", "coordinates")
_NEAR = re.compile(r"near; ?(maxDistance|minDistance)==((?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)", re.ASCII)


def parse_geo(georel: object, geometry: object, coordinates: object, geoproperty: object, context: Terms) -> GeoQuery:
    """Return the geoquery. None stands for an absent parameter. Raises BadRequestData naming the parameter."""
    for name, value in (("georel", georel), ("geometry", geometry), ("coordinates", coordinates)):
        if value is None:
            raise BadRequestData(f"{name}: a geoquery needs georel, geometry and coordinates")
    relation, limits = _relation(georel)
    if geoproperty is None:
        attribute = LOCATION
    elif isinstance(geoproperty, str) and is_attribute_name(geoproperty):
        attribute = context.attribute(geoproperty)
    else:
        raise BadRequestData(f"geoproperty: {geoproperty!r} is not the name of an attribute")
    return GeoQuery(relation, parse_geometry(geometry, coordinates), attribute, **limits)


def _relation(georel: object) -> tuple[Georel, dict[str, float]]:
    if not isinstance(georel, str):
        raise BadRequestData("georel: a string is expected")
    if georel in RELATIONS and georel != "near":
        return cast("Georel", georel), {}
    found = _NEAR.fullmatch(georel)
    if found is not None:
        distance = float(found[2])
        if not 0 < distance < math.inf:
            raise BadRequestData(f"georel: {found[1]} shall be a number above 0, not {found[2]}")
        return "near", {"max_distance" if found[1] == "maxDistance" else "min_distance": distance}
    if georel.startswith("near"):
        raise BadRequestData(
            f"georel: near;maxDistance==METRES or near;minDistance==METRES is expected, not {georel!r}"
        )
    raise BadRequestData(f"georel: {georel!r} is none of {', '.join(RELATIONS)}")


def parse_geometry(geometry: object, coordinates: object, *, names: tuple[str, str] = _NAMES) -> dict[str, Any]:
    """Return the GeoJSON geometry of a type and its coordinates. Raises BadRequestData naming one of `names`."""
    if not isinstance(geometry, str) or geometry not in GEOMETRY_TYPES:
        raise BadRequestData(f"{names[0]}: {geometry!r} is none of {', '.join(sorted(GEOMETRY_TYPES))}")
    if isinstance(coordinates, str):
        try:
            coordinates = json.loads(coordinates)
        except (ValueError, RecursionError):
            raise BadRequestData(f"{names[1]}: a JSON array is expected, such as [139.7, 35.6]") from None
    value = {"type": geometry, "coordinates": coordinates}
    try:
        check_geometry(value)
    except ValueError as error:
        raise BadRequestData(f"{names[1]}: {error}") from None
    if _positions(coordinates) > MAX_POSITIONS:
        raise BadRequestData(f"{names[1]}: at most {MAX_POSITIONS} positions are allowed")
    return value


def _positions(coordinates: Any) -> int:
    return 1 if not isinstance(coordinates[0], list) else sum(map(_positions, coordinates))
