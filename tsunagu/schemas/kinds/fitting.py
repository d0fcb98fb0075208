"""Giving a value without a kind the kind of the attribute that it goes into (5.6.4, 5.6.17.4, 6.5.3.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.schemas.entity import NULL, instances
from tsunagu.schemas.geo import is_geometry
from tsunagu.schemas.kinds import KINDS
from tsunagu.schemas.kinds.geo_property import GEO_PROPERTY
from tsunagu.schemas.kinds.json_property import JSON_PROPERTY
from tsunagu.schemas.kinds.language_property import LANGUAGE_PROPERTY
from tsunagu.schemas.kinds.property import PROPERTY
from tsunagu.schemas.kinds.vocab_property import VOCAB_PROPERTY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tsunagu.schemas.entity import Instance
    from tsunagu.schemas.kinds.kind import Kind

_WRAPPED = {kind.member: kind for kind in (LANGUAGE_PROPERTY, VOCAB_PROPERTY, JSON_PROPERTY)}


class _ExpandedTerms:
    """Stands for a context where names are IRIs already."""

    def expand_term(self, term: str) -> str:
        if ":" not in term:
            raise ValueError('the value of a VocabProperty is given as {"vocab": …}')
        return term

    def expand_id(self, value: str) -> str:
        return value

    def compact_iri(self, iri: str) -> str:
        return iri


_TERMS = _ExpandedTerms()


def fitted(fragment: Instance, kind: Kind | None, *, lang: str | None = None) -> Instance:
    """Return an instance without "type", as `broker.jsonld.expand` makes it, as one of `kind`.

    With None, there is no attribute yet, and the value decides: a geometry makes a GeoProperty, {"languageMap": …},
    {"vocab": …} and {"json": …} alone in an object make those kinds, and all else a Property. `lang` is the language
    of a plain string that goes into a LanguageProperty. A fragment without a value only gets the type.
    Raises ValueError, saying what would be right, if the value cannot be one of `kind`.
    """
    rest = {key: member for key, member in fragment.items() if key != "value"}
    if "value" not in fragment:
        return {"type": (kind or PROPERTY).name, **rest}
    value = fragment["value"]
    if kind is None:
        kind = _kind_of(value)
    if kind is LANGUAGE_PROPERTY and type(value) in (str, list) and not kind.is_null(value):
        value = {lang or "@none": value}
    if not kind.is_null(value):
        value = kind.patch(kind.wrap(value), _TERMS)
    return {"type": kind.name, kind.member: value, **rest}


def _kind_of(value: Any) -> Kind:
    if is_geometry(value):
        return GEO_PROPERTY
    if type(value) is dict and len(value) == 1:
        return _WRAPPED.get(next(iter(value)), PROPERTY)
    return PROPERTY


def is_deletion(instance: Instance) -> bool:
    """Return whether an instance of a fragment asks for the deletion of its counterpart: its value is NGSI-LD Null.

    Null may be encoded as its kind has it, or, without "type", stand in "value" (5.5.8, 5.5.12).
    """
    if "value" in instance or "type" not in instance:
        return bool(instance.get("value") == NULL)
    kind = KINDS[instance["type"]]
    return kind.member in instance and kind.is_null(instance[kind.member])


def any_deletion(attrs: Mapping[str, Instance | list[Instance]]) -> bool:
    """Return whether any instance of these attributes asks for a deletion."""
    for value in attrs.values():
        for instance in instances(value):
            if is_deletion(instance):
                return True
    return False
