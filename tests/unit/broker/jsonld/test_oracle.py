"""Our expansion and compaction against PyLD, a full implementation of JSON-LD 1.1, on NGSI-LD documents."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyld import jsonld

from tests.examples import examples
from tests.unit.broker.jsonld.contexts import context_of
from tsunagu.broker.jsonld.core import core_document
from tsunagu.broker.jsonld.expand import expand_entity
from tsunagu.broker.representations import View
from tsunagu.schemas.entity import CORE_NAMESPACE as NS
from tsunagu.schemas.entity import instances, iri_of
from tsunagu.schemas.kinds import KINDS, MEMBERS

GEO = "https://purl.org/geojson/vocab#"
USED = {
    *("@version", "@protected", "@vocab", "ngsi-ld", "geojson", "id", "type", "DateTime", "Point", "coordinates"),
    *("location", "status", "description", "title", *KINDS, *(MEMBERS - {"entityIdSealed", "entityTypeSealed"})),
}
CORE = {term: core_document()["@context"][term] for term in sorted(USED)}  # PyLD takes its time for the whole of it

NAMES = ("speed", "brand", "name2", "výška", "temperature", "status", "description", "title")
NAMESPACES = ("http://a.example/", "http://b.example/x#", "urn:vocab:")
TERMS = st.sampled_from(("speed", "brand", "name2", "Vehicle", "House", "výška", "non_commercial"))
IRIS = st.builds(lambda start, end: start + end, st.sampled_from(NAMESPACES), st.sampled_from(("p", "q", "r/s", "t")))
URIS = st.sampled_from(("urn:ngsi-ld:Car:1", "http://c.example/2", "a:thing"))

SIMPLE_CONTEXTS = st.fixed_dictionaries(
    {},
    optional={
        "a": st.sampled_from(NAMESPACES),
        "bb": st.sampled_from(NAMESPACES),
        "@vocab": st.sampled_from(("http://v.example/", "http://v.example/#")),
    },
).flatmap(
    lambda head: st.dictionaries(
        TERMS, IRIS | (st.sampled_from(("a:p", "a:q")) if "a" in head else IRIS), max_size=6
    ).map(lambda terms: head | terms)
)
COERCIONS = st.sampled_from(
    ({"@type": "@id"}, {"@type": "@vocab"}, {"@type": "http://t.example/T"}, {"@container": "@set"}, {})
)


@st.composite
def coerced_contexts(draw: Any) -> dict[str, Any]:
    """Return a context in which terms are also defined by objects, with coercions."""
    simple = draw(SIMPLE_CONTEXTS)
    return {
        term: {"@id": iri} | draw(COERCIONS) if term not in ("a", "bb", "@vocab") and draw(st.booleans()) else iri
        for term, iri in simple.items()
    }


def names(context: dict[str, Any]) -> st.SearchStrategy[str]:
    """Return names that a client may use under `context`."""
    known = [term for term in context if term not in ("a", "bb", "@vocab")]
    prefixed = [f"{prefix}:{end}" for prefix in ("a", "bb") if prefix in context for end in ("p", "zz")]
    return st.sampled_from([*NAMES, *known, *prefixed, "http://d.example/full"])


SCALARS = (
    st.booleans()
    | st.integers(-1000, 1000)
    | st.sampled_from(("x", "yes", "a b", "urn:x:y"))
    | st.sampled_from((1.5, -0.25))
)
POINTS = st.tuples(st.integers(-180, 180), st.integers(-90, 90)).map(
    lambda p: {"type": "Point", "coordinates": list(p)}
)
TEXTS = st.sampled_from(("yes", "oui", "ja"))


def values(context: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return instances of every kind, without metadata."""
    terms = names(context)
    return st.one_of(
        st.builds(lambda v: {"type": "Property", "value": v}, SCALARS | st.lists(SCALARS, min_size=1, max_size=3)),
        st.builds(lambda v: {"type": "GeoProperty", "value": v}, POINTS),
        st.builds(lambda v: {"type": "Relationship", "object": v}, URIS | st.lists(URIS, min_size=2, max_size=3)),
        st.builds(
            lambda v: {"type": "LanguageProperty", "languageMap": v},
            st.dictionaries(st.sampled_from(("en", "fr", "ja", "@none")), TEXTS, min_size=1),
        ),
        st.builds(lambda v: {"type": "VocabProperty", "vocab": v}, terms | st.lists(terms, min_size=2, max_size=3)),
        st.builds(
            lambda v: {"type": "JsonProperty", "json": v}, st.dictionaries(st.sampled_from(("id", "speed")), SCALARS)
        ),
        st.builds(lambda v: {"type": "ListProperty", "valueList": v}, st.lists(SCALARS, max_size=3)),
        st.builds(
            lambda v: {"type": "ListRelationship", "objectList": [{"object": uri} for uri in v]},
            st.lists(URIS, max_size=3),
        ),
    )


