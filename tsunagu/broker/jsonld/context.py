"""A resolved JSON-LD context: which IRI a name stands for, and which name an IRI is shown by.

The core @context always comes last and wins (4.4): neither its terms nor its @vocab can be overridden.
"""

from __future__ import annotations

from typing import Any

from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.jsonld.core import CORE_PREFIXES, CORE_TERMS, CORE_URL, STRUCTURAL_TERMS
from tsunagu.schemas.entity import DEFAULT_VOCAB, NULL, iri_of, stored_name
from tsunagu.schemas.ids import MAX_LENGTH, is_name, is_uri

CACHE_LIMIT = 5_000
LONGEST_CACHED = 256
_STRUCTURAL_IRIS = {
    CORE_TERMS.get(term, CORE_PREFIXES["ngsi-ld"] + term): term
    for term in STRUCTURAL_TERMS
    if term not in ("id", "type")
} | {CORE_TERMS["scope"]: "scope"}


class _Names(dict[str, str]):
    """A dict that computes and keeps what it does not have; emptied when it has grown to CACHE_LIMIT."""

    __slots__ = ("_compute",)

    def __init__(self, compute: Any) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, key: str) -> str:
        value: str = self._compute(key)
        if len(key) <= LONGEST_CACHED:
            if len(self) >= CACHE_LIMIT:
                self.clear()
            self[key] = value
        return value


class Context:
    """An immutable context. Build one with `ContextResolver.resolve`; `CORE` is the one without user terms.

    `source` is what the client gave: a URL, a list, an object, or None for the core alone. `url` is an address that a
    Link header can name for it, None if there is none (several contexts, or an object in a request body).
    The dicts `stored` (term → stored attribute name), `shown` (stored attribute name → term) and `names` (IRI → term)
    fill themselves when they are indexed; hot loops use them directly.
    """

    __slots__ = ("_by_iri", "_iris", "_prefixes", "_terms", "_types", "names", "shown", "source", "stored", "url")

    def __init__(
        self,
        source: Any = None,
        *,
        url: str | None = None,
        terms: dict[str, str | None] | None = None,
        prefixes: dict[str, str] | None = None,
    ) -> None:
        self.source = source
        self.url = CORE_URL if source is None and url is None else url
        self._terms: dict[str, str | None] = {**(terms or {}), **CORE_TERMS}
        self._prefixes = {name: iri for name, iri in (prefixes or {}).items() if name not in CORE_TERMS} | CORE_PREFIXES
        self._by_iri = _inverse(self._terms)
        self._iris = _Names(self._expand)
        self.names = _Names(self._compact)
        self._types = _Names(self._type)
        self.stored = _Names(self._attribute)
        self.shown = _Names(lambda name: self.names[iri_of(name)])

    def expand_term(self, term: str) -> str:
        """Return the IRI of a vocabulary term: a type, an attribute name, a vocab value. A keyword stays itself.

        Raises BadRequestData if the @context maps the term to null.
        """
        return self._iris[term]

    def expand_type(self, term: str) -> str:
        """Return the IRI of an entity type. Raises BadRequestData unless it is a name (4.6.2) or a URI."""
        return self._types[term]

    def attribute(self, term: str) -> str:
        """Return the stored name of an attribute. Raises BadRequestData unless `term` may name one (4.5.1, 4.6.2)."""
        return self.stored[term]

    def compact_iri(self, iri: str) -> str:
        """Return the shortest name that expands to `iri` again: a term, a name of the vocabulary, or `prefix:name`.

        The IRI itself if there is none. Of several names the shortest, then the first in the alphabet, is taken.
        """
        return self.names[iri]

    def compact_name(self, stored: str) -> str:
        """Return the name by which a stored attribute name is shown."""
        return self.shown[stored]

    def expand_id(self, value: str) -> str:
        """Return a URI with a prefix that the @context declares resolved; any other text as it is."""
        prefix, colon, rest = value.partition(":")
        if colon and prefix in self._prefixes and not rest.startswith("//"):
            return self._prefixes[prefix] + rest
        return value

    def _expand(self, term: str) -> str:
        if term in self._terms:
            iri = self._terms[term]
            if iri is None:
                raise BadRequestData(f"{term}: the @context maps this term to null")
            return iri
        if term.startswith("@"):
            return term
        if ":" in term[1:]:
            return self.expand_id(term)
        return DEFAULT_VOCAB + term

    def _type(self, term: str) -> str:
        iri = self._expand(term)
        _check_name(term, iri, "an entity type")
        return iri

    def _attribute(self, term: str) -> str:
        iri = self._expand(term)
        _check_name(term, iri, "an attribute name")
        if iri in _STRUCTURAL_IRIS:
            raise BadRequestData(
                f"{term}: {_STRUCTURAL_IRIS[iri]} is a member of the core @context and cannot name an attribute"
            )
        return stored_name(iri)

    def _compact(self, iri: str) -> str:
        for term in self._by_iri.get(iri, ()):
            return term
        if iri.startswith(DEFAULT_VOCAB):
            name = iri[len(DEFAULT_VOCAB) :]
            if name and ":" not in name and not name.startswith("@") and name not in self._terms:
                return name
        names = [
            f"{prefix}:{iri[len(start) :]}"
            for prefix, start in self._prefixes.items()
            if iri.startswith(start) and len(iri) > len(start)
        ]
        fitting = [name for name in names if name not in self._terms and self._expand(name) == iri]
        return min(fitting, key=_shortest, default=iri)


def _check_name(term: str, iri: str, what: str) -> None:
    if ":" in term[1:]:
        if is_uri(iri) and iri != NULL:
            return
    elif is_name(term) and ":" in iri and len(term) <= MAX_LENGTH:
        return
    raise BadRequestData(
        f"{term[:100]!r} is not {what}: a letter, then letters, digits and underscores, is expected; or a URI"
    )


def _shortest(name: str) -> tuple[int, str]:
    return len(name), name


def _inverse(terms: dict[str, str | None]) -> dict[str, list[str]]:
    """Return the terms of each IRI that can be names in a request (4.6.2), the best one first."""
    inverse: dict[str, list[str]] = {}
    for term, iri in terms.items():
        if iri is not None and (":" in term or is_name(term)):
            inverse.setdefault(iri, []).append(term)
    for names in inverse.values():
        names.sort(key=_shortest)
    return inverse


CORE = Context()
