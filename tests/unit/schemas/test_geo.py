"""GeoJSON geometries."""

from __future__ import annotations

import pytest

from tsunagu.schemas.geo import check_geometry, is_geometry

RING = [[0, 0], [1, 0], [1, 1], [0, 0]]


@pytest.mark.parametrize(
    ("kind", "coordinates"),
    [
        ("Point", [139.7, 35.6]),
        ("Point", [-180, 90, 12.5]),
        ("MultiPoint", [[0, 0], [1, 1]]),
        ("LineString", [[0, 0], [1, 1]]),
        ("MultiLineString", [[[0, 0], [1, 1]], [[2, 2], [3, 3]]]),
        ("Polygon", [RING]),
        ("Polygon", [[[0, 0], [9, 0], [9, 9], [0, 0]], RING]),
        ("MultiPolygon", [[RING], [RING]]),
    ],
)
def test_every_geometry_of_rfc_7946_but_the_collection_is_supported(kind, coordinates):
    """4.7.1: all GeoJSON geometries except GeometryCollection."""
    check_geometry({"type": kind, "coordinates": coordinates})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("POINT(1 2)", "GeoJSON geometry is expected"),
        (None, "GeoJSON geometry is expected"),
        ([1, 2], "GeoJSON geometry is expected"),
        ({"coordinates": [1, 2]}, "one of Point"),
        ({"type": "point", "coordinates": [1, 2]}, "one of Point"),
        ({"type": ["Point"], "coordinates": [1, 2]}, "one of Point"),
        ({"type": "GeometryCollection", "geometries": []}, "one of Point"),
        ({"type": "Point"}, "needs the member coordinates"),
        ({"type": "Point", "coordinates": []}, "position"),
        ({"type": "Point", "coordinates": [1]}, "position"),
        ({"type": "Point", "coordinates": [1, 2, 3, 4]}, "position"),
        ({"type": "Point", "coordinates": "1,2"}, "position"),
        ({"type": "Point", "coordinates": ["1", "2"]}, "numbers"),
        ({"type": "Point", "coordinates": [1, None]}, "numbers"),
        ({"type": "Point", "coordinates": [True, 2]}, "numbers"),
        ({"type": "Point", "coordinates": [181, 2]}, "longitude 181"),
        ({"type": "Point", "coordinates": [35.6, 139.7]}, "latitude 139.7"),
        ({"type": "Point", "coordinates": [float("nan"), 2]}, "longitude nan"),
        ({"type": "MultiPoint", "coordinates": []}, "list of positions"),
        ({"type": "LineString", "coordinates": [[0, 0]]}, "two or more"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0]]]}, "four or more"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]]}, "closed"),
        ({"type": "Polygon", "coordinates": RING}, "ring"),
        ({"type": "MultiPolygon", "coordinates": [RING]}, "ring"),
        ({"type": "Point", "coordinates": [1, 2, 2**70]}, "altitude"),
        ({"type": "Point", "coordinates": [1, 2], "bbox": [1, 2]}, "bbox"),
        ({"type": "Point", "coordinates": [1, 2], "bbox": [1, 2, 3, 2**70]}, "bbox"),
        ({"type": "Point", "coordinates": [1, 2], "crs": {}}, "WGS 84"),
    ],
)
def test_a_wrong_geometry_is_refused_and_the_right_one_named(value, text):
    """The text of the error says what a right geometry would have."""
    with pytest.raises(ValueError, match=text):
        check_geometry(value)


def test_a_bounding_box_may_stand_in_a_geometry():
    """RFC 7946, 5: bbox is a member of any GeoJSON object."""
    check_geometry({"type": "Point", "coordinates": [1, 2], "bbox": [1, 2, 1, 2]})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"type": "Point", "coordinates": [999, 999]}, True),
        ({"type": "Point"}, False),
        ({"type": "Property", "coordinates": [1, 2]}, False),
        ({"type": ["Point"], "coordinates": [1, 2]}, False),
        ("Point", False),
        (None, False),
    ],
)
def test_a_geometry_is_told_by_its_type_and_its_coordinates(value, expected):
    """4.7.3: that shape is what a concise GeoProperty is inferred from, right or wrong as its numbers may be."""
    assert is_geometry(value) is expected
