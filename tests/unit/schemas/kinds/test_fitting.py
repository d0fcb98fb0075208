"""Giving a value the kind of the attribute that it goes into."""

from __future__ import annotations

import pytest

from tsunagu.schemas.entity import NULL
from tsunagu.schemas.kinds import KINDS
from tsunagu.schemas.kinds.fitting import fitted, is_deletion

POINT = {"type": "Point", "coordinates": [8, 49]}


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("Property", 5, {"type": "Property", "value": 5}),
        ("Property", POINT, {"type": "Property", "value": POINT}),
        ("GeoProperty", POINT, {"type": "GeoProperty", "value": POINT}),
        ("Relationship", "urn:a:1", {"type": "Relationship", "object": "urn:a:1"}),
        ("LanguageProperty", {"languageMap": {"en": "x"}}, {"type": "LanguageProperty", "languageMap": {"en": "x"}}),
        ("LanguageProperty", {"en": "x"}, {"type": "LanguageProperty", "languageMap": {"en": "x"}}),
        ("VocabProperty", {"vocab": "http://a/M"}, {"type": "VocabProperty", "vocab": "http://a/M"}),
        ("JsonProperty", {"json": {"a": 1}}, {"type": "JsonProperty", "json": {"a": 1}}),
        ("ListProperty", [1, 2], {"type": "ListProperty", "valueList": [1, 2]}),
        ("ListRelationship", ["urn:a:1"], {"type": "ListRelationship", "objectList": ["urn:a:1"]}),
    ],
)
def test_a_value_takes_the_kind_of_the_attribute_that_is_there(kind, value, expected):
    """5.6.17.4: the type of a pre-existing attribute is preserved when a simplified value is merged."""
    assert fitted({"value": value}, KINDS[kind]) == expected


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (5, "Property"),
        ("urn:a:1", "Property"),
        ({"a": 1}, "Property"),
        (POINT, "GeoProperty"),
        ({"languageMap": {"en": "x"}}, "LanguageProperty"),
        ({"vocab": "http://a/M"}, "VocabProperty"),
        ({"json": {"a": 1}}, "JsonProperty"),
    ],
)
def test_without_an_attribute_the_value_decides(value, kind):
    """A new attribute takes the kind that its simplified form shows (4.5.4)."""
    assert fitted({"value": value}, None)["type"] == kind


@pytest.mark.parametrize(
    ("value", "lang", "expected"),
    [("Grand Place", "fr", {"fr": "Grand Place"}), (["a", "b"], None, {"@none": ["a", "b"]})],
)
def test_a_string_goes_into_a_language_map_under_the_common_language(value, lang, expected):
    """6.5.3.4: the parameter lang determines the key of a string or an array of strings."""
    assert fitted({"value": value}, KINDS["LanguageProperty"], lang=lang)["languageMap"] == expected


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("Relationship", 5),
        ("GeoProperty", "x"),
        ("LanguageProperty", 5),
        ("VocabProperty", "Male"),
        ("JsonProperty", 5),
        ("ListProperty", 5),
    ],
)
def test_a_value_that_cannot_be_of_the_kind_is_refused(kind, value):
    """6.5.3.4: an attempt to change the type of an attribute in the simplified form is an error."""
    with pytest.raises(ValueError, match=r"expected|given as"):
        fitted({"value": value}, KINDS[kind])


def test_members_beside_the_value_are_kept():
    """A fragment without type may have metadata, which stays."""
    fragment = {"value": 7, "unitCode": "CEL", "datasetId": "urn:a:1"}
    assert fitted(fragment, KINDS["Property"]) == {
        "type": "Property",
        "value": 7,
        "unitCode": "CEL",
        "datasetId": "urn:a:1",
    }


def test_a_fragment_without_a_value_gets_the_type_only():
    """Metadata alone may be updated."""
    assert fitted({"unitCode": "CEL"}, KINDS["Property"]) == {"type": "Property", "unitCode": "CEL"}


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_null_stays_a_null(kind):
    """A deletion is a deletion, whatever the kind of what is deleted."""
    assert kind.is_null(fitted({"value": NULL}, kind)[kind.member])


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_null_value_asks_for_deletion(kind):
    """5.5.8: in each kind's own encoding; a datasetId says of which instance."""
    assert is_deletion({"type": kind.name, kind.member: kind.null, "datasetId": "urn:d:1"})


@pytest.mark.parametrize(
    "instance",
    [{"type": "Property", "value": 5}, {"type": "Property", "unitCode": "CEL"}, {"value": 5}, {"observedAt": NULL}, {}],
)
def test_anything_else_does_not(instance):
    """A value, or no value at all, deletes nothing."""
    assert not is_deletion(instance)
