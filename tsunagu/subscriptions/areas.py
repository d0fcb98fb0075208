"""Finding, by grids, which subscriptions to areas an entity at some place may concern.

There are grids of several cell sizes. An area stands in the finest one in which few cells cover it, so that a thousand
areas in one town are as far apart in their grid as a thousand countries in theirs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tsunagu.subscriptions.bunch import with_one, without

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tsunagu.broker.query.ast import GeoQuery
    from tsunagu.subscriptions.bunch import Bunch
    from tsunagu.subscriptions.subscription import Subscription

Box = tuple[float, float, float, float]  # west, south, east, north, in degrees
Cell = int  # column and row in one number: a tuple would take three times the memory
Cells = frozenset[tuple[int, Cell]]  # grid and cell

SIZES = tuple(0.1 / 4**grid for grid in range(5))  # degrees: 11 km to 43 m
CELLS_AT_MOST = 64
FEW_CELLS = 9
METRES_PER_DEGREE = 111_000.0
COLUMN = 1 << 32
MARGIN = 0.02
LEAST_MARGIN = 0.0001
MARGIN_SHARE = 0.2
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


def area_of(query: GeoQuery) -> Cells | None:
    """Return the cells outside of which no entity meets a geoquery; None if it has no bounds, or wide ones."""
    box = box_of(query.geometry)
    if box is None or max(abs(box[1]), abs(box[3])) > STEEPEST:
        return None
    reach = 0.0
    if query.relation == "near":
        if query.max_distance is None:
            return None
        reach = query.max_distance / METRES_PER_DEGREE * 1.01
    elif query.relation not in BOUNDED:
        return None
    # Edges of polygons bulge, the more the longer they are.
    extent = max(box[2] - box[0], box[3] - box[1]) + reach
    reach += min(MARGIN, LEAST_MARGIN + MARGIN_SHARE * extent)
    if box[3] + reach > STEEPEST or box[1] - reach < -STEEPEST:
        return None
    wide = reach / math.cos(math.radians(max(abs(box[1] - reach), abs(box[3] + reach))))
    grown = (box[0] - wide, box[1] - reach, box[2] + wide, box[3] + reach)
    for grid in range(len(SIZES) - 1, 0, -1):
        cells = cells_of(grown, grid, at_most=FEW_CELLS)
        if cells is not None:
            return cells
    return cells_of(grown, 0)


def cells_of(box: Box, grid: int, *, at_most: int = CELLS_AT_MOST) -> Cells | None:
    """Return the cells of a grid that a box touches, None if there are too many of them."""
    size = SIZES[grid]
    first, last = math.floor(box[0] / size), math.floor(box[2] / size)
    lowest, highest = math.floor(box[1] / size), math.floor(box[3] / size)
    if (last - first + 1) * (highest - lowest + 1) > at_most:
        return None
    around = round(360 / size)
    return frozenset(
        (grid, column % around * COLUMN + row)
        for column in range(first, last + 1)
        for row in range(lowest, highest + 1)
    )


class Areas:
    """Subscriptions whose geoQ, on one GeoProperty, cannot hold outside of some cells."""

    __slots__ = ("_grids",)

    def __init__(self) -> None:
        self._grids: dict[int, dict[Cell, Bunch]] = {}

    def add(self, cells: Cells, subscription: Subscription) -> None:
        """Put a subscription in."""
        for size, cell in cells:
            grid = self._grids.setdefault(size, {})
            grid[cell] = with_one(grid.get(cell, ()), subscription)

    def remove(self, cells: Cells, subscription: Subscription) -> None:
        """Take a subscription out."""
        for size, cell in cells:
            grid = self._grids.get(size, {})
            if cell not in grid:
                continue
            grid[cell] = without(grid[cell], subscription)
            if not grid[cell]:
                del grid[cell]
                if not grid:
                    del self._grids[size]

    def __bool__(self) -> bool:
        return bool(self._grids)

    def at(self, value: Any) -> Iterator[Subscription]:
        """Return those that the GeoProperty, as it stands in a document, may let through."""
        for instance in value if isinstance(value, list) else [value]:
            geometry = instance.get("value")
            box = box_of(geometry) if isinstance(geometry, dict) else None
            for size, grid in self._grids.items():
                cells = cells_of(box, size) if box is not None else None
                if cells is None:
                    for there in grid.values():
                        yield from there
                    continue
                for _, cell in cells:
                    yield from grid.get(cell, ())
