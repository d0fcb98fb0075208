"""Geoqueries in memory (4.10): any instance of the GeoProperty that stands in the relation will do."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tsunagu.broker.query.geometry import distance_from, relation_test
from tsunagu.schemas.entity import instances
from tsunagu.schemas.geo import is_geometry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tsunagu.broker.query.ast import GeoQuery
    from tsunagu.schemas.entity import Document


def compile_geo(geo: GeoQuery) -> Callable[[Document], bool]:
    """Return whether a document meets the geoquery; without the GeoProperty it does not, whatever the relation."""
    attribute = geo.attribute
    test = geometry_test(geo)

    def matches(document: Document) -> bool:
        found = document["attrs"].get(attribute)
        if found is None:
            return False
        return any(is_geometry(instance.get("value")) and test(instance["value"]) for instance in instances(found))

    return matches


def compile_distance(geo: GeoQuery) -> Callable[[Document], float]:
    """Return the distance, in metres, of a document's nearest location from the geoquery's; infinite without one."""
    attribute = geo.attribute
    distance = distance_from(geo.geometry)

    def nearest(document: Document) -> float:
        found = document["attrs"].get(attribute)
        if type(found) is dict:
            value: Any = found.get("value")
            return distance(value) if is_geometry(value) else math.inf
        if found is None:
            return math.inf
        values = [one["value"] for one in instances(found) if is_geometry(one.get("value"))]
        return min(map(distance, values), default=math.inf)

    return nearest


def geometry_test(geo: GeoQuery) -> Callable[[Mapping[str, Any]], bool]:
    """Return whether a GeoJSON geometry meets the geoquery. maxDistance includes its bound, minDistance excludes it."""
    if geo.relation != "near":
        return relation_test(geo.relation, geo.geometry)
    distance = distance_from(geo.geometry)
    if geo.max_distance is not None:
        farthest = geo.max_distance
        return lambda geometry: distance(geometry) <= farthest
    nearest = geo.min_distance or 0.0
    return lambda geometry: distance(geometry) > nearest
