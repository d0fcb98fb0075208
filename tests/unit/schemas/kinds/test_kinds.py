"""Each attribute kind: what it reads, stores, shows and takes for Null."""

from __future__ import annotations

import pytest

from tsunagu.schemas.entity import NULL
from tsunagu.schemas.kinds import BY_MEMBER, KINDS, MEMBERS

POINT = {"type": "Point", "coordinates": [8, 49]}


class Terms:
    """Expands and compacts under one namespace."""

    def expand_term(self, term):
        return term if ":" in term else "http://example.org/" + term

    def expand_id(self, value):
        return value.replace("ex:", "http://example.org/", 1)

    def compact_iri(self, iri):
        return iri.removeprefix("http://example.org/")


TERMS = Terms()

READ = [
    ("Property", 2.14, 2.14),
    ("Property", {"street": "Main"}, {"street": "Main"}),
    ("GeoProperty", POINT, POINT),
    ("GeoProperty", '{"type": "Point", "coordinates": [8, 49]}', POINT),
    ("Relationship", "urn:a:1", "urn:a:1"),
    ("Relationship", "ex:1", "http://example.org/1"),
    ("Relationship", ["urn:a:1", "ex:2"], ["urn:a:1", "http://example.org/2"]),
    (
        "LanguageProperty",
        {"en": "x", "fr-CH": ["y", "z"], "@none": "w"},
        {"en": "x", "fr-CH": ["y", "z"], "@none": "w"},
    ),
    ("VocabProperty", "non-commercial", "http://example.org/non-commercial"),
    ("VocabProperty", ["Male", "http://x.org/F"], ["http://example.org/Male", "http://x.org/F"]),
    ("JsonProperty", {"id": 1, "x": None}, {"id": 1, "x": None}),
    ("ListProperty", [1, "a", [2]], [1, "a", [2]]),
    ("ListProperty", [], []),
    ("ListRelationship", ["urn:a:1", {"object": "ex:2"}], ["urn:a:1", "http://example.org/2"]),
]


@pytest.mark.parametrize(("kind", "given", "stored"), READ)
def test_a_right_value_is_stored(kind, given, stored):
    """4.5: the value of each kind, terms and prefixes expanded."""
    assert KINDS[kind].read(given, TERMS) == stored


@pytest.mark.parametrize(
    ("kind", "given", "text"),
    [
        ("Property", None, "null is not a value"),
        ("GeoProperty", {"type": "Point", "coordinates": [1]}, "position"),
        ("GeoProperty", "not a geometry", "GeoJSON geometry"),
        ("GeoProperty", "[1, 2]", "GeoJSON geometry"),
        ("GeoProperty", 5, "GeoJSON geometry"),
        ("GeoProperty", POINT | {"a\0b": 1}, r"U\+0000"),
        ("GeoProperty", POINT | {"source": None}, "null is not a value"),
        ("Relationship", "not a uri", "URI is expected"),
        ("Relationship", 5, "URI is expected"),
        ("Relationship", {"object": "urn:a:1"}, "URI is expected"),
        ("Relationship", [], "one or more"),
        ("Relationship", ["urn:a:1", 2], "URI is expected"),
        ("LanguageProperty", {}, "one or more language tags"),
        ("LanguageProperty", "x", "one or more language tags"),
        ("LanguageProperty", {"": "x"}, "not a language tag"),
        ("LanguageProperty", {"e n": "x"}, "not a language tag"),
        ("LanguageProperty", {"en": 5}, "string or an array of strings"),
        ("LanguageProperty", {"en": ["a", 5]}, "string or an array of strings"),
        ("LanguageProperty", {"en": None}, "string or an array of strings"),
        ("VocabProperty", 5, "term"),
        ("VocabProperty", "", "term"),
        ("VocabProperty", [], "term"),
        ("VocabProperty", ["a", {}], "term"),
        ("JsonProperty", 5, "JSON object"),
        ("ListProperty", 5, "array of values"),
        ("ListProperty", [None], "null is not a value"),
        ("ListRelationship", "urn:a:1", "array is expected"),
        ("ListRelationship", ["not a uri"], "URI or"),
        ("ListRelationship", [{"object": "urn:a:1", "x": 1}], "URI or"),
        ("ListRelationship", [{"object": ["urn:a:1"]}], "URI or"),
    ],
)
def test_a_wrong_value_is_refused_and_the_right_one_named(kind, given, text):
    """The text of the error says what is expected of this kind."""
    with pytest.raises(ValueError, match=text):
        KINDS[kind].read(given, TERMS)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_the_null_of_a_kind_is_known_as_such(kind):
    """4.5.0: each kind has its encoding of NGSI-LD Null; the bare string is understood for every kind."""
    assert kind.is_null(kind.null)
    assert kind.is_null(NULL)


