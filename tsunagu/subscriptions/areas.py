"""Finding, by a grid, which subscriptions to areas an entity at some place may concern."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tsunagu.broker.query.ast import GeoQuery
    from tsunagu.subscriptions.subscription import Subscription

Box = tuple[float, float, float, float]  # west, south, east, north, in degrees
Cell = tuple[int, int]

CELL = 0.1
AROUND = round(360 / CELL)
CELLS_AT_MOST = 64
METRES_PER_DEGREE = 111_000.0
MARGIN = 0.02
STEEPEST = 85.0
BOUNDED = frozenset({"within", "contains", "overlaps", "intersects", "equals"})


def box_of(geometry: Mapping[str, Any]) -> Box | None:
    """Return the bounding box of a GeoJSON geometry, None if it has no positions."""
    west = south = math.inf
    east = north = -math.inf
    for longitude, latitude in _positions(geometry.get("coordinates", ())):
        west, east = min(west, longitude), max(east, longitude)
        south, north = min(south, latitude), max(north, latitude)
    return None if west > east else (west, south, east, north)


def _positions(coordinates: Any) -> Iterator[tuple[float, float]]:
    if coordinates and isinstance(coordinates[0], int | float):
        yield coordinates[0], coordinates[1]
        return
    for part in coordinates:
        yield from _positions(part)


def area_of(query: GeoQuery) -> frozenset[Cell] | None:
    """Return the cells outside of which no entity meets a geoquery; None if it has no bounds, or wide ones."""
    box = box_of(query.geometry)
    if box is None or max(abs(box[1]), abs(box[3])) > STEEPEST:
        return None
    reach = MARGIN
    if query.relation == "near":
        if query.max_distance is None:
            return None
        reach += query.max_distance / METRES_PER_DEGREE * 1.01
    elif query.relation not in BOUNDED:
        return None
    if box[3] + reach > STEEPEST or box[1] - reach < -STEEPEST:
        return None
    wide = reach / math.cos(math.radians(max(abs(box[1] - reach), abs(box[3] + reach))))
    return cells_of((box[0] - wide, box[1] - reach, box[2] + wide, box[3] + reach))


def cells_of(box: Box) -> frozenset[Cell] | None:
    """Return the cells that a box touches, None if there are too many of them."""
    first, last = math.floor(box[0] / CELL), math.floor(box[2] / CELL)
    lowest, highest = math.floor(box[1] / CELL), math.floor(box[3] / CELL)
    if (last - first + 1) * (highest - lowest + 1) > CELLS_AT_MOST:
        return None
    return frozenset((column % AROUND, row) for column in range(first, last + 1) for row in range(lowest, highest + 1))


class Areas:
    """Subscriptions whose geoQ, on one GeoProperty, cannot hold outside of some cells."""

    __slots__ = ("_cells",)

    def __init__(self) -> None:
        self._cells: dict[Cell, dict[Subscription, None]] = {}

    def add(self, cells: frozenset[Cell], subscription: Subscription) -> None:
        """Put a subscription in."""
        for cell in cells:
            self._cells.setdefault(cell, {})[subscription] = None

    def remove(self, cells: frozenset[Cell], subscription: Subscription) -> None:
        """Take a subscription out."""
        for cell in cells:
            there = self._cells.get(cell)
            if there is not None:
                there.pop(subscription, None)
                if not there:
                    del self._cells[cell]

    def __bool__(self) -> bool:
        return bool(self._cells)

    def at(self, value: Any) -> Iterator[Subscription]:
        """Return those that the GeoProperty, as it stands in a document, may let through."""
        for instance in value if isinstance(value, list) else [value]:
            geometry = instance.get("value")
            box = box_of(geometry) if isinstance(geometry, dict) else None
            cells = cells_of(box) if box is not None else None
            if cells is None:
                for there in self._cells.values():
                    yield from there
                return
            for cell in cells:
                yield from self._cells.get(cell, ())
