"""Geoqueries as MongoDB conditions: a box that lets more through than it should (4.10).

MongoDB has no contains, overlaps or equals, draws lines as great circles where RFC 7946 draws them straight, and
measures nothing but points. So the condition only says that the geometry touches a box around the reference geometry,
which a 2dsphere index serves well, and the caller tests exactly in memory what it finds (`filters.residual`).

The box is wider by MARGIN degrees, since a straight edge and a great circle part by 0.04 degrees over 6 degrees of
longitude at the middle latitudes: longer edges of stored geometries may be missed near the edge of the box. A box near
a pole, over the antimeridian, or wider than MAX_SPAN has no such shape; then all geometries are tested.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tsunagu.broker.query.geometry import EARTH_RADIUS, planar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tsunagu.broker.query.ast import GeoQuery

MARGIN = 0.05
MAX_SPAN = 60.0
MAX_LATITUDE = 80.0
STEP = 1.0


def geo_condition(geo: GeoQuery) -> dict[str, Any]:
    """Return the condition that holds of every document that meets the geoquery, and of others."""
    path = f"attrs.{geo.attribute}.value"
    box = None if geo.relation == "disjoint" or geo.min_distance is not None else _box(geo)
    if box is None:
        return {f"{path}.coordinates": {"$exists": True}}
    return {path: {"$geoIntersects": {"$geometry": {"type": "Polygon", "coordinates": [list(_ring(*box))]}}}}


def _box(geo: GeoQuery) -> tuple[float, float, float, float] | None:
    """Return west, south, east and north of the box in degrees, None where there is none."""
    west, south, east, north = planar(geo.geometry).bounds
    reach = math.degrees((geo.max_distance or 0.0) / EARTH_RADIUS) + MARGIN
    south, north = south - reach, north + reach
    farthest = max(abs(south), abs(north))
    if farthest > MAX_LATITUDE:
        return None
    wide = math.degrees(math.asin(min(1.0, math.sin(math.radians(reach)) / math.cos(math.radians(farthest)))))
    west, east = west - wide, east + wide
    if west < -180 or east > 180 or east - west > MAX_SPAN or north - south > MAX_SPAN:  # noqa: PLR2004 - degrees
        return None
    return west, south, east, north


def _ring(west: float, south: float, east: float, north: float) -> Iterator[list[float]]:
    """Yield the closed ring of the box, with positions along the parallels so that they stay parallels."""
    steps = max(1, math.ceil((east - west) / STEP))
    longitudes = [west + (east - west) * step / steps for step in range(steps + 1)]
    yield from ([longitude, south] for longitude in longitudes)
    yield from ([longitude, north] for longitude in reversed(longitudes))
    yield [west, south]
