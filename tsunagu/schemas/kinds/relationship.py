"""Relationship: the URI of a target, or an unordered array of them (4.5.3, 5.2.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.schemas.entity import NULL
from tsunagu.schemas.ids import is_uri
from tsunagu.schemas.kinds.kind import Kind

if TYPE_CHECKING:
    from tsunagu.schemas.kinds.kind import Terms


def target(value: Any, terms: Terms) -> str:
    """Return the URI of one target. Raises ValueError for anything else, NGSI-LD Null included."""
    if not is_uri(value):
        raise ValueError(f"a URI is expected, not {value!r}")
    if value == NULL:
        raise ValueError(f'"{NULL}" deletes, and is not a target here')
    return terms.expand_id(value)


def _read(value: Any, terms: Terms) -> str | list[str]:
    if type(value) is not list:
        return target(value, terms)
    if not value:
        raise ValueError("a URI or an array of one or more URIs is expected")
    return [target(item, terms) for item in value]


def _is_null(value: Any) -> bool:
    return bool(value == NULL)


def _equal(left: str | list[str], right: str | list[str]) -> bool:
    if type(left) is list and type(right) is list:
        return sorted(left) == sorted(right)
    return left == right


RELATIONSHIP = Kind(
    name="Relationship",
    member="object",
    previous="previousObject",
    plural="objects",
    null=NULL,
    read=_read,
    patch=_read,
    is_null=_is_null,
    equal=_equal,
    extras=frozenset({"objectType"}),
)
