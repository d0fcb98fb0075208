"""A shape that covers a geometry and that any spherical index takes.

GeoJSON draws an edge straight between longitude and latitude (RFC 7946), a spherical index along a great circle, and it
refuses polygons whose edges cross there. So the index gets a point as it is, and for anything else its bounding box,
drawn with so many positions along the parallels that the two kinds of edge differ by less than the margin.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Geometry = dict[str, Any]
Position = list[float]
Box = tuple[float, float, float, float]

TILE = 30.0
STEP = 1.0
MARGIN = 0.002
NORTHMOST = 89.9
EASTMOST = 180.0


def place_of(geometries: list[Geometry]) -> Geometry | Position:
    """Return what the index gets for the geometries of an entity (at least one; valid GeoJSON, checked before).

    A lone point is a position (longitude, latitude): MongoDB takes it as well as GeoJSON, and sooner. Earlier versions
    stored a GeoJSON Point.
    """
    if len(geometries) == 1 and geometries[0]["type"] == "Point":
        position: Position = geometries[0]["coordinates"][:2]
        return position
    parts: list[Geometry] = []
    for geometry in geometries:
        parts += cover(geometry)
    return parts[0] if len(parts) == 1 else {"type": "GeometryCollection", "geometries": parts}


def cover(geometry: Geometry) -> list[Geometry]:
    """Return the point, or one or several polygons that contain the geometry (valid GeoJSON, checked before)."""
    if geometry["type"] == "Point":
        return [{"type": "Point", "coordinates": geometry["coordinates"][:2]}]
    west, south, east, north = bounds(geometry)
    box = (
        max(west - MARGIN, -EASTMOST),
        max(south - MARGIN, -NORTHMOST),
        min(east + MARGIN, EASTMOST),
        min(north + MARGIN, NORTHMOST),
    )
    return [polygon(tile) for tile in _tiles(box)]


def bounds(geometry: Geometry) -> Box:
    """Return west, south, east and north of a geometry in degrees."""
    longitudes: list[float] = []
    latitudes: list[float] = []
    for longitude, latitude in _positions(geometry):
        longitudes.append(longitude)
        latitudes.append(latitude)
    return min(longitudes), min(latitudes), max(longitudes), max(latitudes)


def polygon(box: Box) -> Geometry:
    """Return a box as a polygon with a position for every degree along the parallels."""
    west, south, east, north = box
    steps = max(1, math.ceil((east - west) / STEP))
    longitudes = [west + (east - west) * step / steps for step in range(steps + 1)]
    ring = [[longitude, south] for longitude in longitudes]
    ring += [[longitude, north] for longitude in reversed(longitudes)]
    ring.append(ring[0])
    return {"type": "Polygon", "coordinates": [ring]}


def _tiles(box: Box) -> Iterator[Box]:
    """Yield a box cut into tiles that are small enough for a polygon on the sphere."""
    west, south, east, north = box
    columns = max(1, math.ceil((east - west) / TILE))
    rows = max(1, math.ceil((north - south) / TILE))
    wide, high = (east - west) / columns, (north - south) / rows
    for column in range(columns):
        for row in range(rows):
            left, low = west + column * wide, south + row * high
            yield left, low, left + wide, low + high


def _positions(geometry: Geometry) -> Iterator[tuple[float, float]]:
    """Yield longitude and latitude of every position of a geometry."""
    if geometry["type"] == "GeometryCollection":
        for part in geometry["geometries"]:
            yield from _positions(part)
        return
    stack: list[Any] = [geometry["coordinates"]]
    while stack:
        item = stack.pop()
        if item and isinstance(item[0], (int, float)):
            yield item[0], item[1]
        else:
            stack.extend(item)
