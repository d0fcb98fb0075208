"""VocabProperty: one or several terms that stand for IRIs (4.5.20, 5.2.35). Stored as IRIs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.schemas.entity import NULL
from tsunagu.schemas.kinds.kind import Kind

if TYPE_CHECKING:
    from tsunagu.schemas.kinds.kind import Terms


def _read(value: Any, terms: Terms) -> str | list[str]:
    if type(value) is list and value:
        return [_expanded(item, terms) for item in value]
    return _expanded(value, terms)


def _expanded(value: Any, terms: Terms) -> str:
    if type(value) is not str or not value:
        raise ValueError("a term or an array of one or more terms is expected")
    if value == NULL:
        raise ValueError(f'"{NULL}" deletes, and is not a term here')
    return terms.expand_term(value)


def _write(value: str | list[str], terms: Terms) -> str | list[str]:
    if type(value) is list:
        return [terms.compact_iri(item) for item in value]
    return terms.compact_iri(value)  # type: ignore[arg-type]


def _is_null(value: Any) -> bool:
    return bool(value == NULL)


def _simplify(value: Any) -> dict[str, Any]:
    return {"vocab": value}


def _unwrap(value: Any) -> Any:
    return value["vocab"] if type(value) is dict and "vocab" in value else value


def _equal(left: str | list[str], right: str | list[str]) -> bool:
    if type(left) is list and type(right) is list:
        return sorted(left) == sorted(right)
    return left == right


VOCAB_PROPERTY = Kind(
    name="VocabProperty",
    member="vocab",
    previous="previousVocab",
    plural="vocabs",
    null=NULL,
    read=_read,
    patch=_read,
    is_null=_is_null,
    write=_write,
    simplify=_simplify,
    wrap=_unwrap,
    equal=_equal,
    extras=frozenset({"valueType"}),
)
