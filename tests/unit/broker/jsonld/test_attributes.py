"""Attributes: normalized, concise and simplified, of every kind, multiple and nested."""

from __future__ import annotations

import pytest

from tests.unit.broker.jsonld.contexts import CITY
from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.jsonld.attributes import DEPTH_LIMIT
from tsunagu.broker.jsonld.expand import expand_attribute, expand_entity, expand_fragment
from tsunagu.schemas.entity import NULL, stored_name
from tsunagu.schemas.kinds.fitting import is_deletion

VOCAB = "https://uri.etsi.org/ngsi-ld/default-context/"
ACCURACY = stored_name("http://example.org/accuracy")
PROVIDED_BY = stored_name("http://example.org/providedBy")
PROBE = stored_name(VOCAB + "probe")
POINT = {"type": "Point", "coordinates": [8, 49]}


def probe(value):
    """Return the stored form of an attribute in a whole entity."""
    return expand_entity({"id": "urn:a:1", "type": "T", "probe": value}, CITY)["attrs"][PROBE]


def merged(value, **options):
    """Return the stored form of an attribute in a merge patch."""
    return expand_fragment({"probe": value}, CITY, merge=True, **options)["attrs"][PROBE]


def updated(value):
    """Return the stored form of an attribute in an update."""
    return expand_fragment({"probe": value}, CITY, allow_null=True)["attrs"][PROBE]


def refused(value, text, read=probe):
    with pytest.raises(BadRequestData, match=text):
        read(value)


NORMALIZED = [
    ({"type": "Property", "value": 1}, None),
    ({"type": "Property", "value": {"a": [1, "b"]}, "unitCode": "CEL"}, None),
    ({"type": "GeoProperty", "value": POINT}, None),
    ({"type": "Relationship", "object": "urn:a:2"}, None),
    ({"type": "Relationship", "object": ["urn:a:2", "ex:3"]}, {"object": ["urn:a:2", "http://example.org/3"]}),
    (
        {"type": "Relationship", "object": "urn:a:2", "objectType": "Vehicle"},
        {"objectType": "http://example.org/Vehicle"},
    ),
    (
        {"type": "Relationship", "object": "urn:a:2", "objectType": ["Vehicle", "X"]},
        {"objectType": ["http://example.org/Vehicle", VOCAB + "X"]},
    ),
    ({"type": "LanguageProperty", "languageMap": {"en": "x"}}, None),
    ({"type": "VocabProperty", "vocab": "nonCommercial"}, {"vocab": "http://vocab.example/non-commercial"}),
    ({"type": "JsonProperty", "json": {"id": "x", "speed": 1}}, None),
    ({"type": "ListProperty", "valueList": [1, 2], "unitCode": "CEL"}, None),
    ({"type": "ListRelationship", "objectList": [{"object": "urn:a:2"}]}, {"objectList": ["urn:a:2"]}),
    (
        {"type": "Property", "value": 1, "valueType": "xsd:double"},
        {"valueType": "http://www.w3.org/2001/XMLSchema#double"},
    ),
    (
        {"type": "Property", "value": 1, "observedAt": "2026-07-18T19:10:00,5Z"},
        {"observedAt": "2026-07-18T19:10:00.5Z"},
    ),
    ({"type": "Property", "value": 1, "expiresAt": "2099-07-18T19:10:00Z"}, None),
    ({"type": "Property", "value": 1, "datasetId": "ex:d"}, {"datasetId": "http://example.org/d"}),
    ({"type": "GeoProperty", "value": POINT, "unitCode": "MTR"}, None),
]


@pytest.mark.parametrize(("given", "changed"), NORMALIZED)
def test_a_normalized_attribute_is_stored(given, changed):
    """4.5.2.2 ff: members stay, names in them become IRIs."""
    assert probe(dict(given)) == given | (changed or {})


