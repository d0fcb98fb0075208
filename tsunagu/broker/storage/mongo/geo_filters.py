"""Geoqueries as MongoDB conditions: candidates, which the caller tests exactly in memory (4.10; `filters.residual`).

MongoDB has no contains, overlaps or equals, draws lines as great circles where RFC 7946 draws them straight, and
measures nothing but points. So the condition says no more than that bounding boxes meet: that of the reference
geometry, wider by the distance if there is one, and that of the stored geometry. For location, the latter is the
member `geo` of the document, which has an index (`tsunagu.schemas.geo_cover`); of other GeoProperties, points are
compared by their coordinates, and all other geometries are candidates.

Near a point is the most frequent case, and one in which MongoDB finds the nearest first, looking at few more than are
wanted however many there are: `nearest`, for whom that order will do. `circle` finds points alone (`nearby`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tsunagu.broker.query.geometry import EARTH_RADIUS
from tsunagu.schemas.entity import LOCATION
from tsunagu.schemas.geo import GEOMETRY_TYPES
from tsunagu.schemas.geo_cover import MARGIN, Box, bounds, cover

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tsunagu.broker.query.ast import GeoQuery

MAX_LATITUDE = 89.0
MAX_WIDTH = 180.0
FARTHEST = 100_000.0  # metres: beyond, most of what there is lies within, and any order finds it soon
_ROUNDING = 0.1  # metres
_EXTENDED = sorted(GEOMETRY_TYPES - {"Point"})


def nearest(geo: GeoQuery | None) -> dict[str, Any] | None:
    """Return a condition like `geo_condition`, by which a find gives the nearest first; None where there is none such.

    It needs the index on `geo`, and cannot be a part of a count or of an alternative.
    """
    if geo is None or geo.attribute != LOCATION or geo.geometry["type"] != "Point":
        return None
    if geo.max_distance is None or geo.max_distance > FARTHEST:
        return None
    point = {"type": "Point", "coordinates": geo.geometry["coordinates"][:2]}
    reach = geo.max_distance * (1 + MARGIN) + _ROUNDING
    return {"geo": {"$nearSphere": {"$geometry": point, "$maxDistance": reach}}}


def circle(geo: GeoQuery, radius: float) -> dict[str, Any]:
    """Return the condition that a point stands at most `radius` metres from the geoquery's; it needs the index, too."""
    reach = (radius + _ROUNDING) / EARTH_RADIUS
    return {"geo": {"$geoWithin": {"$centerSphere": [geo.geometry["coordinates"][:2], reach]}}}


def geo_condition(geo: GeoQuery) -> dict[str, Any]:
    """Return a condition that holds of every document that meets the geoquery, and of others.

    Near a pole, around half of the world, and for what is not near or disjoint, every geometry is a candidate.
    """
    unbounded = geo.relation == "disjoint" or geo.min_distance is not None
    boxes = [] if unbounded else list(_boxes(geo))
    if geo.attribute == LOCATION:
        return {"geo": {"$geoIntersects": {"$geometry": _area(boxes)}}} if boxes else {"geo": {"$exists": True}}
    path = f"attrs.{geo.attribute}.value"
    if not boxes:
        return {f"{path}.coordinates": {"$exists": True}}
    points = [
        {f"{path}.coordinates.0": {"$gte": west, "$lte": east}, f"{path}.coordinates.1": {"$gte": south, "$lte": north}}
        for west, south, east, north in boxes
    ]
    return {"$or": [*points, {f"{path}.type": {"$in": _EXTENDED}}]}


def _boxes(geo: GeoQuery) -> Iterator[Box]:
    """Yield the box around the reference geometry, in two parts where it lies over the antimeridian."""
    west, south, east, north = bounds(dict(geo.geometry))
    reach = math.degrees((geo.max_distance or 0.0) / EARTH_RADIUS) + MARGIN
    south, north = south - reach, north + reach
    farthest = max(abs(south), abs(north))
    if farthest > MAX_LATITUDE:
        return
    shrunk = math.sin(math.radians(reach)) / math.cos(math.radians(farthest))
    wide = math.degrees(math.asin(shrunk)) if shrunk < 1 else MAX_WIDTH
    west, east = west - wide, east + wide
    if east - west >= MAX_WIDTH:
        return
    yield max(west, -180.0), south, min(east, 180.0), north
    if west < -180:  # noqa: PLR2004 - the antimeridian
        yield west + 360, south, 180.0, north
    if east > 180:  # noqa: PLR2004
        yield -180.0, south, east - 360, north


def _area(boxes: list[Box]) -> dict[str, Any]:
    """Return the boxes as one GeoJSON geometry that MongoDB takes."""
    polygons: list[dict[str, Any]] = []
    for west, south, east, north in boxes:
        polygons += cover({"type": "MultiPoint", "coordinates": [[west, south], [east, north]]})
    if len(polygons) == 1:
        return polygons[0]
    return {"type": "MultiPolygon", "coordinates": [polygon["coordinates"] for polygon in polygons]}
