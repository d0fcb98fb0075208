"""Strategies: right NGSI-LD attributes of every kind, nested and multiple, under the CITY context."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

KEYS = st.sampled_from(("a", "type", "value", "object", "json", "unitCode", "@type", "coordinates", "datasetId"))
SCALARS = (
    st.booleans() | st.integers(-5, 5) | st.floats(-1, 1) | st.sampled_from(("x", "Property", "Point", "urn:a:1", ""))
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)
POINTS = st.sampled_from(
    ({"type": "Point", "coordinates": [1, 2]}, {"type": "LineString", "coordinates": [[1, 2], [3, 4]]})
)
URIS = st.sampled_from(("urn:a:1", "http://example.org/x"))
TERMS = st.sampled_from(("Vehicle", "nonCommercial", "x-y", "http://c.example/z"))
VALUES = st.one_of(
    st.builds(lambda v: {"type": "Property", "value": v}, JSON | POINTS),
    st.builds(lambda v: {"type": "GeoProperty", "value": v}, POINTS),
    st.builds(lambda v: {"type": "Relationship", "object": v}, URIS | st.lists(URIS, min_size=1, max_size=2)),
    st.builds(lambda v: {"type": "LanguageProperty", "languageMap": v}, st.just({"en": "x", "@none": ["y"]})),
    st.builds(lambda v: {"type": "VocabProperty", "vocab": v}, TERMS | st.lists(TERMS, min_size=1, max_size=2)),
    st.builds(lambda v: {"type": "JsonProperty", "json": v}, st.dictionaries(KEYS, JSON | st.none(), max_size=2)),
    st.builds(lambda v: {"type": "ListProperty", "valueList": v}, st.lists(JSON, max_size=3)),
    st.builds(lambda v: {"type": "ListRelationship", "objectList": v}, st.lists(URIS, max_size=2)),
)
METADATA = st.fixed_dictionaries(
    {}, optional={"observedAt": st.just("2026-07-18T19:10:00Z"), "expiresAt": st.just("2099-07-18T19:10:00Z")}
)
NAMES = st.sampled_from(("speed", "brandName", "accuracy", "other"))
INNER = st.builds(lambda value, meta: value | meta, VALUES, METADATA)
INSTANCES = st.builds(
    lambda value, meta, inner: value | meta | inner, VALUES, METADATA, st.dictionaries(NAMES, INNER, max_size=2)
)


def _several(instances: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one | ({"datasetId": f"urn:d:{number}"} if number else {}) for number, one in enumerate(instances)]


ATTRIBUTES = INSTANCES | st.lists(INSTANCES, min_size=2, max_size=3).map(_several)
BODIES = st.dictionaries(NAMES, ATTRIBUTES, max_size=3)
