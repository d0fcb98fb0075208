"""The boxes of geoqueries."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.query_documents import CONTEXT, name
from tsunagu.broker.query.geo import parse_geo
from tsunagu.broker.storage.mongo.geo_filters import geo_condition, nearest


def condition(georel: str, geometry: str, coordinates: Any) -> dict[str, Any]:
    return geo_condition(parse_geo(georel, geometry, coordinates, None, CONTEXT))


def bounds(found: dict[str, Any]) -> list[float]:
    """Return west, south, east and north of the area of a condition on location."""
    area = found["geo"]["$geoIntersects"]["$geometry"]
    polygons = [area["coordinates"]] if area["type"] == "Polygon" else area["coordinates"]
    positions = [at for polygon in polygons for at in polygon[0]]
    longitudes, latitudes = zip(*positions, strict=True)
    return [min(longitudes), min(latitudes), max(longitudes), max(latitudes)]


def test_the_box_covers_the_buffer() -> None:
    """The box of near reaches at least the distance in every direction, also where degrees of longitude are short."""
    west, south, east, north = bounds(condition("near;maxDistance==20000", "Point", [139, 70]))
    assert south == pytest.approx(70 - 0.18, abs=0.01)
    assert north == pytest.approx(70 + 0.18, abs=0.01)
    assert west == pytest.approx(139 - 0.53, abs=0.02)
    assert east == pytest.approx(139 + 0.53, abs=0.02)


@pytest.mark.parametrize("coordinates", [[[0, 0], [10, 5]], [[-80, -30], [80, 30]]])
def test_the_box_covers_the_geometry(coordinates: list[list[float]]) -> None:
    """The box of the other relations is that of the reference geometry and a margin, in tiles if it is large."""
    west, south, east, north = bounds(condition("within", "LineString", coordinates))
    assert [west, south, east, north] == pytest.approx([*coordinates[0], *coordinates[1]], abs=0.01)
    assert (west, south) < tuple(coordinates[0])
    assert (east, north) > tuple(coordinates[1])


def test_over_the_antimeridian() -> None:
    """A box over the antimeridian has a part on either side."""
    area = condition("near;maxDistance==50000", "Point", [179.9, 0])["geo"]["$geoIntersects"]["$geometry"]
    assert area["type"] == "MultiPolygon"
    sides = [[round(at[0]) for at in (polygon[0][0], polygon[0][1])] for polygon in area["coordinates"]]
    assert sides == [[179, 180], [-180, -180]]


@pytest.mark.parametrize(
    ("georel", "geometry", "coordinates"),
    [
        ("disjoint", "Point", [0, 0]),
        ("near;minDistance==5", "Point", [0, 0]),
        ("near;maxDistance==200000", "Point", [0, 88]),
        ("near;maxDistance==50000000", "Point", [0, 0]),
        ("within", "LineString", [[-95, 0], [95, 0]]),
    ],
)
def test_no_box(georel: str, geometry: str, coordinates: Any) -> None:
    """Near a pole, over half of the world, or outside of something, every location is a candidate."""
    assert condition(georel, geometry, coordinates) == {"geo": {"$exists": True}}


def test_other_properties() -> None:
    """Other GeoProperties have no index: points are compared by coordinates, other geometries are all candidates."""
    geo = parse_geo("near;maxDistance==5", "Point", [0, 0], "area", CONTEXT)
    path = f"attrs.{name('area')}.value"
    points, others = geo_condition(geo)["$or"]
    assert points.keys() == {f"{path}.coordinates.0", f"{path}.coordinates.1"}
    assert others == {
        f"{path}.type": {"$in": ["LineString", "MultiLineString", "MultiPoint", "MultiPolygon", "Polygon"]}
    }
    assert geo_condition(parse_geo("disjoint", "Point", [0, 0], "area", CONTEXT)) == {
        f"{path}.coordinates": {"$exists": True}
    }


def test_near_a_point_is_asked_for_by_distance() -> None:
    """MongoDB is asked for the nearest, a little farther than wanted, without altitude."""
    found = nearest(parse_geo("near;maxDistance==1000", "Point", [139.7, 35.6, 12], None, CONTEXT))
    assert found is not None
    near = found["geo"]["$nearSphere"]
    assert near["$geometry"] == {"type": "Point", "coordinates": [139.7, 35.6]}
    assert 1000 < near["$maxDistance"] < 1010


@pytest.mark.parametrize(
    ("georel", "geometry", "coordinates", "geoproperty"),
    [
        ("near;maxDistance==1000", "LineString", [[139, 35], [139, 36]], None),
        ("near;maxDistance==7000000", "Point", [139, 35], None),
        ("near;maxDistance==1000", "Point", [139, 35], "observationSpace"),
        ("within", "Polygon", [[[0, 0], [1, 0], [1, 1], [0, 0]]], None),
        ("near;minDistance==5", "Point", [0, 0], None),
    ],
)
def test_what_mongodb_does_not_measure(georel: str, geometry: str, coordinates: Any, geoproperty: str | None) -> None:
    """Other relations, references that are no points, far distances and other GeoProperties have no such condition."""
    assert nearest(parse_geo(georel, geometry, coordinates, geoproperty, CONTEXT)) is None
