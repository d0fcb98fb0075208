"""From context definitions to a `Context`: the context processing algorithms of JSON-LD 1.1 (4.1 and 4.2 there).

Fetching is over when this runs: it takes the objects in the order in which they apply. What a term does to values
(@type, @container, @language …) plays no part in NGSI-LD, where attributes carry their kind; it is read and left.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.jsonld.context import Context
from tsunagu.broker.jsonld.core import CORE_PREFIXES, CORE_TERMS
from tsunagu.schemas.entity import DEFAULT_VOCAB
from tsunagu.schemas.ids import is_uri

if TYPE_CHECKING:
    from collections.abc import Iterable

_KEYWORD_LIKE = re.compile(r"@[A-Za-z]+")
_PREFIX_ENDS = tuple(":/?#[]@")
_TERM_MEMBERS = frozenset(
    [
        "@id",
        "@reverse",
        "@container",
        "@type",
        "@language",
        "@direction",
        "@index",
        "@nest",
        "@prefix",
        "@protected",
        "@context",
    ]
)
_KEYWORDS = frozenset(
    [
        "@base",
        "@container",
        "@context",
        "@default",
        "@direction",
        "@embed",
        "@explicit",
        "@graph",
        "@id",
        "@import",
        "@included",
        "@index",
        "@json",
        "@language",
        "@list",
        "@nest",
        "@none",
        "@omitDefault",
        "@prefix",
        "@preserve",
        "@propagate",
        "@protected",
        "@requireAll",
        "@reverse",
        "@set",
        "@type",
        "@value",
        "@version",
        "@vocab",
    ]
)

# The one term of the core that has a scoped context: copies of the core are allowed, they change nothing.
_CORE_SCOPED = "ngsildproof"

# Stands in the list of definitions where the client named the core @context itself.
CORE_DEFINITIONS: dict[str, Any] = {}


def compile_context(definitions: Iterable[dict[str, Any] | None], source: Any, *, url: str | None) -> Context:
    """Return the context that `definitions` make when they apply in order; None resets what came before.

    Raises BadRequestData, naming the term, for definitions that JSON-LD or 5.5.7 does not allow.
    """
    active = _Active()
    for definition in definitions:
        if definition is None:
            active = _Active()
        elif definition is CORE_DEFINITIONS:
            active.add_core()
        else:
            active.add(definition)
    return Context(source, url=url, terms=active.terms, prefixes=active.prefixes())


class _Active:
    """The active context of JSON-LD while definitions are added to it."""

    def __init__(self) -> None:
        self.terms: dict[str, str | None] = {}
        self.vocab: str | None = None
        self._prefix_terms: set[str] = set()
        self._protected: dict[str, str | None] = {}

    def prefixes(self) -> dict[str, str]:
        """Return the terms that may stand before a colon, with their IRIs."""
        found = {term: self.terms.get(term) for term in self._prefix_terms}
        return {term: iri for term, iri in found.items() if iri is not None}

    def add_core(self) -> None:
        """Add the terms of the core; they win anyway at the end, but later definitions may build on them."""
        self.terms.update(CORE_TERMS)
        self._prefix_terms.update(CORE_PREFIXES)
        self.vocab = DEFAULT_VOCAB

    def add(self, local: dict[str, Any]) -> None:
        """Add the definitions of one context object."""
        _check_keywords(local)
        if "@vocab" in local:
            self.vocab = self._vocabulary(local["@vocab"])
        state: dict[str, bool] = {}
        protected = local.get("@protected", False)
        for term in local:
            if term not in _KEYWORDS or term == "@type":
                self._define(term, local, state, protected=protected)

    def _vocabulary(self, value: Any) -> str | None:
        if value is None:
            return None
        if type(value) is not str:
            raise BadRequestData("@context: @vocab shall be an IRI or null")
        iri = self._iri(value, {}, {}) if value else self.vocab or ""
        if not is_uri(iri):
            raise BadRequestData(f"@context: @vocab shall be an IRI, not {value!r}")
        return iri

    def _define(self, term: str, local: dict[str, Any], state: dict[str, bool], *, protected: bool) -> None:
        if term in state:
            if not state[term]:
                raise BadRequestData(f"@context: the definition of {term!r} depends on itself")
            return
        if not term:
            raise BadRequestData("@context: a term shall not be empty")
        if term == "@type" or _KEYWORD_LIKE.fullmatch(term):
            return
        state[term] = False
        value = local[term]
        definition = {"@id": value} if value is None or type(value) is str else value
        _check_definition(term, definition)
        before = self.terms.pop(term, None)
        self._prefix_terms.discard(term)
        iri = self._mapping(term, definition, local, state)
        if term in self._protected and self._protected[term] != iri and term not in CORE_TERMS:
            raise BadRequestData(
                f"@context: the term {term!r} is protected and is defined again as {iri}, not {before}"
            )
        self.terms[term] = iri
        simple = type(value) is str and iri is not None and (iri.endswith(_PREFIX_ENDS) or iri.startswith("_:"))
        if ":" not in term and "/" not in term and (definition.get("@prefix", simple)):
            self._prefix_terms.add(term)
        if definition.get("@protected", protected):
            self._protected[term] = iri
        state[term] = True

    def _mapping(
        self, term: str, definition: dict[str, Any], local: dict[str, Any], state: dict[str, bool]
    ) -> str | None:
        given = definition.get("@reverse", definition.get("@id", term))
        if given is None:
            return None
        if type(given) is not str:
            raise BadRequestData(f"@context: {term}: @id shall be a string")
        if given != term:
            if given not in _KEYWORDS and _KEYWORD_LIKE.fullmatch(given):
                return None
            iri = self._iri(given, local, state)
            if not (iri in _KEYWORDS or is_uri(iri) or iri.startswith("_:")):
                raise BadRequestData(f"@context: {term}: {given!r} is not an IRI, a compact IRI or a keyword")
            return iri
        if ":" in term[1:]:
            return self._iri(term, local, state, itself=True)
        return (self.vocab or DEFAULT_VOCAB) + term

    def _iri(self, value: str, local: dict[str, Any], state: dict[str, bool], *, itself: bool = False) -> str:
        """Expand `value` against the vocabulary, defining first what it depends on (JSON-LD 5.2)."""
        if value in _KEYWORDS:
            return value
        if not itself and value in local and not state.get(value):
            self._define(value, local, state, protected=local.get("@protected", False))
        if not itself and self.terms.get(value) is not None:
            return self.terms[value] or ""
        prefix, colon, rest = value.partition(":")
        if colon and prefix:
            if prefix == "_" or rest.startswith("//"):
                return value
            if prefix in local and not state.get(prefix):
                self._define(prefix, local, state, protected=local.get("@protected", False))
            start = self.terms.get(prefix)
            return value if start is None else start + rest
        return (self.vocab or DEFAULT_VOCAB) + value


def _check_keywords(local: dict[str, Any]) -> None:
    version = local.get("@version", 1.1)
    if type(version) is bool or version != 1.1:  # noqa: PLR2004 - the only version there is
        raise BadRequestData("@context: @version shall be the number 1.1")
    base = local.get("@base")
    if base is not None and type(base) is not str:
        raise BadRequestData("@context: @base shall be an IRI or null")
    for keyword in ("@protected", "@propagate"):
        if type(local.get(keyword, False)) is not bool:
            raise BadRequestData(f"@context: {keyword} shall be true or false")
    for keyword in ("@language", "@direction"):
        if local.get(keyword) is not None and type(local[keyword]) is not str:
            raise BadRequestData(f"@context: {keyword} shall be a string or null")


def _check_definition(term: str, definition: Any) -> None:
    if type(definition) is not dict:
        raise BadRequestData(f"@context: the definition of {term!r} shall be a string, an object or null")
    if "@context" in definition and term != _CORE_SCOPED:
        raise BadRequestData(
            f"@context: {term}: scoped contexts are not allowed in a user @context (5.5.7); define its terms at the top"
        )
    unknown = definition.keys() - _TERM_MEMBERS
    if unknown:
        raise BadRequestData(f"@context: {term}: a term definition has no member {min(unknown)!r}")
    if "@reverse" in definition and "@id" in definition:
        raise BadRequestData(f"@context: {term}: @reverse and @id exclude each other")
    for keyword in ("@prefix", "@protected"):
        if type(definition.get(keyword, False)) is not bool:
            raise BadRequestData(f"@context: {term}: {keyword} shall be true or false")
    coercion = definition.get("@type")
    if coercion is not None and type(coercion) is not str:
        raise BadRequestData(f"@context: {term}: @type shall be an IRI, @id, @vocab, @json or @none")
