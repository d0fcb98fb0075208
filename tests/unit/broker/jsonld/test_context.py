"""Names to IRIs and back, in a compiled context."""

from __future__ import annotations

import pytest

from tests.unit.broker.jsonld.contexts import CITY, context_of
from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.jsonld.context import CACHE_LIMIT, CORE
from tsunagu.broker.jsonld.core import CORE_URL
from tsunagu.schemas.entity import DOT

VOCAB = "https://uri.etsi.org/ngsi-ld/default-context/"


@pytest.mark.parametrize(
    ("term", "iri"),
    [
        ("Vehicle", "http://example.org/Vehicle"),
        ("speed", "http://example.org/speed"),
        ("isParked", "http://example.org/isParked"),
        ("temperature", VOCAB + "temperature"),
        ("location", "https://uri.etsi.org/ngsi-ld/location"),
        ("description", "http://purl.org/dc/terms/description"),
        ("ex:other", "http://example.org/other"),
        ("ngsi-ld:status", "https://uri.etsi.org/ngsi-ld/status"),
        ("undeclared:name", "undeclared:name"),
        ("http://a.example/x", "http://a.example/x"),
        ("non-commercial", VOCAB + "non-commercial"),
        ("@none", "@none"),
    ],
)
def test_a_term_expands_to_its_iri(term, iri):
    """5.5.7: by the user @context, the core, a prefix, or else the default vocabulary."""
    assert CITY.expand_term(term) == iri


@pytest.mark.parametrize(
    ("iri", "name"),
    [
        ("http://example.org/Vehicle", "Vehicle"),
        ("http://example.org/unknown", "ex:unknown"),
        (VOCAB + "temperature", "temperature"),
        (VOCAB + "speed", "ngsi-ld:default-context/speed"),
        (VOCAB + "a:b", "ngsi-ld:default-context/a:b"),
        ("https://uri.etsi.org/ngsi-ld/location", "location"),
        ("http://other.example/x", "http://other.example/x"),
        ("http://vocab.example/non-commercial", "nonCommercial"),
    ],
)
def test_an_iri_compacts_to_a_name_that_expands_to_it_again(iri, name):
    """5.5.7: to a term, a name of the vocabulary or a prefixed name; to itself if there is none."""
    assert CITY.compact_iri(iri) == name
    assert CITY.expand_term(name) == iri


def test_the_shortest_of_several_terms_is_taken_then_the_first():
    """Compaction is deterministic, whatever the order of the definitions."""
    context = context_of({"zz": "http://a/x", "speedy": "http://a/x", "ab": "http://a/x"})
    assert context.compact_iri("http://a/x") == "ab"


def test_a_term_that_cannot_name_anything_is_not_used_for_output():
    """4.6.2: a name that a request could not use is not shown either, if there is another."""
    context = context_of({"x-y": "http://a/x", "longer": "http://a/x"})
    assert context.compact_iri("http://a/x") == "longer"


def test_a_core_term_cannot_be_overridden():
    """4.4: the core @context is protected and has absolute precedence."""
    context = context_of({"location": "http://evil.example/l", "Property": "http://evil.example/P"})
    assert context.expand_term("location") == "https://uri.etsi.org/ngsi-ld/location"
    assert context.expand_term("Property") == "https://uri.etsi.org/ngsi-ld/Property"


def test_the_vocabulary_of_the_core_cannot_be_overridden():
    """4.4: the core comes last, so that its @vocab applies to names that no context defines."""
    assert context_of({"@vocab": "http://user.example/"}).expand_term("temperature") == VOCAB + "temperature"


def test_a_stored_name_has_no_dots():
    """The store reads a dot as a path; the name is the IRI with every dot replaced."""
    stored = CITY.attribute("brandName")
    assert stored == f"http://example{DOT}org/brand{DOT}name"
    assert CITY.compact_name(stored) == "brandName"


@pytest.mark.parametrize(
    "name", ["my attr", "9lives", "a-b", "a.b", "", "@id", "@graph", "id", "type", "a:", ":a", "a: b"]
)
def test_an_impossible_attribute_name_is_refused(name):
    """4.6.2: an attribute is named by a letter and letters, digits and underscores, or by a URI."""
    with pytest.raises(BadRequestData, match="not an attribute name"):
        CORE.attribute(name)


@pytest.mark.parametrize(
    "name",
    [
        "datasetId",
        "instanceId",
        "observedAt",
        "value",
        "object",
        "unitCode",
        "scope",
        "ngsi-ld:datasetId",
        "ngsi-ld:hasValue",
    ],
)
def test_a_structural_core_term_names_no_attribute(name):
    """4.5.1: terms that the core defines as non-reified properties shall not be used as attribute names."""
    with pytest.raises(BadRequestData, match="cannot name an attribute"):
        CORE.attribute(name)


@pytest.mark.parametrize("name", ["9Vehicle", "my type", "Ve-hicle", "", "@id"])
def test_an_impossible_type_name_is_refused(name):
    """4.6.2: so is an entity type."""
    with pytest.raises(BadRequestData, match="not an entity type"):
        CORE.expand_type(name)


@pytest.mark.parametrize("name", ["Škola", "výška_1", "水位", "http://example.org/water-level", "ex:water"])
def test_names_of_all_languages_are_accepted(name):
    """4.6.2: letters and numbers are those of Unicode; URIs may have more."""
    assert CITY.compact_name(CITY.attribute(name))


def test_a_long_name_is_refused():
    """A name longer than any URI may be is refused."""
    with pytest.raises(BadRequestData, match="not an attribute name"):
        CORE.attribute("a" * 3000)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("ex:car:1", "http://example.org/car:1"),
        ("urn:ngsi-ld:Vehicle:1", "urn:ngsi-ld:Vehicle:1"),
        ("http://example.org/1", "http://example.org/1"),
        ("ngsi-ld:x", "https://uri.etsi.org/ngsi-ld/x"),
    ],
)
def test_an_id_has_its_declared_prefix_resolved(given, expected):
    """5.5.7: compact IRIs are expanded, other URIs are left."""
    assert CITY.expand_id(given) == expected


def test_a_term_mapped_to_null_is_refused():
    """JSON-LD would drop the attribute silently; the client is told instead."""
    with pytest.raises(BadRequestData, match="maps this term to null"):
        context_of({"secret": None}).attribute("secret")


def test_a_term_that_stands_for_a_keyword_names_no_attribute():
    """A user @context may alias @id, but such a term is no attribute."""
    with pytest.raises(BadRequestData, match="not an attribute name"):
        context_of({"identifier": "@id"}).attribute("identifier")


def test_the_core_alone_has_the_address_of_the_core():
    """A Link header can name the core @context."""
    assert CORE.url == CORE_URL
    assert CORE.source is None


def test_the_cache_of_names_does_not_grow_without_bound():
    """Names that clients make up do not fill the memory."""
    context = context_of({})
    for number in range(CACHE_LIMIT + 10):
        context.attribute(f"name{number}")
    assert len(context.stored) <= CACHE_LIMIT


def test_long_names_are_not_cached():
    """A few very long names do not fill it either."""
    context = context_of({})
    context.expand_term("x" * 1000)
    assert "x" * 1000 not in context._iris
