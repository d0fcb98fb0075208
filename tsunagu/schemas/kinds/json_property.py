"""JsonProperty: raw JSON that JSON-LD does not look into (4.5.24, 5.2.38)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.schemas.entity import NULL
from tsunagu.schemas.kinds.json_value import check_json, equal_json
from tsunagu.schemas.kinds.kind import Kind

if TYPE_CHECKING:
    from tsunagu.schemas.kinds.kind import Terms


def _read(value: Any, _terms: Terms) -> Any:
    return check_json(value)


def _is_null(value: Any) -> bool:
    return bool(value == NULL)


def _simplify(value: Any) -> dict[str, Any]:
    return {"json": value}


def _unwrap(value: Any) -> Any:
    return value["json"] if type(value) is dict and value.keys() == {"json"} else value


JSON_PROPERTY = Kind(
    name="JsonProperty",
    member="json",
    previous="previousJson",
    plural="jsons",
    null=NULL,
    read=_read,
    patch=_read,
    is_null=_is_null,
    simplify=_simplify,
    wrap=_unwrap,
    equal=equal_json,
    extras=frozenset({"valueType"}),
)
