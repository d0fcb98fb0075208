"""GeoJSON geometries (RFC 7946; ETSI GS CIM 009, 4.7.1 and 4.7.2).

All geometries of RFC 7946 but GeometryCollection. Positions are [longitude, latitude] or
[longitude, latitude, altitude] in WGS 84 degrees and metres.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_NUMBERS = (float, int)
_RING = 4
_FARTHEST = 1e9  # metres


def check_geometry(value: Any) -> None:
    """Raise ValueError, saying what would be right, unless `value` is a supported GeoJSON geometry."""
    if type(value) is not dict:
        raise ValueError('a GeoJSON geometry is expected, such as {"type": "Point", "coordinates": [139.7, 35.6]}')
    kind = value.get("type")
    check = _CHECKS.get(kind) if type(kind) is str else None
    if check is None:
        raise ValueError(f"the type of a geometry shall be one of {', '.join(_CHECKS)}")
    if "coordinates" not in value:
        raise ValueError(f"a {kind} needs the member coordinates")
    check(value["coordinates"])
    if len(value) > 2:  # noqa: PLR2004 - type and coordinates
        _check_others(value)


def is_geometry(value: Any) -> bool:
    """Return whether `value` is an object with the type and the coordinates of a supported geometry (4.7.3).

    Only the shape is looked at: whether the coordinates are right, `check_geometry` says.
    """
    if type(value) is not dict or "coordinates" not in value:
        return False
    kind = value.get("type")
    return type(kind) is str and kind in GEOMETRY_TYPES


def _check_others(value: dict[str, Any]) -> None:
    bbox = value.get("bbox", [0, 0, 0, 0])
    if type(bbox) is not list or len(bbox) not in (4, 6) or not all(map(_is_measure, bbox)):
        raise ValueError("bbox shall be a list of four or six numbers")
    if "crs" in value:
        raise ValueError("crs is not supported: positions are in WGS 84 (RFC 7946, 4)")


def _is_measure(value: Any) -> bool:
    return type(value) in _NUMBERS and -_FARTHEST <= value <= _FARTHEST


def _position(value: Any) -> None:
    if type(value) is not list or not 2 <= len(value) <= 3:  # noqa: PLR2004 - longitude, latitude, altitude
        raise ValueError("a position shall be [longitude, latitude] or [longitude, latitude, altitude]")
    for number in value:
        if type(number) not in _NUMBERS:
            raise ValueError("longitude, latitude and altitude shall be numbers")
    if not -180 <= value[0] <= 180:  # noqa: PLR2004
        raise ValueError(f"longitude {value[0]} is outside -180 to 180; the order is [longitude, latitude]")
    if not -90 <= value[1] <= 90:  # noqa: PLR2004
        raise ValueError(f"latitude {value[1]} is outside -90 to 90; the order is [longitude, latitude]")
    if len(value) > 2 and not -_FARTHEST <= value[2] <= _FARTHEST:  # noqa: PLR2004
        raise ValueError(f"the altitude {value[2]} is no height in metres")


def _list_of(check: Callable[[Any], None], least: int, what: str) -> Callable[[Any], None]:
    def check_list(value: Any) -> None:
        if type(value) is not list or len(value) < least:
            raise ValueError(f"{what} expected")
        for item in value:
            check(item)

    return check_list


_positions = _list_of(_position, 1, "a list of positions is")
_line = _list_of(_position, 2, "a list of two or more positions is")
_ring_positions = _list_of(_position, _RING, "a ring of four or more positions is")


def _ring(value: Any) -> None:
    _ring_positions(value)
    if value[0] != value[-1]:
        raise ValueError("a ring shall be closed: its last position shall equal its first")


_polygon = _list_of(_ring, 1, "a list of rings is")

_CHECKS: dict[str, Callable[[Any], None]] = {
    "Point": _position,
    "MultiPoint": _positions,
    "LineString": _line,
    "MultiLineString": _list_of(_line, 1, "a list of lines is"),
    "Polygon": _polygon,
    "MultiPolygon": _list_of(_polygon, 1, "a list of polygons is"),
}
GEOMETRY_TYPES = frozenset(_CHECKS)
