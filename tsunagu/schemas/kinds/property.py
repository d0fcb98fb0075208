"""Property: any JSON value (4.5.2, 5.2.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.schemas.entity import NULL
from tsunagu.schemas.kinds.json_value import check_patch, check_value, equal_json
from tsunagu.schemas.kinds.kind import Kind

if TYPE_CHECKING:
    from tsunagu.schemas.kinds.kind import Terms


def _read(value: Any, _terms: Terms) -> Any:
    return check_value(value)


def _patch(value: Any, _terms: Terms) -> Any:
    return check_patch(value)


def _is_null(value: Any) -> bool:
    return bool(value == NULL)


PROPERTY = Kind(
    name="Property",
    member="value",
    previous="previousValue",
    plural="values",
    null=NULL,
    read=_read,
    patch=_patch,
    is_null=_is_null,
    equal=equal_json,
    extras=frozenset({"unitCode", "valueType"}),
)
