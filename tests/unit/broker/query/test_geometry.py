"""Relations and distances of geometries (4.10, 4.23.1)."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsunagu.broker.query.geometry import EARTH_RADIUS, distance_from, haversine, relation_test


def point(longitude: float, latitude: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [longitude, latitude]}


def line(*positions: Any) -> dict[str, Any]:
    return {"type": "LineString", "coordinates": [list(at) for at in positions]}


def polygon(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [[list(at) for at in ring] for ring in rings]}


def square(low: float, high: float) -> list[tuple[float, float]]:
    return [(low, low), (high, low), (high, high), (low, high), (low, low)]


HOLED = polygon(square(0, 10), square(4, 6))
BOW_TIE = polygon([(0, 0), (2, 2), (2, 0), (0, 2), (0, 0)])


@pytest.mark.parametrize(
    ("geometry", "relation", "reference"),
    [
        (point(1, 1), "within", HOLED),
        (point(1, 1), "equals", point(1, 1)),
        (point(1, 1), "contains", point(1, 1)),
        (point(5, 5), "disjoint", HOLED),
        (point(0, 5), "intersects", HOLED),
        (HOLED, "contains", point(1, 1)),
        (HOLED, "contains", polygon(square(1, 3))),
        (HOLED, "overlaps", polygon(square(5, 12))),
        (line((0, 0), (2, 0)), "overlaps", line((1, 0), (3, 0))),
        (line((0, 0), (2, 0)), "equals", line((2, 0), (1, 0), (0, 0))),
        (polygon(square(0, 2)), "equals", polygon([*square(0, 2)[:2], (2, 1), *square(0, 2)[2:]])),
        (line((1, 1), (3, 3)), "within", HOLED),
        (point(0.5, 1), "intersects", BOW_TIE),
        ({"type": "Point", "coordinates": [1, 1, 500.5]}, "equals", point(1, 1)),
    ],
)
def test_holds(geometry: dict[str, Any], relation: str, reference: dict[str, Any]) -> None:
    """The geometry stands in the relation to the reference geometry."""
    assert relation_test(relation, reference)(geometry)


@pytest.mark.parametrize(
    ("geometry", "relation", "reference"),
    [
        (point(0, 5), "within", HOLED),
        (point(5, 5), "within", HOLED),
        (HOLED, "contains", polygon(square(3, 5))),
        (point(1, 1), "overlaps", HOLED),
        (polygon(square(0, 2)), "overlaps", polygon(square(0, 2))),
        (line((0, 0), (2, 2)), "overlaps", line((0, 2), (2, 0))),
        (line((3, 3), (7, 7)), "within", HOLED),
        (point(0, 5), "disjoint", HOLED),
        (point(1, 1.5), "intersects", BOW_TIE),
    ],
)
def test_does_not_hold(geometry: dict[str, Any], relation: str, reference: dict[str, Any]) -> None:
    """A boundary is not within, equal geometries do not overlap, and a hole is outside."""
    assert not relation_test(relation, reference)(geometry)


def test_haversine() -> None:
    """A degree of a meridian is a 360th of the circumference, everywhere; one of a parallel shrinks to the poles."""
    degree = 2 * math.pi * EARTH_RADIUS / 360
    assert haversine(0, 0, 0, 1) == pytest.approx(degree)
    assert haversine(20, 89, 20, 90) == pytest.approx(degree)
    assert haversine(0, 60, 1, 60) == pytest.approx(degree / 2, rel=1e-4)
    assert haversine(179.5, 0, -179.5, 0) == pytest.approx(degree)


@pytest.mark.parametrize(
    ("geometry", "reference", "metres"),
    [
        (point(10, 60.009), line((0, 60), (10, 60)), 1_000.8),
        (line((0, 85.6), (1, 85)), point(0, 85), 9_600),
        (point(41, 35), polygon(square(30, 40)), 91_086),
        (polygon(square(0, 10)), point(5, 5), 0),
        (point(-179.9, 0), line((179.0, -1), (179.9, 0)), 22_239),
        (polygon(square(0, 1)), polygon([(2, 0), (3, 0), (3, 1), (2, 1), (2, 0)]), 111_178),
    ],
)
def test_distances(geometry: dict[str, Any], reference: dict[str, Any], metres: float) -> None:
    """The distance is that of the nearest positions, over the antimeridian too, and 0 between geometries that touch."""
    assert distance_from(reference)(geometry) == pytest.approx(metres, rel=0.02)


positions = st.tuples(st.floats(139, 140), st.floats(35, 36))


@given(positions, positions, positions)
def test_distance_to_a_line(at: tuple[float, float], start: tuple[float, float], end: tuple[float, float]) -> None:
    """Over the size of a city, the distance of a point from a line is that of the nearest of many points on it."""
    measured = distance_from(line(start, end))(point(*at))
    steps = [step / 400 for step in range(401)]
    sampled = min(haversine(*at, start[0] + (end[0] - start[0]) * s, start[1] + (end[1] - start[1]) * s) for s in steps)
    assert measured <= sampled * 1.001 + 0.001
    assert measured >= sampled * 0.99 - haversine(*start, *end) / 400


grid = st.tuples(st.integers(-1, 11), st.integers(-1, 11))


@given(
    grid,
    st.sampled_from(["within", "intersects", "disjoint"]),
    st.sampled_from([HOLED, line((0, 0), (8, 8)), point(3, 3)]),
)
def test_points_are_treated_alike(at: tuple[int, int], relation: str, reference: dict[str, Any]) -> None:
    """A point stands in the same relations as a MultiPoint of this one point."""
    test = relation_test(relation, reference)
    assert test(point(*at)) == test({"type": "MultiPoint", "coordinates": [list(at)]})
