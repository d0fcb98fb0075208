"""The members of an instance besides value and sub-attributes, kind by kind."""

from __future__ import annotations

import pytest

from tests.unit.broker.jsonld.contexts import CITY
from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.jsonld.expand import expand_entity, expand_fragment
from tsunagu.schemas.entity import NULL, stored_name
from tsunagu.schemas.kinds import KINDS

PROBE = stored_name("https://uri.etsi.org/ngsi-ld/default-context/probe")
PROOF = stored_name("https://uri.etsi.org/ngsi-ld/ngsildproof")

WHOLE = {
    "Property": {"value": 1},
    "GeoProperty": {"value": {"type": "Point", "coordinates": [8, 49]}},
    "Relationship": {"object": "urn:a:2"},
    "LanguageProperty": {"languageMap": {"en": "x"}},
    "VocabProperty": {"vocab": "x"},
    "JsonProperty": {"json": {}},
    "ListProperty": {"valueList": [1]},
    "ListRelationship": {"objectList": ["urn:a:2"]},
}
VALUES = {member: value for members in WHOLE.values() for member, value in members.items()}


def read(kind, **members):
    body = {"id": "urn:a:1", "type": "T", "probe": {"type": kind, **WHOLE[kind], **members}}
    return expand_entity(body, CITY)["attrs"][PROBE]


def refused(kind, text, **members):
    with pytest.raises(BadRequestData, match=text):
        read(kind, **members)


FOREIGN = [(kind, member) for kind in KINDS for member in VALUES if member != KINDS[kind].member]


@pytest.mark.parametrize(("kind", "member"), FOREIGN)
def test_the_value_of_another_kind_is_refused(kind, member):
    """4.5.2.2 ff, Prohibited: no attribute has the value member of another kind."""
    refused(kind, rf"^probe\.{member}: a {kind} does not have this member", **{member: VALUES[member]})


PREVIOUS = [(kind, other.previous) for kind in KINDS for other in KINDS.values()]


@pytest.mark.parametrize(("kind", "member"), PREVIOUS)
def test_the_value_before_a_change_is_for_output_only(kind, member):
    """4.5.2.2: previousValue and the like are only provided in notifications."""
    refused(kind, rf"^probe\.{member}: only the broker", **{member: 1})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("member", ["createdAt", "modifiedAt", "deletedAt", "instanceId", "lang"])
def test_what_the_system_generates_is_ignored(kind, member):
    """5.2.5: in the event that they are provided, implementations shall ignore them."""
    assert read(kind, **{member: "2020-01-01T00:00:00Z"}) == read(kind)


@pytest.mark.parametrize(
    ("kind", "member"),
    [
        ("Relationship", "unitCode"),
        ("ListRelationship", "unitCode"),
        ("LanguageProperty", "unitCode"),
        ("VocabProperty", "unitCode"),
        ("JsonProperty", "unitCode"),
        ("Relationship", "valueType"),
        ("Property", "objectType"),
        ("Property", "entity"),
        ("Property", "entityList"),
        ("Relationship", "entityList"),
        ("ListRelationship", "entity"),
    ],
)
def test_a_member_that_the_kind_does_not_have_is_refused(kind, member):
    """4.5.2.2 ff, Prohibited: relationships have no unit, properties no target."""
    refused(kind, rf"^probe\.{member}: a {kind} does not have this member", **{member: "x"})


@pytest.mark.parametrize(("kind", "member"), [("Relationship", "entity"), ("ListRelationship", "entityList")])
def test_a_joined_entity_that_comes_back_is_ignored(kind, member):
    """5.2.6: entity is output only; an answer may be sent back as it came."""
    assert read(kind, **{member: {"id": "urn:a:2"}}) == read(kind)


@pytest.mark.parametrize("member", ["observedAt", "expiresAt"])
@pytest.mark.parametrize(
    "value", ["nonsense", "2026-07-18T19:10:00+09:00", 5, None, {"type": "Property", "value": "2026-07-18T19:10:00Z"}]
)
def test_a_time_is_a_utc_date_time(member, value):
    """4.8: temporal properties are DateTime strings, not reified."""
    refused("Property", rf"^probe\.{member}: ", **{member: value})


@pytest.mark.parametrize("value", ["", 5, None, ["CEL"]])
def test_a_unit_code_is_a_string(value):
    """4.5.2.2: a UN/CEFACT common code."""
    refused("Property", r"^probe\.unitCode: ", unitCode=value)


@pytest.mark.parametrize("value", ["", 5, None, ["xsd:double"]])
def test_a_value_type_is_a_string(value):
    """4.5.2.2: a string that stands for a datatype URI."""
    refused("Property", r"^probe\.valueType: ", valueType=value)


def test_the_value_type_of_a_language_property_is_lang_string():
    """5.2.32: it shall be equal to langString."""
    assert read("LanguageProperty", valueType="langString")["valueType"].endswith("#langString")
    refused("LanguageProperty", "shall be langString", valueType="xsd:string")


@pytest.mark.parametrize("value", [5, [], ["a", 5], "9x", None])
def test_an_object_type_is_a_type_or_several(value):
    """5.2.6: the names or URIs of entity types."""
    refused("Relationship", r"^probe\.objectType: ", objectType=value)


def proof(**members):
    body = {
        "id": "urn:a:1",
        "type": "T",
        "ngsildproof": {"type": "Property", "value": {"type": "DataIntegrityProof"}, **members},
    }
    return expand_entity(body, CITY)["attrs"][PROOF]


def test_a_proof_has_sealed_members():
    """4.5.2.2: ngsildproof has the id and the type of the entity that it seals."""
    sealed = proof(entityIdSealed="urn:a:1", entityTypeSealed="Vehicle")
    assert sealed["entityIdSealed"] == "urn:a:1"
    assert sealed["entityTypeSealed"] == "http://example.org/Vehicle"


@pytest.mark.parametrize("members", [{"value": "text"}, {"entityTypeSealed": 42}, {"entityIdSealed": "no uri"}])
def test_a_wrong_proof_is_refused(members):
    """4.5.2.2: its value is an object, the sealed members are names."""
    with pytest.raises(BadRequestData, match=r"^ngsildproof"):
        proof(**members)


@pytest.mark.parametrize("kind", ["Property", "GeoProperty"])
def test_a_proof_is_not_deleted_by_a_null(kind):
    """4.5.2.2: the value of a proof is an object, also where an update may delete other attributes by a Null."""
    with pytest.raises(BadRequestData, match=r"^ngsildproof\.value"):
        expand_fragment({"ngsildproof": {"type": kind, "value": NULL}}, CITY, allow_null=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("member", ["entityIdSealed", "entityTypeSealed"])
def test_nothing_else_has_sealed_members(kind, member):
    """4.5.2.2: they shall never be present, unless the property name is ngsildproof."""
    refused(kind, "ngsildproof", **{member: "urn:a:1"})
