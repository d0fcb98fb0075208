"""The shape that stands for a geometry in the geographic index."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import shape

from tsunagu.schemas.geo_cover import cover, place_of

LONGITUDES = st.floats(-180, 180, allow_nan=False)
LATITUDES = st.floats(-89, 89, allow_nan=False)
POSITIONS = st.tuples(LONGITUDES, LATITUDES).map(list)


def test_a_point_is_its_own_cover_without_its_height() -> None:
    """The index gets a point as it is, in two dimensions."""
    found = cover({"type": "Point", "coordinates": [134.8, 34.7, 12.5]})
    assert found == [{"type": "Point", "coordinates": [134.8, 34.7]}]


def test_a_lone_point_is_a_position_for_the_index() -> None:
    """MongoDB takes longitude and latitude sooner than GeoJSON."""
    assert place_of([{"type": "Point", "coordinates": [134.8, 34.7, 12.5]}]) == [134.8, 34.7]


def test_several_geometries_are_one_collection_for_the_index() -> None:
    """Points and the boxes of other geometries stand side by side; a lone box stands alone."""
    point = {"type": "Point", "coordinates": [134.8, 34.7]}
    line = {"type": "LineString", "coordinates": [[1, 2], [3, 4]]}
    box = cover(line)[0]
    assert place_of([line]) == box
    assert place_of([point, line]) == {"type": "GeometryCollection", "geometries": [point, box]}


@given(st.lists(POSITIONS, min_size=2, max_size=5))
def test_a_cover_contains_the_geometry(positions: list[Any]) -> None:
    """Whatever the line, crossed or around the world, its cover contains it, in polygons of at most 30 degrees."""
    line = {"type": "LineString", "coordinates": positions}
    tiles = cover(line)
    union = shape(tiles[0])
    for tile in tiles:
        west, south, east, north = shape(tile).bounds
        assert east - west <= 30.001
        assert north - south <= 30.001
        union = union.union(shape(tile))
    assert union.buffer(1e-9).contains(shape(line))


def test_a_collection_is_covered_whole() -> None:
    """The parts of a GeometryCollection count together."""
    collection = {
        "type": "GeometryCollection",
        "geometries": [{"type": "Point", "coordinates": [1, 2]}, {"type": "Point", "coordinates": [3, 4]}],
    }
    (covered,) = cover(collection)
    assert covered["type"] == "Polygon"
    assert shape(covered).bounds == (0.998, 1.998, 3.002, 4.002)
