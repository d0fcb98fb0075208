"""The boxes of geoqueries."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.query_documents import CONTEXT
from tsunagu.broker.query.geo import parse_geo
from tsunagu.broker.storage.mongo.geo_filters import geo_condition
from tsunagu.schemas.entity import LOCATION


def condition(georel: str, geometry: str, coordinates: Any) -> dict[str, Any]:
    return geo_condition(parse_geo(georel, geometry, coordinates, None, CONTEXT))


def bounds(found: dict[str, Any]) -> tuple[float, float, float, float]:
    ring = found[f"attrs.{LOCATION}.value"]["$geoIntersects"]["$geometry"]["coordinates"][0]
    longitudes, latitudes = zip(*ring, strict=True)
    assert ring[0] == ring[-1]
    return min(longitudes), min(latitudes), max(longitudes), max(latitudes)


def test_the_box_covers_the_buffer() -> None:
    """The box of near reaches at least the distance in every direction, also where degrees of longitude are short."""
    west, south, east, north = bounds(condition("near;maxDistance==20000", "Point", [139, 70]))
    assert south < 70 - 0.18
    assert north > 70 + 0.18
    assert west < 139 - 0.53
    assert east > 139 + 0.53


def test_the_box_covers_the_geometry() -> None:
    """The box of the other relations is that of the reference geometry and a margin."""
    west, south, east, north = bounds(condition("within", "LineString", [[0, 0], [10, 5]]))
    assert [west, south, east, north] == pytest.approx([0, 0, 10, 5], abs=0.1)
    assert west < 0
    assert south < 0
    assert east > 10
    assert north > 5


@pytest.mark.parametrize(
    ("georel", "geometry", "coordinates"),
    [
        ("disjoint", "Point", [0, 0]),
        ("near;minDistance==5", "Point", [0, 0]),
        ("near;maxDistance==5", "Point", [0, 85]),
        ("near;maxDistance==50000", "Point", [179.9, 0]),
        ("near;maxDistance==5000000", "Point", [0, 0]),
        ("within", "LineString", [[-50, 0], [50, 0]]),
    ],
)
def test_no_box(georel: str, geometry: str, coordinates: Any) -> None:
    """Near a pole, over the antimeridian, over a large part of the world, or outside of something, there is no box."""
    assert condition(georel, geometry, coordinates) == {f"attrs.{LOCATION}.value.coordinates": {"$exists": True}}