@pytest.mark.parametrize(("given", "changed"), [row for row in NORMALIZED if row[0]["type"] != "GeoProperty"])
def test_the_type_may_be_left_out(given, changed):
    """4.5.2.3 ff: the value member implies the kind."""
    concise = {key: item for key, item in given.items() if key != "type"}
    assert probe(concise) == given | (changed or {})


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (55, {"type": "Property", "value": 55}),
        ("text", {"type": "Property", "value": "text"}),
        (False, {"type": "Property", "value": False}),
        ([1, "a", {"b": 2}], {"type": "Property", "value": [1, "a", {"b": 2}]}),
        ([], {"type": "Property", "value": []}),
        ({}, {"type": "Property", "value": {}}),
        ({"street": "Main", "no": 5}, {"type": "Property", "value": {"street": "Main", "no": 5}}),
        ({"value": {"unitCode": "KGM", "n": 3}}, {"type": "Property", "value": {"unitCode": "KGM", "n": 3}}),
        (POINT, {"type": "GeoProperty", "value": POINT}),
        ({"value": POINT}, {"type": "GeoProperty", "value": POINT}),
        ({"type": "Property", "value": POINT}, {"type": "Property", "value": POINT}),
        ([POINT, POINT], {"type": "Property", "value": [POINT, POINT]}),
        (
            {"@type": "DateTime", "@value": "2018-12-04T12:00:00Z"},
            {"type": "Property", "value": {"@type": "DateTime", "@value": "2018-12-04T12:00:00Z"}},
        ),
        ({"@type": "Property", "value": 5}, {"type": "Property", "value": 5}),
        (
            {"type": "https://uri.etsi.org/ngsi-ld/Relationship", "object": "urn:a:2"},
            {"type": "Relationship", "object": "urn:a:2"},
        ),
        ({"type": "ngsi-ld:Property", "value": 5}, {"type": "Property", "value": 5}),
        ({"objectList": ["urn:a:2"]}, {"type": "ListRelationship", "objectList": ["urn:a:2"]}),
        (
            {"type": "GeoProperty", "value": '{"type": "Point", "coordinates": [8, 49]}'},
            {"type": "GeoProperty", "value": POINT},
        ),
    ],
)
def test_concise_and_other_spellings_are_understood(given, stored):
    """4.5.2.3, 4.7.2, 4.7.3, 4.4: bare values, bare geometries, keywords and full names of kinds."""
    assert probe(given) == stored


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, "^probe: null is not a value"),
        (NULL, "^probe: .*asks for a deletion"),
        ({"type": "Property"}, "^probe: a Property needs the member value"),
        ({"vlaue": 3, "unitCode": "KGM"}, "^probe: there is unitCode but no value"),
        ({"value": 1, "sub": {"observedAt": "2026-07-18T19:10:00Z"}}, r"^probe\.sub: there is observedAt but no"),
        ({"type": "Relationship"}, "^probe: a Relationship needs the member object"),
        ({"type": "LanguageProperty"}, "needs the member languageMap"),
        ({"type": "ListProperty"}, "needs the member valueList"),
        ({"type": "Property", "value": None}, r"^probe\.value: null"),
        ({"type": "Property", "value": NULL}, r"^probe\.value: .*deletes"),
        ({"type": "Property", "value": {"a": {"b": NULL}}}, r"^probe\.value: .*deletes"),
        ({"type": "Relationship", "object": NULL}, r"^probe\.object: .*deletes"),
        ({"type": "LanguageProperty", "languageMap": {"@none": NULL}}, r"^probe\.languageMap: .*deletes"),
        ({"type": "Address", "street": "x"}, "^probe: type: 'Address' is not an attribute type"),
        ({"type": "Point"}, "^probe: type: 'Point' is not an attribute type"),
        ({"type": "GeometryCollection", "geometries": []}, "not an attribute type"),
        ({"type": 5, "value": 1}, "not an attribute type"),
        ({"type": ["Property"], "value": 1}, "not an attribute type"),
        ({"type": None, "value": 1}, "not an attribute type"),
        ({"type": "Point", "coordinates": [1]}, "^probe: a position"),
        ({"type": "GeoProperty", "value": 5}, r"^probe\.value: a GeoJSON"),
        ({"type": "Property", "value": 1, "sub": {"type": "Property"}}, r"^probe\.sub: a Property needs"),
        ({"type": "Property", "value": 1, "sub": {"type": "Property", "value": NULL}}, r"^probe\.sub\.value: "),
        ({"type": "Property", "value": 1, "sub": NULL}, r"^probe\.sub: "),
        ({"type": "Property", "value": 1, "sub": None}, r"^probe\.sub: null"),
        ({"type": "Property", "value": 1, "my sub": 1}, r"^probe\.my sub: "),
        ({"type": "Property", "value": 1, "id": "urn:a:2"}, r"^probe\.id: "),
        ({"type": "Property", "value": 1, "@context": {}}, r"^probe\.@context: .*top of the document"),
        ({"type": "Property", "value": 1, "accuracy": 1, "ex:accuracy": 2}, "twice"),
    ],
)
def test_a_wrong_attribute_is_refused_and_the_right_one_named(given, text):
    """5.5.4: BadRequestData, with the way to the member."""
    refused(given, text)


