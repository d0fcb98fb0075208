"""Whole entities and entity fragments: their own members, and the frame around their attributes."""

from __future__ import annotations

import pytest

from tests.unit.broker.jsonld.contexts import CITY
from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.jsonld.expand import expand_entity, expand_fragment
from tsunagu.schemas.entity import LOCATION, NULL, stored_name

ID = "urn:ngsi-ld:Vehicle:1"
SPEED = stored_name("http://example.org/speed")


def entity(**members):
    return {"id": ID, "type": "Vehicle", **members}


def refused(text, **members):
    with pytest.raises(BadRequestData, match=text):
        expand_entity(entity(**members), CITY)


def test_an_entity_is_expanded():
    """4.5.1: names become IRIs, in the stored form; values stay."""
    body = entity(speed={"type": "Property", "value": 55}, location={"type": "Point", "coordinates": [8, 49]})
    assert expand_entity(body, CITY) == {
        "id": ID,
        "type": ["http://example.org/Vehicle"],
        "attrs": {
            SPEED: {"type": "Property", "value": 55},
            LOCATION: {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [8, 49]}},
        },
    }


def test_an_entity_may_have_no_attributes():
    """5.2.4: only id and type are mandatory."""
    assert expand_entity(entity(), CORE)["attrs"] == {}


def test_json_ld_keywords_serve_for_id_and_type():
    """4.4: @id and @type may be used in requests instead of id and type."""
    expanded = expand_entity({"@id": ID, "@type": ["Vehicle", "Building"]}, CITY)
    assert expanded["id"] == ID
    assert expanded["type"] == ["http://example.org/Vehicle", "http://example.org/Building"]


def test_a_type_that_stands_twice_counts_once():
    """4.16: the types of an entity are a set."""
    assert expand_entity({"id": ID, "type": ["Vehicle", "ex:Vehicle"]}, CITY)["type"] == ["http://example.org/Vehicle"]


def test_an_id_with_a_declared_prefix_is_resolved():
    """5.5.7: a compact IRI stands for the whole."""
    assert expand_entity({"id": "ex:car:1", "type": "Vehicle"}, CITY)["id"] == "http://example.org/car:1"


@pytest.mark.parametrize("body", [None, 5, "text", [], [{"id": ID, "type": "Vehicle"}]])
def test_a_body_that_is_no_object_is_refused(body):
    """5.5.4: an entity is a JSON object."""
    with pytest.raises(BadRequestData, match="JSON object"):
        expand_entity(body, CORE)


@pytest.mark.parametrize("value", ["invalidUri", "", 5, None, ["urn:a:1"], "urn:a b", NULL])
def test_a_wrong_id_is_refused(value):
    """5.2.4: the id is a valid URI, and not the NGSI-LD Null."""
    with pytest.raises(BadRequestData, match=r"^id: "):
        expand_entity({"id": value, "type": "Vehicle"}, CORE)


@pytest.mark.parametrize("value", ["", "9Vehicle", "a b", 5, None, [], ["Vehicle", 5], [["Vehicle"]], {"a": 1}])
def test_a_wrong_type_is_refused(value):
    """4.6.2: a type is a name or a URI, or an array of these."""
    with pytest.raises(BadRequestData, match=r"^type: "):
        expand_entity({"id": ID, "type": value}, CORE)


@pytest.mark.parametrize(("body", "text"), [({"type": "Vehicle"}, "^id: "), ({"id": ID}, "^type: "), ({}, "^id: ")])
def test_a_whole_entity_needs_id_and_type(body, text):
    """5.6.1: creation needs both."""
    with pytest.raises(BadRequestData, match=text):
        expand_entity(body, CORE)


@pytest.mark.parametrize("body", [entity(**{"@id": ID}), entity(**{"@type": "Vehicle"})])
def test_id_and_type_are_given_once(body):
    """Both spellings at once are ambiguous."""
    with pytest.raises(BadRequestData, match="given twice"):
        expand_entity(body, CORE)


def test_an_attribute_under_two_names_is_refused():
    """A term and its IRI name the same attribute, which stands once (4.5.5 is for several instances)."""
    refused("twice", **{"speed": 1, "ex:speed": 2})


