"""GeoProperty: a GeoJSON geometry (4.7, 5.2.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from tsunagu.schemas.entity import NULL
from tsunagu.schemas.geo import check_geometry
from tsunagu.schemas.kinds.json_value import check_value, equal_json
from tsunagu.schemas.kinds.kind import Kind

if TYPE_CHECKING:
    from tsunagu.schemas.kinds.kind import Terms


def _read(value: Any, _terms: Terms) -> dict[str, Any]:
    if type(value) is str:
        value = _decoded(value)
    check_geometry(value)
    return value if len(value) == 2 else check_value(value)  # type: ignore[no-any-return] # noqa: PLR2004


def _decoded(text: str) -> Any:
    """Return the geometry that 4.7.2 allows to be given as a JSON string."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise ValueError("a GeoJSON geometry is expected, as an object or as a string of JSON (4.7.2)") from None


def _is_null(value: Any) -> bool:
    return bool(value == NULL)


GEO_PROPERTY = Kind(
    name="GeoProperty",
    member="value",
    previous="previousValue",
    plural="values",
    null=NULL,
    read=_read,
    patch=_read,
    is_null=_is_null,
    equal=equal_json,
    extras=frozenset({"unitCode", "valueType"}),
)