@pytest.mark.parametrize(("kind", "given", "stored"), READ)
def test_a_value_is_no_null(kind, given, stored):
    """What can be stored does not ask for a deletion."""
    assert not KINDS[kind].is_null(given)


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS.values() if kind.name != "JsonProperty"], ids=lambda kind: kind.name
)
def test_a_null_is_not_stored(kind):
    """5.5.4: outside of patches a Null is an error, whatever the kind."""
    with pytest.raises(ValueError, match=r"deletes|GeoJSON"):
        kind.read(kind.null, TERMS)


@pytest.mark.parametrize(("kind", "given", "stored"), READ)
def test_what_is_shown_reads_as_what_is_stored(kind, given, stored):
    """Normalized and concise output of a value lead back to the stored value."""
    record = KINDS[kind]
    shown = record.write(stored, TERMS)
    assert record.read(shown, TERMS) == stored
    assert record.read(record.concise(shown), TERMS) == stored


@pytest.mark.parametrize(("kind", "given", "stored"), READ)
def test_the_simplified_form_leads_back_to_the_value(kind, given, stored):
    """4.5.4: what is wrapped on the way out is unwrapped on the way in."""
    record = KINDS[kind]
    simplified = record.simplify(record.write(stored, TERMS))
    assert record.read(record.wrap(simplified), TERMS) == stored


@pytest.mark.parametrize(
    ("kind", "stored", "normalized", "simplified"),
    [
        ("Property", 5, 5, 5),
        ("LanguageProperty", {"en": "x"}, {"en": "x"}, {"languageMap": {"en": "x"}}),
        ("VocabProperty", "http://example.org/M", "M", {"vocab": "M"}),
        ("VocabProperty", ["http://example.org/M"], ["M"], {"vocab": ["M"]}),
        ("JsonProperty", {"a": 1}, {"a": 1}, {"json": {"a": 1}}),
        ("ListProperty", [1, 2], [1, 2], [1, 2]),
        ("ListRelationship", ["urn:a:1"], [{"object": "urn:a:1"}], ["urn:a:1"]),
        ("ListRelationship", [NULL], [NULL], [NULL]),
        ("Relationship", ["urn:a:1"], ["urn:a:1"], ["urn:a:1"]),
    ],
)
def test_values_are_shown_as_the_clauses_have_it(kind, stored, normalized, simplified):
    """4.5.4 and 4.5.22: terms are compact, list targets are objects, and some kinds are wrapped when simplified."""
    record = KINDS[kind]
    assert record.write(stored, TERMS) == normalized
    assert record.simplify(record.write(stored, TERMS)) == simplified


@pytest.mark.parametrize(
    ("kind", "left", "right", "expected"),
    [
        ("Property", 1, 1.0, True),
        ("Property", 1, True, False),
        ("Relationship", ["urn:a:1", "urn:a:2"], ["urn:a:2", "urn:a:1"], True),
        ("Relationship", "urn:a:1", ["urn:a:1"], False),
        ("VocabProperty", ["http://a", "http://b"], ["http://b", "http://a"], True),
        ("VocabProperty", "http://a", "http://b", False),
        ("LanguageProperty", {"en": "x"}, {"en": "x"}, True),
        ("ListProperty", [1, 2], [2, 1], False),
        ("ListRelationship", ["urn:a:1", "urn:a:2"], ["urn:a:2", "urn:a:1"], False),
        ("JsonProperty", {"a": 1}, {"a": 1.0}, True),
    ],
)
def test_two_values_are_compared_as_the_kind_means_them(kind, left, right, expected):
    """Arrays of a Relationship or a VocabProperty have no order (4.5.3.2), those of the list kinds have."""
    assert KINDS[kind].equal(left, right) is expected


def test_every_value_member_names_its_kind():
    """4.5.2.3: the value member implies the kind; value alone stands for a Property."""
    assert {member: kind.name for member, kind in BY_MEMBER.items()} == {
        "value": "Property",
        "object": "Relationship",
        "languageMap": "LanguageProperty",
        "vocab": "VocabProperty",
        "json": "JsonProperty",
        "valueList": "ListProperty",
        "objectList": "ListRelationship",
    }


def test_no_member_could_be_a_stored_name():
    """Stored names are IRIs with a colon, so that members and sub-attributes never clash."""
    assert not [member for member in MEMBERS if ":" in member]