@pytest.mark.parametrize(
    "value", ["text", 5, [1, 2], {"a": 1}, {"type": "Property", "value": 7}, {"object": "urn:a:2"}]
)
@pytest.mark.parametrize("name", ["location", "observationSpace", "operationSpace"])
def test_the_geo_properties_of_the_core_are_geo_properties(name, value):
    """4.7.1: location, observationSpace and operationSpace are of type GeoProperty."""
    with pytest.raises(BadRequestData, match=f"^{name}: "):
        expand_entity({"id": "urn:a:1", "type": "T", name: value}, CITY)


def test_attributes_of_attributes_are_read_to_any_depth():
    """4.5.2.2: properties of relationships of properties …, normalized and concise mixed."""
    given = {
        "type": "Property",
        "value": 1,
        "accuracy": {"value": 2, "providedBy": {"type": "Relationship", "object": "urn:a:2", "accuracy": 0.5}},
    }
    assert probe(given) == {
        "type": "Property",
        "value": 1,
        ACCURACY: {
            "type": "Property",
            "value": 2,
            PROVIDED_BY: {"type": "Relationship", "object": "urn:a:2", ACCURACY: {"type": "Property", "value": 0.5}},
        },
    }


def test_nesting_of_attributes_has_a_limit():
    """An attribute nested beyond DEPTH_LIMIT is refused, not answered with an error of ours."""

    def nested(levels):
        value = {"value": 1}
        for _ in range(levels):
            value = {"value": 1, "accuracy": value}
        return value

    probe(nested(DEPTH_LIMIT))
    refused(nested(DEPTH_LIMIT + 1), "nested deeper")


def test_several_instances_are_kept_the_default_one_first():
    """4.5.5: instances are told apart by datasetId; @none is the default one, which has no datasetId."""
    given = [
        {"type": "Property", "value": 11, "datasetId": "urn:d:gps"},
        {"value": 55, "datasetId": "@none"},
    ]
    assert probe(given) == [
        {"type": "Property", "value": 55},
        {"type": "Property", "value": 11, "datasetId": "urn:d:gps"},
    ]


def test_a_single_instance_in_an_array_is_stored_alone():
    """An array of one instance says the same as the instance."""
    assert probe([{"type": "Property", "value": 1}]) == {"type": "Property", "value": 1}


def test_instances_of_one_attribute_may_be_of_several_kinds():
    """4.5.5 says nothing against it."""
    kinds = [one["type"] for one in probe([{"value": 1}, {"object": "urn:a:2", "datasetId": "urn:d:1"}])]
    assert kinds == ["Property", "Relationship"]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([{"value": 1}, {"value": 2}], r"^probe\.\[1\]: .*more than one instance without datasetId"),
        ([{"value": 1}, {"value": 2, "datasetId": "@none"}], "more than one instance without datasetId"),
        ([{"value": 1, "datasetId": "urn:d:1"}, {"value": 2, "datasetId": "urn:d:1"}], "with the datasetId urn:d:1"),
        ([{"value": 1}, 5], r"^probe\.\[1\]: an attribute instance"),
        ([{"value": 1}, {"type": "Property"}], r"^probe\.\[1\]: a Property needs"),
        ([{"value": 1}, {"value": None, "datasetId": "urn:d:1"}], r"^probe\.\[1\]\.value: "),
        ({"value": 1, "datasetId": "no uri"}, r"^probe\.datasetId: a URI or @none"),
        ({"value": 1, "datasetId": None}, r"^probe\.datasetId: "),
    ],
)
def test_instances_that_cannot_be_told_apart_are_refused(given, text):
    """4.5.5: there is one default instance, and one for each datasetId."""
    refused(given, text)