@pytest.mark.parametrize(
    ("given", "stored"), [("/Madrid", ["/Madrid"]), (["/a", "/b", "/a"], ["/a", "/b"]), ("Madrid", ["Madrid"])]
)
def test_a_scope_is_kept_as_a_list(given, stored):
    """4.18: one scope or several, no matter how often each is said."""
    assert expand_entity(entity(scope=given), CORE)["scope"] == stored


@pytest.mark.parametrize(
    "value", ["9bad", "/a//b", "a-b", NULL, ["/ok", "9bad"], [], 5, None, {"type": "Property", "value": "/a"}]
)
def test_a_wrong_scope_is_refused(value):
    """4.18: every scope satisfies the grammar, and Null is for deletions only."""
    refused("^scope: ", scope=value)


def test_an_expiry_becomes_a_number():
    """4.22: expiresAt of the entity is kept as epoch ms."""
    assert expand_entity(entity(expiresAt="2026-07-18T19:10:00Z"), CORE)["expires"] == 1_784_401_800_000


@pytest.mark.parametrize("value", ["tomorrow", "2026-07-18T19:10:00+09:00", 5, NULL, None])
def test_a_wrong_expiry_is_refused(value):
    """4.6.3: expiresAt is a DateTime in UTC."""
    refused("^expiresAt: ", expiresAt=value)


@pytest.mark.parametrize("member", ["createdAt", "modifiedAt", "deletedAt"])
def test_system_times_of_a_client_are_ignored(member):
    """5.2.2: if they are provided, implementations shall ignore them."""
    assert expand_entity(entity(**{member: "2020-01-01T00:00:00Z"}), CORE) == expand_entity(entity(), CORE)


@pytest.mark.parametrize("member", ["createdAt", "observedAt", "datasetId", "instanceId", "unitCode", "deletedAt"])
def test_a_structural_term_names_no_attribute(member):
    """4.5.1: terms that the core defines as non-reified properties shall not be used as attribute names."""
    refused(f"^{member}: ", **{member: {"type": "Property", "value": 1}})


@pytest.mark.parametrize("name", ["my attr", "9a", "a-b", "@graph", "ex: a"])
def test_an_impossible_attribute_name_is_refused(name):
    """4.6.2: names are letters, digits and underscores, or URIs."""
    refused(f"^{name}: ", **{name: 1})


def test_a_context_in_the_body_is_left_to_the_caller():
    """6.3.5: the API takes the @context out of the body; here it is passed over."""
    assert expand_entity(entity(**{"@context": "http://a/c.jsonld"}), CORE) == expand_entity(entity(), CORE)


def test_the_error_names_the_whole_way_to_the_member():
    """The client is told where in the document the fault is."""
    wrong = {"type": "Property", "value": 1, "accuracy": [{"value": 1}, {"datasetId": "urn:d:1", "object": "no uri"}]}
    refused(r"^speed\.accuracy\.\[1\]\.object: a URI is expected", speed=wrong)


def test_a_fragment_needs_neither_id_nor_type():
    """5.4: they are optional where the operation determines them."""
    assert expand_fragment({"speed": 5}, CITY) == {"attrs": {SPEED: {"type": "Property", "value": 5}}}


def test_a_fragment_with_a_wrong_id_is_refused():
    """What is given is checked."""
    with pytest.raises(BadRequestData, match=r"^id: "):
        expand_fragment({"id": "nonsense"}, CITY)


@pytest.mark.parametrize("options", [{"allow_null": True}, {"merge": True}, {"merge": True, "simplified": True}])
def test_scope_and_expiry_can_be_removed(options):
    """4.18 and 5.4: a Null in a fragment removes them."""
    expanded = expand_fragment({"scope": NULL, "expiresAt": NULL}, CITY, **options)
    assert expanded == {"attrs": {}, "scope": NULL, "expires": None}


@pytest.mark.parametrize("options", [{"allow_null": True}, {"merge": True}])
def test_a_type_cannot_be_removed(options):
    """4.16: there is no operation to remove a type; Null is no type."""
    with pytest.raises(BadRequestData, match=r"^type: "):
        expand_fragment({"type": NULL}, CITY, **options)
