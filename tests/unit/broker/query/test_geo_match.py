"""Distances of documents."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.query.geo import parse_geo
from tsunagu.broker.query.geo_match import compile_distance

PLACE = CORE.attribute("location")


def at(value: Any) -> dict[str, Any]:
    return {"type": "GeoProperty", "value": value}


def point(longitude: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [longitude, 0]}


LINE = {"type": "LineString", "coordinates": [[-1, 0], [1, 0]]}


@pytest.mark.parametrize(
    ("attrs", "degrees"),
    [
        ({}, math.inf),
        ({PLACE: at("nowhere")}, math.inf),
        ({PLACE: at(point(2))}, 2),
        ({PLACE: [at(point(3)), at(point(-2)), at("nowhere")]}, 2),
        ({PLACE: [at(point(3)), at(LINE)]}, 0),
    ],
)
def test_the_nearest_of_the_locations_counts(attrs: dict[str, Any], degrees: float) -> None:
    """A document is as far as its nearest location, whatever its shape, and infinitely far without any."""
    distance = compile_distance(parse_geo("near;maxDistance==1", "Point", [0, 0], None, CORE))
    assert distance({"attrs": attrs}) == pytest.approx(degrees * 111_195, rel=1e-4)