@pytest.mark.parametrize(
    "null",
    [
        {"type": "Property", "value": NULL},
        {"type": "GeoProperty", "value": NULL},
        {"type": "Relationship", "object": NULL},
        {"type": "LanguageProperty", "languageMap": {"@none": NULL}},
        {"type": "ListProperty", "valueList": [NULL]},
        {"type": "ListRelationship", "objectList": [NULL]},
        {"type": "VocabProperty", "vocab": NULL},
        {"type": "JsonProperty", "json": NULL},
        {"type": "Property", "value": NULL, "datasetId": "urn:d:1"},
        {"object": NULL},
        {"value": NULL},
        NULL,
    ],
)
@pytest.mark.parametrize("read", [merged, updated])
def test_a_null_in_a_fragment_asks_for_deletion(null, read):
    """5.5.8 and 5.5.12: in each kind's own encoding, or bare; the datasetId says which instance."""
    result = read(null)
    assert is_deletion(result)
    assert result.get("datasetId") == (null.get("datasetId") if isinstance(null, dict) else None)


def test_an_update_leaves_out_what_is_null_inside():
    """5.5.8: an update replaces whole instances, so that a Null within one only says what is not there."""
    given = {"value": 1, "unitCode": NULL, "providedBy": NULL, "accuracy": {"type": "Property", "value": NULL}}
    assert updated(given) == {"type": "Property", "value": 1}


def test_a_merge_keeps_what_is_null_inside():
    """5.5.12: a Null at any depth removes what is there."""
    given = {"type": "Property", "value": {"a": NULL, "b": 1}, "unitCode": NULL, "observedAt": NULL, "providedBy": NULL}
    assert merged(given) == {
        "type": "Property",
        "value": {"a": NULL, "b": 1},
        "unitCode": NULL,
        "observedAt": NULL,
        PROVIDED_BY: NULL,
    }


def test_an_update_has_no_null_inside_a_value():
    """5.5.4: within the value of a Property, Null is for merges only."""
    refused({"value": {"a": NULL}}, r"^probe\.value: .*deletes", read=updated)


@pytest.mark.parametrize("read", [merged, updated])
def test_a_dataset_id_cannot_be_removed(read):
    """5.5.8: a datasetId cannot be deleted by setting it to Null."""
    refused({"value": 1, "datasetId": NULL}, "cannot be removed", read=read)


@pytest.mark.parametrize("value", [25, "text", [1, 2], {"street": "x"}, POINT])
def test_a_bare_value_in_a_merge_has_no_type(value):
    """5.6.17.4: it takes the type of the attribute that is there."""
    assert merged(value) == {"value": value}


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"observedAt": "2026-07-18T19:10:00Z"}, {"observedAt": "2026-07-18T19:10:00Z"}),
        ({"type": "Property", "unitCode": "CEL"}, {"type": "Property", "unitCode": "CEL"}),
        ({"value": 5, "unitCode": "CEL"}, {"value": 5, "unitCode": "CEL"}),
        ({"object": "urn:a:2"}, {"type": "Relationship", "object": "urn:a:2"}),
        (
            {"languageMap": {"en": NULL, "fr": "x"}},
            {"type": "LanguageProperty", "languageMap": {"en": NULL, "fr": "x"}},
        ),
    ],
)
def test_a_merge_may_leave_type_and_value_out(given, stored):
    """5.5.12: only what is given is merged."""
    assert merged(given) == stored


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (5, {"value": 5}),
        ("urn:a:2", {"value": "urn:a:2"}),
        ({"type": "Address", "value": 1}, {"value": {"type": "Address", "value": 1}}),
        ([{"value": 1}], {"value": [{"value": 1}]}),
        ({"languageMap": {"en": "x"}}, {"value": {"languageMap": {"en": "x"}}}),
        ({"vocab": "nonCommercial"}, {"value": {"vocab": "http://vocab.example/non-commercial"}}),
        ({"json": {"a": None}}, {"value": {"json": {"a": None}}}),
        (POINT, {"value": POINT}),
        (
            {"dataset": {"urn:d:1": 1, "@none": 2}},
            [{"value": 2}, {"value": 1, "datasetId": "urn:d:1"}],
        ),
        ({"dataset": {"ex:d": 1}}, {"value": 1, "datasetId": "http://example.org/d"}),
        (NULL, {"value": NULL}),
    ],
)
def test_simplified_attributes_are_values_without_type(given, stored):
    """4.5.4 and 6.5.3.4: in a simplified merge everything is a value, terms and datasets apart."""
    assert merged(given, simplified=True) == stored


