"""Documents for the tests of the query readers, in the stored form, from short descriptions."""

from __future__ import annotations

from typing import Any

from tsunagu.broker.operations.draft import complete
from tsunagu.schemas.entity import CORE_NAMESPACE, stored_name
from tsunagu.schemas.times import parse_ms

VOCABULARY = "https://example.org/v1.0#"
CREATED = parse_ms("2026-07-18T10:00:00Z")
MODIFIED = parse_ms("2026-07-18T11:00:00Z")
TIMES = {"observedAt": "o", "expiresAt": "e"}


class ExampleContext:
    """A @context that puts every term into one vocabulary, with dots in its IRIs; core terms stay core."""

    def expand_term(self, term: str) -> str:
        if term in ("location", "observationSpace", "observedAt", "createdAt", "modifiedAt", "expiresAt"):
            return CORE_NAMESPACE + term
        return term if ":" in term else VOCABULARY + term

    def attribute(self, term: str) -> str:
        return stored_name(self.expand_term(term))


CONTEXT = ExampleContext()


def name(term: str) -> str:
    """Return the stored name of a term."""
    return CONTEXT.attribute(term)


def prop(value: Any, **more: Any) -> dict[str, Any]:
    return {"type": "Property", "value": value, **more}


def geo(kind: str, coordinates: Any, **more: Any) -> dict[str, Any]:
    return {"type": "GeoProperty", "value": {"type": kind, "coordinates": coordinates}, **more}


def rel(target: Any, **more: Any) -> dict[str, Any]:
    return {"type": "Relationship", "object": target, **more}


def rels(*targets: str) -> dict[str, Any]:
    return {"type": "ListRelationship", "objectList": list(targets)}


def lang(**texts: Any) -> dict[str, Any]:
    return {"type": "LanguageProperty", "languageMap": texts}


def vocab(*terms: str) -> dict[str, Any]:
    iris = [CONTEXT.expand_term(term) for term in terms]
    return {"type": "VocabProperty", "vocab": iris[0] if len(iris) == 1 else iris}


def raw(value: Any) -> dict[str, Any]:
    return {"type": "JsonProperty", "json": value}


def values(*items: Any) -> dict[str, Any]:
    return {"type": "ListProperty", "valueList": list(items)}


def entity(label: str, kinds: Any = "Thing", attrs: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    """Return a document with the id urn:LABEL. `attrs` and sub-attributes are named by terms.

    `members`: scope, expires, created, modified, as in the stored form.
    """
    stored, times = _stored(attrs or {})
    document = {
        "_id": f"urn:{label}",
        "type": [CONTEXT.expand_term(kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)],
        "attrs": stored,
        "sys": times,
        "created": CREATED,
        "modified": MODIFIED,
        "v": 1,
        **members,
    }
    complete(document)
    return document


def _stored(attrs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    stored, times = {}, {}
    for term, given in attrs.items():
        pairs = [_instance(each) for each in (given if isinstance(given, list) else [given])]
        single = not isinstance(given, list)
        stored[name(term)] = pairs[0][0] if single else [pair[0] for pair in pairs]
        times[name(term)] = pairs[0][1] if single else [pair[1] for pair in pairs]
    return stored, times


def _instance(given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the instance with stored names for its sub-attributes, and its times.

    Sub-attributes are under "sub", the time of the last change, if it is another one than MODIFIED, under "changed".
    """
    instance = {key: value for key, value in given.items() if key not in ("sub", "changed")}
    times: dict[str, Any] = {"c": CREATED, "m": parse_ms(given["changed"]) if "changed" in given else MODIFIED}
    times |= {TIMES[key]: parse_ms(value) for key, value in given.items() if key in TIMES}
    if "sub" in given:
        subs, sub_times = _stored(given["sub"])
        instance |= subs
        times["s"] = sub_times
    return instance, times