@st.composite
def attributes(draw: Any, context: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    """Return an instance with metadata and, now and then, sub-attributes."""
    instance = draw(values(context))
    if draw(st.booleans()):
        instance["observedAt"] = "2026-07-18T19:10:00Z"
    if draw(st.booleans()) and instance["type"] == "Property":
        instance["unitCode"] = "CEL"
    if draw(st.booleans()) and instance["type"] == "Relationship":
        instance["objectType"] = draw(names(context))
    if depth < 2 and draw(st.booleans()):
        instance |= draw(st.dictionaries(names(context), attributes(context, depth + 1), max_size=2))
    return instance


@st.composite
def documents(draw: Any, contexts: st.SearchStrategy[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a context and an entity under it, in which no attribute stands twice under two names."""
    context = draw(contexts)
    entity: dict[str, Any] = {"id": "urn:ngsi-ld:Car:1", "type": draw(st.lists(names(context), min_size=1, max_size=2))}
    compiled = context_of(context)

    def unique(instance: dict[str, Any]) -> dict[str, Any]:
        seen: set[str] = set()
        kept: dict[str, Any] = {}
        for name, item in instance.items():
            iri = name if name in MEMBERS or name in ("id", "type") else compiled.expand_term(name)
            if iri not in seen:
                seen.add(iri)
                inner = isinstance(item, dict) and name not in MEMBERS
                kept[name] = unique(item) if inner else item
        return kept

    return context, unique(entity | draw(st.dictionaries(names(context), attributes(context), max_size=3)))


def json_ld(entity: dict[str, Any]) -> dict[str, Any]:
    """Return the expanded JSON-LD form (JSON-LD 1.1, 5.1) of an entity as the broker stores it."""
    node: dict[str, Any] = {"@id": entity["id"], "@type": sorted(entity["type"])}
    return node | {iri_of(name): [_node(one) for one in instances(value)] for name, value in entity["attrs"].items()}


def _node(instance: dict[str, Any]) -> dict[str, Any]:
    node: dict[str, Any] = {"@type": [NS + instance["type"]]}
    for member, item in instance.items():
        if member not in MEMBERS:
            node[iri_of(member)] = [_node(one) for one in instances(item)]
        elif member in _VALUES:
            node[NS + _IRIS.get(member, member)] = _VALUES[member](item)
    return node


def _list(item: Any) -> list[Any]:
    return item if isinstance(item, list) else [item]


def _value(item: Any) -> list[Any]:
    if isinstance(item, dict):
        coordinates = [{"@list": [{"@value": number} for number in item["coordinates"]]}]
        return [{"@type": [GEO + item["type"]], GEO + "coordinates": coordinates}]
    return [{"@value": one} for one in _list(item)]


def _texts(item: dict[str, str]) -> list[Any]:
    return [
        {"@value": text} if tag == "@none" else {"@language": tag, "@value": text} for tag, text in sorted(item.items())
    ]


def _ids(item: Any) -> list[Any]:
    return [{"@id": one} for one in _list(item)]


_IRIS = {
    "value": "hasValue",
    "object": "hasObject",
    "languageMap": "hasLanguageMap",
    "vocab": "hasVocab",
    "json": "hasJSON",
    "valueList": "hasValueList",
    "objectList": "hasObjectList",
    "objectType": "hasObjectType",
}
_VALUES: dict[str, Any] = {
    "value": _value,
    "object": _ids,
    "languageMap": _texts,
    "vocab": _ids,
    "json": lambda item: [{"@type": "@json", "@value": item}],
    "valueList": lambda item: [{"@list": [{"@value": one} for one in item]}],
    "objectList": lambda item: [{"@list": [{NS + "hasObject": [{"@id": one}]} for one in item]}],
    "objectType": _ids,
    "unitCode": lambda item: [{"@value": item}],
    "observedAt": lambda item: [{"@type": NS + "DateTime", "@value": item}],
}


def oracle(document: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
    """Return what PyLD expands `document` to, under the user context and then the core."""
    (node,) = jsonld.expand({"@context": [context, CORE], **deepcopy(document)})
    node["@type"] = sorted(set(node["@type"]))  # the types of an entity are a set
    return node  # type: ignore[no-any-return]


SLOW = settings(
    max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@SLOW
@given(documents(coerced_contexts()))
def test_expansion_is_that_of_json_ld(generated):
    """5.5.7: terms, types, vocab values and prefixes expand as a JSON-LD processor expands them."""
    context, document = generated
    assert json_ld(expand_entity(deepcopy(document), context_of(context))) == oracle(document, context)


@SLOW
@given(documents(coerced_contexts()))
def test_what_is_shown_means_what_is_stored(generated):
    """4.4: a JSON-LD processor reads from our output exactly what is stored."""
    context, document = generated
    compiled = context_of(context)
    entity = expand_entity(deepcopy(document), compiled)
    shown = View().render({"_id": entity["id"], **entity}, compiled)
    assert oracle(shown, context) == json_ld(entity)


@SLOW
@given(documents(SIMPLE_CONTEXTS))
def test_names_are_compacted_as_json_ld_compacts_them(generated):
    """5.5.7: the names of types and attributes in our output are those that a JSON-LD processor gives."""
    context, document = generated
    compiled = context_of(context)
    entity = expand_entity(deepcopy(document), compiled)
    shown = View().render({"_id": entity["id"], **entity}, compiled)
    expected = jsonld.compact(oracle(document, context), [context, CORE])
    assert sorted(_list(shown["type"])) == sorted(set(_list(expected["type"])))
    assert shown.keys() == expected.keys() - {"@context"}
