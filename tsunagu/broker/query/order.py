"""The entity ordering language (4.23.3): orderBy, orderFrom, orderGeometry.

Grammar::

    OrderBy       = OrderingTerm *("," OrderingTerm)
    OrderingTerm  = ValuePath [";" direction]                       ValuePath: see `paths`
    direction     = "asc" (default) / "desc" / "dist-asc" / "dist-desc"

orderFrom are the coordinates, orderGeometry the GeoJSON type ("Point" by default) of the geometry that distances are
measured from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.query.ast import OrderKey
from tsunagu.broker.query.geo import parse_geometry
from tsunagu.broker.query.paths import take_path
from tsunagu.broker.query.scanner import Scanner
from tsunagu.schemas.geo import GEOMETRY_TYPES

if TYPE_CHECKING:
    from tsunagu.broker.query.ast import Terms

DIRECTIONS = ("asc", "desc", "dist-asc", "dist-desc")
MAX_KEYS = 16


def parse_order(
    text: object, context: Terms, *, order_from: object = None, order_geometry: object = None
) -> tuple[OrderKey, ...]:
    """Return the ordering keys of a text, or of a list of texts (OrderingParams of a JSON body, 5.2.43).

    `order_from` and `order_geometry`: orderFrom (coordinates) and orderGeometry (geometry), None where absent.
    Raises BadRequestData with the position or the name of the parameter.
    """
    geometry = _reference(order_from, order_geometry)
    parts = text if isinstance(text, list) else [text]
    keys: list[OrderKey] = []
    for part in parts:
        scanner = Scanner(part, "orderBy")
        keys.append(_term(scanner, context, geometry))
        while scanner.take(","):
            keys.append(_term(scanner, context, geometry))
        if not scanner.done():
            scanner.fail("',', ';' or the end")
    if not 0 < len(keys) <= MAX_KEYS:
        raise BadRequestData(f"orderBy: 1 to {MAX_KEYS} ordering terms are expected")
    return tuple(keys)


def _reference(order_from: object, order_geometry: object) -> dict[str, Any] | None:
    kind = "Point" if order_geometry is None else order_geometry
    if not isinstance(kind, str) or kind not in GEOMETRY_TYPES:
        raise BadRequestData(f"orderGeometry: {kind!r} is none of {', '.join(sorted(GEOMETRY_TYPES))}")
    return None if order_from is None else parse_geometry(kind, order_from, names=("orderGeometry", "orderFrom"))


def _term(scanner: Scanner, context: Terms, geometry: dict[str, Any] | None) -> OrderKey:
    start = scanner.at
    path = take_path(scanner, context)
    if not scanner.take(";"):
        return OrderKey(path)
    direction = scanner.take_one(tuple(sorted(DIRECTIONS, key=len, reverse=True)))
    if direction is None:
        scanner.fail(f"one of {', '.join(DIRECTIONS)}")
    descending = direction.endswith("desc")
    if not direction.startswith("dist"):
        return OrderKey(path, descending)
    if not path.names or path.member or path.keys:
        scanner.fail("the name of a GeoProperty to order by distance", at=start)
    if geometry is None:
        raise BadRequestData("orderFrom: ordering by distance needs the coordinates to measure from")
    return OrderKey(path, descending, geometry)
