"""ListRelationship: an ordered array of targets (4.5.22, 5.2.37). Stored as a list of URIs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.schemas.entity import NULL
from tsunagu.schemas.ids import is_uri
from tsunagu.schemas.kinds.kind import Kind

if TYPE_CHECKING:
    from tsunagu.schemas.kinds.kind import Terms

_NULL_LISTS: tuple[Any, ...] = ([NULL], [{"object": NULL}], NULL)


def _read(value: Any, terms: Terms) -> list[str]:
    if type(value) is not list:
        raise ValueError('an array is expected, such as [{"object": "urn:ngsi-ld:BusStop:0101"}]')
    return [_target(item, terms) for item in value]


def _target(item: Any, terms: Terms) -> str:
    uri = item["object"] if type(item) is dict and item.keys() == {"object"} else item
    if not is_uri(uri):
        raise ValueError(f'a URI or {{"object": URI}} is expected, not {item!r}')
    if uri == NULL:
        raise ValueError(f'"{NULL}" deletes, and is not a target here')
    return terms.expand_id(uri)


def _write(value: list[str], _terms: Terms) -> list[Any]:
    return [uri if uri == NULL else {"object": uri} for uri in value]


def _uris(value: list[Any]) -> list[str]:
    return [item if type(item) is str else item["object"] for item in value]


def _is_null(value: Any) -> bool:
    return bool(value in _NULL_LISTS)


LIST_RELATIONSHIP = Kind(
    name="ListRelationship",
    member="objectList",
    previous="previousObjectList",
    plural="objectLists",
    null=[NULL],
    read=_read,
    patch=_read,
    is_null=_is_null,
    write=_write,
    concise=_uris,
    simplify=_uris,
    equal=list.__eq__,
    extras=frozenset({"objectType"}),
)
