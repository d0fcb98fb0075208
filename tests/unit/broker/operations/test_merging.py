"""Patches of one attribute, from the request body to the instance that is stored (5.5.8, 5.5.12, 6.5.3.4)."""

from __future__ import annotations

import pytest

from tests.unit.broker.jsonld.contexts import CITY
from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.jsonld.expand import expand_attribute, expand_entity, expand_fragment
from tsunagu.broker.operations.merging import merged_instance
from tsunagu.broker.operations.patch import fresh, partial_update
from tsunagu.schemas.entity import NULL

SPEED = CITY.attribute("speed")
ACCURACY = CITY.attribute("accuracy")
POINT = {"type": "Point", "coordinates": [8, 49]}


def stored(value):
    return expand_entity({"id": "urn:a:1", "type": "T", "speed": value}, CITY)["attrs"][SPEED]


def merge(old, new, *, simplified=False, **options):
    fragment = expand_fragment({"speed": new}, CITY, merge=True, simplified=simplified)["attrs"][SPEED]
    return merged_instance(None if old is None else stored(old), fragment, **options)


@pytest.mark.parametrize(
    ("old", "new", "result"),
    [
        (25, 30, 30),
        ({"value": 25, "unitCode": "CEL"}, {"value": 30}, {"value": 30, "unitCode": "CEL"}),
        ({"value": 25, "unitCode": "CEL"}, {"unitCode": NULL}, 25),
        ({"value": {"a": 1, "b": 2}}, {"value": {"a": NULL, "c": 3}}, {"value": {"b": 2, "c": 3}}),
        ({"value": 1, "accuracy": 2}, {"value": 3, "accuracy": NULL}, 3),
        ({"value": 1, "accuracy": 2}, {"type": "Property", "accuracy": 4}, {"value": 1, "accuracy": 4}),
        ({"value": 1}, {"value": 1, "accuracy": 4}, {"value": 1, "accuracy": 4}),
        (25, {"accuracy": {"type": "Property", "value": 2}}, {"value": 25, "accuracy": 2}),
        ({"object": "urn:a:2"}, {"accuracy": {"type": "Property", "value": 2}}, {"object": "urn:a:2", "accuracy": 2}),
        ({"value": {"a": 1}}, {"accuracy": {"value": 2}}, {"value": {"a": 1, "accuracy": {"value": 2}}}),
        ({"value": 1}, {"value": 1, "accuracy": NULL}, 1),
        (
            {"value": 1, "accuracy": {"value": 2, "unitCode": "P1"}},
            {"value": 1, "accuracy": {"unitCode": NULL, "observedAt": "2026-07-18T19:10:00Z"}},
            {"value": 1, "accuracy": {"value": 2, "observedAt": "2026-07-18T19:10:00Z"}},
        ),
        ({"object": "urn:a:2"}, "urn:a:3", {"object": "urn:a:3"}),
        (
            {"languageMap": {"en": "a", "fr": "b"}},
            {"languageMap": {"en": NULL, "ja": "c"}},
            {"languageMap": {"fr": "b", "ja": "c"}},
        ),
        (POINT, {"type": "Point", "coordinates": [1, 2]}, {"type": "Point", "coordinates": [1, 2]}),
        ({"json": {"a": 1}}, {"json": {"b": 2}}, {"json": {"a": 1, "b": 2}}),
        (None, 5, 5),
        (None, POINT, POINT),
        (None, {"value": 5, "unitCode": NULL}, 5),
        (5, {"object": "urn:a:2"}, {"object": "urn:a:2"}),
    ],
)
def test_a_fragment_is_merged(old, new, result):
    """5.5.12: to any depth, without changing what is not named; a Null removes."""
    assert merge(old, new) == stored(result)


@pytest.mark.parametrize(
    ("old", "new", "result"),
    [
        ({"languageMap": {"en": "a"}}, {"languageMap": {"fr": "b"}}, {"languageMap": {"en": "a", "fr": "b"}}),
        ({"vocab": "Vehicle"}, {"vocab": "nonCommercial"}, {"vocab": "nonCommercial"}),
        ({"json": {"a": 1}}, {"json": {"a": 2}}, {"json": {"a": 2}}),
        ({"valueList": [1]}, [2, 3], {"valueList": [2, 3]}),
        ({"objectList": ["urn:a:1"]}, ["urn:a:2"], {"objectList": ["urn:a:2"]}),
        (
            {"value": {"type": "Address", "no": 1}},
            {"type": "Address", "no": 2},
            {"value": {"type": "Address", "no": 2}},
        ),
        (None, {"vocab": "nonCommercial"}, {"vocab": "nonCommercial"}),
        (None, "urn:a:1", "urn:a:1"),
    ],
)
def test_a_simplified_fragment_keeps_the_kind(old, new, result):
    """6.5.3.4: the type of the attribute remains unchanged."""
    assert merge(old, new, simplified=True) == stored(result)