@pytest.mark.parametrize("given", [{"dataset": {}}, {"dataset": {"no uri": 1}}, None, {"a": None}])
def test_a_wrong_simplified_attribute_is_refused(given):
    """Simplified values are checked as well."""
    with pytest.raises(BadRequestData, match=r"^probe: "):
        merged(given, simplified=True)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"value": 5}, {"value": 5}),
        ({"type": "Property", "value": 5}, {"type": "Property", "value": 5}),
        ({"object": "urn:a:2"}, {"type": "Relationship", "object": "urn:a:2"}),
        ({"observedAt": "2026-07-18T19:10:00Z"}, {"observedAt": "2026-07-18T19:10:00Z"}),
        ({"accuracy": 1}, {ACCURACY: {"type": "Property", "value": 1}}),
        ({"accuracy": {"type": "Property", "value": 1}}, {ACCURACY: {"type": "Property", "value": 1}}),
        ({"unitCode": NULL, "accuracy": NULL}, {"unitCode": NULL, ACCURACY: NULL}),
        ({"type": "Property", "value": NULL}, {"type": "Property", "value": NULL}),
        (POINT, {"value": POINT}),
        ({"value": 1, "@context": "http://a/c"}, {"value": 1}),
    ],
)
def test_a_partial_update_has_what_is_to_change(given, stored):
    """5.6.4: any members of the attribute; without type it keeps the one it has."""
    assert expand_attribute(given, CITY, partial=True, allow_null=True) == stored


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "one or more members"),
        ({"@context": "http://a/c"}, "one or more members"),
        ({"value": {"a": NULL}}, "^value: .*deletes"),
        ({"accuracy": {"type": "Property"}}, "^accuracy: a Property needs"),
        ({"observedAt": "nonsense"}, "^observedAt: "),
        ({"type": "Nonsense", "value": 1}, "not an attribute type"),
    ],
)
def test_a_wrong_partial_update_is_refused(given, text):
    """5.6.4: what is given is checked as in any attribute; sub-attributes are whole ones."""
    with pytest.raises(BadRequestData, match=text):
        expand_attribute(given, CITY, partial=True, allow_null=True)


def test_a_partial_update_without_nulls_refuses_them():
    """Where the operation deletes nothing, Null is an error."""
    with pytest.raises(BadRequestData, match=r"asks for a removal"):
        expand_attribute({"unitCode": NULL}, CITY, partial=True)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"type": "Property", "value": 5}, {"type": "Property", "value": 5}),
        (5, {"type": "Property", "value": 5}),
        ({"value": 5, "datasetId": "urn:d:1"}, {"type": "Property", "value": 5, "datasetId": "urn:d:1"}),
    ],
)
def test_a_replacement_is_a_whole_attribute(given, stored):
    """5.6.19: normalized or concise, complete."""
    assert expand_attribute(given, CITY) == stored


@pytest.mark.parametrize("given", [{"type": "Property"}, {"type": "Property", "value": NULL}, NULL, None])
def test_a_replacement_without_a_value_is_refused(given):
    """5.6.19: the attribute is replaced completely, so that it needs its value."""
    with pytest.raises(BadRequestData):
        expand_attribute(given, CITY)


def test_the_name_of_the_attribute_is_respected():
    """4.7.1: a replacement of location is a GeoProperty, too."""
    with pytest.raises(BadRequestData, match="GeoProperty"):
        expand_attribute(
            {"type": "Property", "value": 5}, CITY, name=stored_name("https://uri.etsi.org/ngsi-ld/location")
        )
