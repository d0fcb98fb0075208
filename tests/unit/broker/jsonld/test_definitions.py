"""Context definitions: the ways JSON-LD 1.1 has to say what a term stands for."""

from __future__ import annotations

import pytest

from tests.unit.broker.jsonld.contexts import context_of
from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.jsonld.core import core_document
from tsunagu.broker.jsonld.definitions import CORE_DEFINITIONS


def iri(definition, term="name"):
    return context_of(definition).expand_term(term)


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ({"name": "http://a/n"}, "http://a/n"),
        ({"name": {"@id": "http://a/n", "@type": "@id"}}, "http://a/n"),
        ({"name": {"@id": "p:n"}, "p": "http://a/"}, "http://a/n"),
        ({"name": "other", "other": "http://a/o"}, "http://a/o"),
        ({"@vocab": "http://v/", "name": {"@type": "@id"}}, "http://v/name"),
        ({"@vocab": "http://v/", "name": "x"}, "http://v/x"),
        ({"name": {"@id": "name2"}}, "https://uri.etsi.org/ngsi-ld/default-context/name2"),
        ({"name": {"@reverse": "http://a/n"}}, "http://a/n"),
        ({"name": {"@id": "http://a/n", "@container": "@set", "@language": "en"}}, "http://a/n"),
        ({"@version": 1.1, "@language": "en", "@base": "http://b/", "name": "http://a/n"}, "http://a/n"),
        ({"name": "_:blank"}, "_:blank"),
    ],
)
def test_a_term_is_defined(definition, expected):
    """JSON-LD 1.1, 4.2: by an IRI, a compact IRI, another term, or the vocabulary."""
    assert iri(definition) == expected


def test_the_term_before_the_colon_is_found_wherever_it_stands():
    """A definition may use a prefix that is defined after it."""
    assert iri({"name": "p:n", "p": "q:p/", "q": "http://a/"}) == "http://a/p/n"


def test_a_compact_iri_can_itself_be_a_term():
    """A key with a colon defines exactly that name."""
    context = context_of({"p": "http://a/", "p:n": {"@type": "@id"}})
    assert context.expand_term("p:n") == "http://a/n"


@pytest.mark.parametrize(
    ("definition", "is_prefix"),
    [
        ({"p": "http://a/"}, True),
        ({"p": "http://a#"}, True),
        ({"p": "http://a/x"}, False),
        ({"p": {"@id": "http://a/"}}, False),
        ({"p": {"@id": "http://a/x", "@prefix": True}}, True),
    ],
)
def test_which_terms_are_prefixes(definition, is_prefix):
    """JSON-LD 1.1: a simple term whose IRI ends in a separator, or one that says @prefix."""
    expanded = context_of(definition).expand_term("p:n")
    assert (expanded != "p:n") is is_prefix


def test_later_contexts_override_earlier_ones():
    """The elements of an @context array apply in order."""
    assert context_of({"name": "http://a/1"}, {"name": "http://a/2"}).expand_term("name") == "http://a/2"


def test_later_contexts_build_on_earlier_ones():
    """A prefix of an earlier context serves in a later one."""
    assert context_of({"p": "http://a/"}, {"name": "p:n"}).expand_term("name") == "http://a/n"


def test_null_resets_the_context():
    """JSON-LD 1.1, 4.1: null in an @context array drops what came before it."""
    context = context_of({"name": "http://a/1", "p": "http://a/"}, None, {"other": "http://a/2"})
    assert context.expand_term("name").endswith("default-context/name")
    assert context.expand_term("p:n") == "p:n"
    assert context.expand_term("other") == "http://a/2"


def test_definitions_may_build_on_the_core_where_it_is_named_first():
    """A user context after the core uses the core's prefixes and terms."""
    context = context_of(CORE_DEFINITIONS, {"name": "ngsi-ld:n", "place": "location"})
    assert context.expand_term("name") == "https://uri.etsi.org/ngsi-ld/n"
    assert context.expand_term("place") == "https://uri.etsi.org/ngsi-ld/location"


def test_the_core_wins_even_where_it_is_named_first():
    """4.4: the core has absolute precedence, regardless of its position in the array."""
    context = context_of(CORE_DEFINITIONS, {"location": "http://evil.example/l"})
    assert context.expand_term("location") == "https://uri.etsi.org/ngsi-ld/location"


@pytest.mark.parametrize(
    ("definition", "text"),
    [
        ({"name": {"@id": "http://a/n", "@context": {"x": "http://a/x"}}}, "scoped contexts"),
        ({"name": 5}, "a string, an object or null"),
        ({"name": ["http://a/n"]}, "a string, an object or null"),
        ({"name": {"@id": 5}}, "@id shall be a string"),
        ({"name": {"@id": "http://a/n", "@foo": 1}}, "no member '@foo'"),
        ({"name": {"@id": "http://a/n", "@type": 5}}, "@type shall be"),
        ({"name": {"@id": "http://a/n", "@reverse": "http://a/m"}}, "exclude each other"),
        ({"name": {"@id": "http://a/n", "@prefix": "yes"}}, "@prefix shall be true or false"),
        ({"name": "a b:c"}, "not an IRI"),
        ({"a": "b:x", "b": "a:y"}, "depends on itself"),
        ({"": "http://a/n"}, "shall not be empty"),
        ({"@vocab": 5}, "@vocab shall be"),
        ({"@vocab": "not an iri"}, "@vocab shall be"),
        ({"@version": 1.0}, "number 1.1"),
        ({"@version": True}, "number 1.1"),
        ({"@base": 5}, "@base shall be"),
        ({"@protected": "yes"}, "@protected shall be"),
        ({"@language": 5}, "@language shall be"),
    ],
)
def test_a_wrong_definition_is_refused_and_named(definition, text):
    """5.5.6: an invalid @context is BadRequestData, which says where it is wrong."""
    with pytest.raises(BadRequestData, match=text):
        context_of(definition)


def test_a_protected_term_cannot_be_defined_otherwise():
    """JSON-LD 1.1: a protected term of a user context keeps its meaning."""
    with pytest.raises(BadRequestData, match="protected"):
        context_of({"@protected": True, "name": "http://a/1"}, {"name": "http://a/2"})


def test_a_protected_term_may_be_defined_the_same_again():
    """Saying the same twice is no redefinition."""
    assert (
        context_of({"name": {"@id": "http://a/1", "@protected": True}}, {"name": "http://a/1"}).expand_term("name")
        == "http://a/1"
    )


def test_terms_that_look_like_keywords_are_ignored():
    """JSON-LD 1.1 reserves them."""
    assert context_of({"@foo": "http://a/n"}).expand_term("@foo") == "@foo"


def test_the_vocabulary_may_be_a_compact_iri():
    """JSON-LD 1.1: @vocab is expanded with the context before it."""
    assert context_of({"p": "http://a/"}, {"@vocab": "p:v/", "name": "x"}).expand_term("name") == "http://a/v/x"


def test_a_copy_of_the_core_is_accepted():
    """A client may embed the core @context, scoped context of ngsildproof included; it changes nothing."""
    context = context_of(core_document()["@context"], {"name": "ngsi-ld:name"})
    assert context.expand_term("name") == "https://uri.etsi.org/ngsi-ld/name"
    assert context.expand_term("location") == CORE.expand_term("location")
