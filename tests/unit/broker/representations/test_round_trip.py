"""Whatever is shown losslessly can be sent back and means the same."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.broker.jsonld.contexts import CITY
from tests.unit.broker.representations.stored import document_of
from tsunagu.broker.jsonld.expand import expand_entity
from tsunagu.broker.representations import View

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


@pytest.mark.parametrize("form", ["normalized", "concise"])
@settings(max_examples=120, deadline=None)
@given(body=BODIES)
def test_a_lossless_form_reads_as_what_is_stored(form, body):
    """4.5.2.1: normalized and concise are equally valid lossless formats."""
    document = document_of(deepcopy(body))
    shown = View(format=form, sys_attrs=True).render(document, CITY)
    back = expand_entity(deepcopy(shown), CITY)
    assert back == {"id": document["_id"], "type": document["type"], "attrs": document["attrs"]}
