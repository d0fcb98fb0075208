"""Relations and distances of GeoJSON geometries (4.10, 4.23.1).

Relations are those of OGC 06-103r4 (simple features) in the plane of longitude and latitude, where RFC 7946 draws
straight lines between positions. Distances are metres on a sphere (haversine); between geometries that are no
points, those of the nearest pair of positions, found in the plane with longitudes scaled to the latitude: right to
1 % over the size of a country, up to a few percent too long over that of a continent.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import shapely
from shapely import affinity
from shapely.geometry import shape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shapely.geometry.base import BaseGeometry

EARTH_RADIUS = 6_371_008.8
"""Mean radius of the Earth in metres (IUGG)."""

_HALF_TURN = 180.0
_ON_POINTS = {"within": shapely.contains_xy, "intersects": shapely.intersects_xy, "disjoint": shapely.intersects_xy}
_LEAST_SCALE = 1e-6


def planar(geometry: Mapping[str, Any]) -> BaseGeometry:
    """Return the geometry as shapely's, without altitudes; polygons that cross themselves are mended."""
    made = shapely.force_2d(shape(geometry))
    return made if shapely.is_valid(made) else shapely.make_valid(made)


def relation_test(relation: str, reference: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], bool]:
    """Return whether a geometry is `relation` (within, contains …) the reference geometry."""
    fixed = planar(reference)
    shapely.prepare(fixed)
    test: Callable[[BaseGeometry], bool] = {
        "within": fixed.contains,
        "contains": fixed.within,
        "overlaps": fixed.overlaps,
        "intersects": fixed.intersects,
        "equals": fixed.equals,
        "disjoint": fixed.disjoint,
    }[relation]
    if relation in _ON_POINTS:
        return _fast_on_points(relation, fixed, test)
    return lambda geometry: bool(test(planar(geometry)))


def _fast_on_points(
    relation: str, fixed: BaseGeometry, test: Callable[[BaseGeometry], bool]
) -> Callable[[Mapping[str, Any]], bool]:
    """Return the test with a short way for points: most lie outside of the reference geometry's bounds."""
    west, south, east, north = fixed.bounds
    touches = _ON_POINTS[relation]
    negated = relation == "disjoint"

    def matches(geometry: Mapping[str, Any]) -> bool:
        if geometry["type"] != "Point":
            return bool(test(planar(geometry)))
        x, y = geometry["coordinates"][:2]
        return negated != bool(west <= x <= east and south <= y <= north and touches(fixed, x, y))

    return matches


def distance_from(reference: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], float]:
    """Return a function that tells the distance in metres of a geometry from the reference; 0 if they touch."""
    if reference["type"] != "Point":
        fixed = planar(reference)
        return lambda geometry: _distance(planar(geometry), fixed)
    longitude, latitude = reference["coordinates"][:2]

    def distance(geometry: Mapping[str, Any]) -> float:
        if geometry["type"] == "Point":
            return haversine(longitude, latitude, *geometry["coordinates"][:2])
        return _distance(planar(geometry), planar(reference))

    return distance


def haversine(longitude: float, latitude: float, other_longitude: float, other_latitude: float) -> float:
    """Return the metres between two positions given in degrees."""
    phi, other_phi = math.radians(latitude), math.radians(other_latitude)
    half = math.sin((other_phi - phi) / 2) ** 2
    half += math.cos(phi) * math.cos(other_phi) * math.sin(math.radians(other_longitude - longitude) / 2) ** 2
    return 2 * EARTH_RADIUS * math.asin(min(1.0, math.sqrt(half)))


def _distance(one: BaseGeometry, other: BaseGeometry) -> float:
    if one.intersects(other):
        return 0.0
    turns = [0.0]
    if max(one.bounds[2], other.bounds[2]) - min(one.bounds[0], other.bounds[0]) > _HALF_TURN:
        turns = [0.0, 360.0, -360.0]  # the way over the antimeridian may be shorter
    return min(_nearest(affinity.translate(one, turn), other) for turn in turns)


def _nearest(one: BaseGeometry, other: BaseGeometry) -> float:
    """Return the metres between the nearest positions; the scale of longitudes is that of the latitude found first."""
    latitude = (one.centroid.y + other.centroid.y) / 2
    metres = math.inf
    for _ in range(2):
        scale = max(math.cos(math.radians(latitude)), _LEAST_SCALE)
        line = shapely.shortest_line(_scaled(one, scale), _scaled(other, scale))
        (x, y), (other_x, other_y) = line.coords
        metres = min(metres, haversine(x / scale, y, other_x / scale, other_y))
        latitude = (y + other_y) / 2
    return metres


def _scaled(geometry: BaseGeometry, scale: float) -> BaseGeometry:
    return affinity.scale(geometry, scale, 1, origin=(0, 0))
