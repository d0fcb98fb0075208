"""Whatever a client sends: it is refused with BadRequestData, or it can be stored and shown."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import bson
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.broker.jsonld.bodies import BODIES, INSTANCES
from tests.unit.broker.jsonld.contexts import CITY
from tsunagu.broker.errors import BadRequestData, ResourceNotFound
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.jsonld.definitions import compile_context
from tsunagu.broker.jsonld.expand import expand_attribute, expand_entity, expand_fragment
from tsunagu.broker.operations.patch import fresh, merge, partial_update, update
from tsunagu.broker.representations import View
from tsunagu.schemas.entity import NULL
from tsunagu.schemas.kinds import KINDS, MEMBERS

WORDS = st.sampled_from(
    (
        *KINDS,
        "Point",
        "Polygon",
        "urn:a:1",
        NULL,
        "@none",
        "en",
        "/a/b",
        "",
        "2026-07-18T19:10:00Z",
        "x",
        "a\0b",
        "é",
        "ex:y",
    )
)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from((2**63, -(2**64), 1e400))
KEYS = st.sampled_from(
    (
        *MEMBERS,
        *(
            "@type",
            "@value",
            "@id",
            "@context",
            "@list",
            "id",
            "scope",
            "dataset",
            "entity",
            "previousValue",
            "createdAt",
        ),
        *(
            "speed",
            "isParked",
            "category",
            "location",
            "ngsildproof",
            "coordinates",
            "a.b",
            "$set",
            "a\0b",
            "",
            "en",
            "@none",
        ),
    )
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=15,
)


def places(body: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) of a JSON value."""
    found: list[tuple[Any, Any]] = []
    items = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, item in items:
        found += [(body, key), *places(item)]
    return found


@st.composite
def spoiled(draw: Any, bodies: st.SearchStrategy[Any]) -> Any:
    """Return a right body in which up to two things were replaced, added or removed."""
    body = deepcopy(draw(bodies))
    for _ in range(draw(st.integers(0, 2))):
        spots = places(body)
        if not spots:
            break
        container, key = draw(st.sampled_from(spots))
        deed = draw(st.sampled_from(("replace", "add", "remove")))
        if deed == "replace":
            container[key] = draw(JSON)
        elif deed == "add" and isinstance(container, dict):
            container[draw(KEYS)] = draw(JSON)
        else:
            del container[key]
    return body


ENTITIES = spoiled(BODIES.map(lambda attributes: {"id": "urn:a:1", "type": "Vehicle", **attributes}))
FRAGMENTS = spoiled(BODIES)
ATTRIBUTES = spoiled(INSTANCES)
MANY = settings(max_examples=examples(100), deadline=None)


def storable(document: dict[str, Any]) -> None:
    """Check that the store can keep a document and that every representation of it is JSON."""
    bson.encode(document)
    for form in ("normalized", "concise", "simplified"):
        for options in ({}, {"sys_attrs": True}, {"geojson": True}, {"lang": "en"}, {"dataset_ids": ("@none",)}):
            orjson.dumps(View(format=form, **options).render(document, CORE))


@MANY
@given(body=ENTITIES | JSON)
def test_any_entity_is_refused_or_can_be_stored_and_shown(body):
    """A body never leads to an error of ours: neither when it is read, nor when it is stored, nor when it is shown."""
    try:
        entity = expand_entity(body, CITY)
    except BadRequestData:
        return
    storable(fresh(entity, 1000, 1000))


WHOLE = {
    "id": "urn:a:1",
    "type": "Vehicle",
    "speed": {"value": {"a": 1}, "accuracy": 2},
    "isParked": [{"object": "urn:a:2"}, {"object": "urn:a:3", "datasetId": "urn:d:1"}],
    "category": {"vocab": "nonCommercial"},
    "location": {"type": "Point", "coordinates": [1, 2]},
    "brandName": {"languageMap": {"en": "x"}},
}


def before() -> dict[str, Any]:
    """Return a document to patch."""
    return fresh(expand_entity(orjson.loads(orjson.dumps(WHOLE)), CITY), 1000, 1000)


@pytest.mark.parametrize(
    ("options", "patch"),
    [({"allow_null": True}, update), ({"merge": True}, merge), ({"merge": True, "simplified": True}, merge)],
)
@MANY
@given(body=FRAGMENTS)
def test_any_fragment_is_refused_or_can_be_applied(options, patch, body):
    """The same holds for updates and merges, with Nulls wherever they may stand."""
    try:
        outcome = patch(before(), "urn:a:1", expand_fragment(body, CITY, **options), 2000)
    except BadRequestData:
        return
    storable(outcome.after)


@MANY
@given(body=ATTRIBUTES, name=st.sampled_from(("speed", "isParked", "category", "location", "brandName")))
def test_any_partial_update_is_refused_or_can_be_applied(body, name):
    """The same holds for partial updates of one attribute."""
    stored = CITY.attribute(name)
    try:
        fragment = expand_attribute(body, CITY, name=stored, partial=True, allow_null=True)
        outcome = partial_update(before(), "urn:a:1", stored, fragment, 2000)
    except (BadRequestData, ResourceNotFound):
        return
    storable(outcome.after)


CONTEXT_KEYS = st.sampled_from(
    ("@vocab", "@base", "@version", "@id", "@type", "@protected", "@foo", "a", "b", "a:b", "", "type")
)
CONTEXT_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(("http://x/", "a:b", "a", "b", "@type", "@foo", "", ":", "_:a")),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(CONTEXT_KEYS, inner, max_size=4),
    max_leaves=6,
)


@MANY
@given(st.lists(st.dictionaries(CONTEXT_KEYS, CONTEXT_VALUES, max_size=4) | st.none(), max_size=3))
def test_any_context_is_refused_or_serves(definitions):
    """An @context is invalid, which is BadRequestData, or it expands and compacts names."""
    try:
        context = compile_context(definitions, definitions, url=None)
    except BadRequestData:
        return
    for name in ("a", "b", "a:b", "location"):
        try:
            stored = context.attribute(name)
        except BadRequestData:
            continue
        assert context.attribute(context.compact_name(stored)) == stored
