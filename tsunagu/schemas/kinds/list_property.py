"""ListProperty: an ordered array of JSON values (4.5.21, 5.2.36)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.schemas.entity import NULL
from tsunagu.schemas.kinds.json_value import check_patch, check_value, equal_json
from tsunagu.schemas.kinds.kind import Kind

if TYPE_CHECKING:
    from tsunagu.schemas.kinds.kind import Terms

_NULL_LIST = [NULL]


def _read(value: Any, _terms: Terms) -> list[Any]:
    if type(value) is not list:
        raise ValueError("an array of values is expected")
    return check_value(value)  # type: ignore[no-any-return]


def _patch(value: Any, _terms: Terms) -> list[Any]:
    if type(value) is not list:
        raise ValueError("an array of values is expected")
    return check_patch(value)  # type: ignore[no-any-return]


def _is_null(value: Any) -> bool:
    return bool(value in (_NULL_LIST, NULL))


LIST_PROPERTY = Kind(
    name="ListProperty",
    member="valueList",
    previous="previousValueList",
    plural="valueLists",
    null=_NULL_LIST,
    read=_read,
    patch=_patch,
    is_null=_is_null,
    equal=equal_json,
    extras=frozenset({"unitCode", "valueType"}),
)
