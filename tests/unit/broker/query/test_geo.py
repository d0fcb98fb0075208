"""The geoquery language (4.10, 5.2.13)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.broker.query.texts import LETTERS
from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.query.geo import MAX_POSITIONS, parse_geo
from tsunagu.schemas.entity import LOCATION


def parse(georel: Any = "within", geometry: Any = "Point", coordinates: Any = "[8,40]", geoproperty: Any = None) -> Any:
    return parse_geo(georel, geometry, coordinates, geoproperty, LETTERS)


def test_near() -> None:
    """The relation near has one distance in metres."""
    query = parse("near;maxDistance==2000")
    assert (query.relation, query.max_distance, query.min_distance) == ("near", 2000, None)
    query = parse("near;minDistance==1.5e3")
    assert (query.relation, query.max_distance, query.min_distance) == ("near", None, 1500)


@pytest.mark.parametrize("relation", ["within", "contains", "overlaps", "intersects", "equals", "disjoint"])
def test_relations(relation: str) -> None:
    """The other relations have no parameters."""
    assert parse(relation).relation == relation


def test_geometry() -> None:
    """Coordinates come as JSON text or, in bodies, as an array."""
    for coordinates in ("[[8,40],[9,41]]", [[8, 40], [9, 41]]):
        assert parse("within", "LineString", coordinates).geometry == {
            "type": "LineString",
            "coordinates": [[8, 40], [9, 41]],
        }


def test_geoproperty() -> None:
    """The GeoProperty is location unless another one is named."""
    assert parse().attribute == LOCATION
    assert parse(geoproperty="observationSpace").attribute == "x:observationSpace"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((None, "Point", "[8,40]"), "georel"),
        (("within", None, "[8,40]"), "geometry"),
        (("within", "Point", None), "coordinates"),
        (("invalid",), "georel"),
        ((5,), "georel"),
        (("near",), "georel"),
        (("near;maxDistance==0",), "georel"),
        (("near;maxDistance==0.0e5",), "georel"),
        (("near;maxDistance==-5",), "georel"),
        (("near;maxDistance==inf",), "georel"),
        (("near;maxDistance==1e400",), "georel"),
        (("near;maxDistance=5",), "georel"),
        (("near;maxDistance==5;minDistance==1",), "georel"),
        (("within;maxDistance==5",), "georel"),
        (("within", "GeometryCollection"), "geometry"),
        (("within", 5), "geometry"),
        (("within", ["Point"]), "geometry"),
        (("within", "Point", "8,40"), "coordinates"),
        (("within", "Point", "[8]"), "coordinates"),
        (("within", "Point", '["8",40]'), "coordinates"),
        (("within", "Point", "[400,40]"), "coordinates"),
        (("within", "Point", "[NaN,40]"), "coordinates"),
        (("within", "Point", {"x": 8}), "coordinates"),
        (("within", "Polygon", "[[[0,0],[1,0],[1,1],[0,1]]]"), "coordinates"),
        (("within", "Polygon", "[8,40]"), "coordinates"),
        (("within", "Point", "[" * 100_000), "coordinates"),
        (("within", "MultiPoint", [[0, 0]] * (MAX_POSITIONS + 1)), "coordinates"),
        (("within", "Point", "[8,40]", "a b"), "geoproperty"),
        (("within", "Point", "[8,40]", 5), "geoproperty"),
    ],
)
def test_malformed(arguments: tuple[Any, ...], named: str) -> None:
    """What is missing or malformed is BadRequestData that names the parameter."""
    with pytest.raises(BadRequestData, match=rf"^{named}: "):
        parse(*arguments)