def test_a_text_goes_under_the_common_language():
    """6.5.3.4: the parameter lang determines the key within the languageMap."""
    merged = merge({"languageMap": {"en": "a", "fr": "b"}}, "c", simplified=True, lang="fr")
    assert merged == stored({"languageMap": {"en": "a", "fr": "c"}})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"object": "urn:a:2"}, 5),
        (POINT, "somewhere"),
        ({"languageMap": {"en": "a"}}, 5),
        ({"vocab": "Vehicle"}, "text"),
    ],
)
def test_a_value_that_cannot_be_of_the_kind_is_refused(old, new):
    """6.5.3.4: any attempt to modify the type of an attribute shall result in an error."""
    with pytest.raises(BadRequestData, match=r"value: .*the attribute is a"):
        merge(old, new, simplified=True)


@pytest.mark.parametrize("new", [{"type": "Property", "unitCode": "CEL"}, {"observedAt": "2026-07-18T19:10:00Z"}])
def test_a_new_attribute_needs_a_value(new):
    """5.6.17.4: an attribute that is not there is appended, and then it has to be whole."""
    with pytest.raises(BadRequestData, match="needs the member value"):
        merge(None, new)


def partial(old, new):
    before = fresh(expand_entity({"id": "urn:a:1", "type": "T", "speed": old}, CITY), 1000, 1000)
    fragment = expand_attribute(new, CITY, name=SPEED, partial=True, allow_null=True)
    return partial_update(before, "urn:a:1", SPEED, fragment, 2000).after


@pytest.mark.parametrize(
    ("old", "new", "result"),
    [
        ({"value": 25, "unitCode": "CEL"}, {"value": 30}, {"value": 30, "unitCode": "CEL"}),
        ({"value": 25, "unitCode": "CEL"}, {"unitCode": NULL}, 25),
        ({"value": 1, "accuracy": 2}, {"accuracy": NULL}, 1),
        ({"value": 1, "accuracy": 2}, {"accuracy": {"type": "Property", "value": NULL}}, 1),
        ({"value": 1, "accuracy": {"value": 2, "unitCode": "P1"}}, {"accuracy": 3}, {"value": 1, "accuracy": 3}),
        ({"value": {"type": "Address", "a": 1}}, {"value": {"type": "Address"}}, {"value": {"type": "Address"}}),
        (POINT, {"value": {"type": "Point", "coordinates": [1, 2]}}, {"type": "Point", "coordinates": [1, 2]}),
        ({"object": "urn:a:2"}, {"object": "urn:a:3"}, {"object": "urn:a:3"}),
        ({"languageMap": {"en": "a"}}, {"languageMap": {"fr": "b"}}, {"languageMap": {"fr": "b"}}),
    ],
)
def test_a_partial_update_replaces_the_members_it_names(old, new, result):
    """5.5.8 example 1: member by member, values and sub-attributes as wholes."""
    assert partial(old, new)["attrs"][SPEED] == stored(result)


@pytest.mark.parametrize(
    ("old", "new", "member"),
    [
        ({"object": "urn:a:2"}, {"unitCode": "CMT"}, "unitCode"),
        ({"languageMap": {"en": "a"}}, {"unitCode": "CMT"}, "unitCode"),
        (5, {"objectType": "Vehicle"}, "objectType"),
    ],
)
def test_a_member_of_another_kind_is_refused(old, new, member):
    """4.5.3.2 ff: a fragment without type brings no member that the kind of the attribute prohibits; a Null is idle."""
    for apply in (merge, partial):
        with pytest.raises(BadRequestData, match=f"^{member}: a .* does not have this member"):
            apply(old, new)
    assert merge(old, {member: NULL}) == stored(old)


@pytest.mark.parametrize(
    ("old", "new"), [({"object": "urn:a:2"}, {"value": 5}), (POINT, {"value": 5}), (5, {"object": "urn:a:2"})]
)
def test_a_partial_update_does_not_change_the_kind(old, new):
    """5.6.4: the attribute stays what it is."""
    with pytest.raises(BadRequestData):
        partial(old, new)


def test_unchanged_sub_attributes_keep_their_times():
    """4.8: modifiedAt tells when something was last modified."""
    after = partial({"value": 1, "accuracy": 2}, {"value": 3})
    assert after["sys"][SPEED] == {"c": 1000, "m": 2000, "s": {ACCURACY: {"c": 1000, "m": 1000}}}
