"""From a device's value and the attribute type of the provisioning API to an NGSI-LD attribute instance.

One row per FIWARE type name, lower case; the names are those that iotagent-node-lib knows in its NGSI-LD mode.
Every function takes the value and returns the instance's kind and value members; it raises BadMeasure with what
would be right.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import orjson

from tsunagu.adapters import clock
from tsunagu.adapters.errors import BadMeasure
from tsunagu.schemas.geo import is_geometry

if TYPE_CHECKING:
    from collections.abc import Callable

Instance = dict[str, Any]
TRUE = frozenset(("true", "1", "on", "yes"))
FALSE = frozenset(("false", "0", "off", "no"))


def number(value: Any) -> int | float:
    """Return a finite number, also from text. Raises BadMeasure."""
    kind = type(value)
    if kind is int or (kind is float and math.isfinite(value)):
        return value  # type: ignore[no-any-return]
    if isinstance(value, str):
        try:
            if "_" in value:  # a number in Python alone
                raise ValueError  # noqa: TRY301
            value = int(value) if value.strip().lstrip("+-").isdigit() else float(value)
        except ValueError:
            raise BadMeasure(f"{value[:80]!r} is no number") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadMeasure(f"a number is needed and not {_named(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise BadMeasure(f"a finite number is needed and not {value}")
    return value


def _named(value: Any) -> str:
    return {bool: "a boolean", list: "a list", dict: "an object", str: "text"}.get(type(value), type(value).__name__)


def plain(value: Any) -> Instance:
    """Keep the value as the device gave it; a GeoJSON geometry is a place."""
    if isinstance(value, float) and not math.isfinite(value):
        raise BadMeasure(f"a finite number is needed and not {value}")
    return {"type": "GeoProperty" if is_geometry(value) else "Property", "value": value}


def as_number(value: Any) -> Instance:
    """Take a number."""
    return {"type": "Property", "value": number(value)}


def whole(value: Any) -> int:
    """Return a whole number, also from text or a float without a fraction. Raises BadMeasure."""
    found = number(value)
    if found != int(found):
        raise BadMeasure(f"{found} is no whole number")
    return int(found)


def as_integer(value: Any) -> Instance:
    """Take a number and leave off its fraction."""
    return {"type": "Property", "value": int(number(value))}


def as_text(value: Any) -> Instance:
    """Take text; numbers and booleans are written as JSON writes them."""
    return {"type": "Property", "value": value if isinstance(value, str) else orjson.dumps(value).decode()}


def as_boolean(value: Any) -> Instance:
    """Take a boolean, also as true/false, on/off, yes/no, 1/0."""
    if isinstance(value, bool):
        return {"type": "Property", "value": value}
    word = str(value).strip().lower()
    if word in TRUE or word in FALSE:
        return {"type": "Property", "value": word in TRUE}
    raise BadMeasure(f"{str(value)[:80]!r} is no boolean; right would be true or false")


def as_datetime(value: Any) -> Instance:
    """Take a time and write it in UTC."""
    return {"type": "Property", "value": {"@type": "DateTime", "@value": clock.iso(clock.read_time(value))}}


def as_json_value(value: Any) -> Instance:
    """Take an object or a list, also as JSON text."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise BadMeasure(f"{value[:80]!r} is no JSON") from None
    return {"type": "Property", "value": value}


def geometry(kind: str) -> Callable[[Any], Instance]:
    """Return a function that takes GeoJSON, or positions as a list or text, longitude first."""

    def convert(value: Any) -> Instance:
        if isinstance(value, str) and value.lstrip().startswith("{"):
            value = as_json_value(value)["value"]
        if isinstance(value, dict):
            if not isinstance(value.get("type"), str) or "coordinates" not in value:
                raise BadMeasure('GeoJSON with "type" and "coordinates" is needed')
            if value["type"] == "Point":
                check_position(value["coordinates"])
            return {"type": "GeoProperty", "value": value}
        positions = _positions(value)
        if kind == "Point" and len(positions) != 1:
            raise BadMeasure("one position is needed: longitude, latitude")
        coordinates: Any = positions[0] if kind == "Point" else positions
        return {
            "type": "GeoProperty",
            "value": {"type": kind, "coordinates": [coordinates] if kind == "Polygon" else coordinates},
        }

    return convert


def _positions(value: Any) -> list[list[float]]:
    """Return positions from "134.8, 34.7", [134.8, 34.7] or a list of such."""
    flat: list[float] = []
    parts = value if isinstance(value, list) else [value]
    for part in parts:
        pieces = (
            part.replace("/", ",").split(",") if isinstance(part, str) else part if isinstance(part, list) else [part]
        )
        flat.extend(number(piece) for piece in pieces)
    if not flat or len(flat) % 2:
        raise BadMeasure("positions are pairs of longitude and latitude")
    return [check_position(flat[i : i + 2]) for i in range(0, len(flat), 2)]


def check_position(position: Any) -> list[float]:
    """Return [longitude, latitude(, height)] if it is one. Raises BadMeasure."""
    if not isinstance(position, list) or len(position) not in (2, 3):
        raise BadMeasure("a position is [longitude, latitude]")
    longitude, latitude = number(position[0]), number(position[1])
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):  # noqa: PLR2004 - degrees
        raise BadMeasure(
            f"[{longitude}, {latitude}] is no position; longitude (-180 to 180) comes first, then latitude (-90 to 90)"
        )
    return position


def member(kind: str, name: str) -> Callable[[Any], Instance]:
    """Return a function that puts the value into the given member of the given kind."""

    def convert(value: Any) -> Instance:
        return {"type": kind, name: value}

    return convert


def as_relationship(value: Any) -> Instance:
    """Take the URI of an entity, or a list of them."""
    for target in value if isinstance(value, list) and value else [value]:
        if not isinstance(target, str) or ":" not in target:
            raise BadMeasure(f"{str(target)[:80]!r} is no entity URI; right would be e.g. 'urn:ngsi-ld:Device:F012'")
    return {"type": "Relationship", "object": value}


CONVERTERS: dict[str, Callable[[Any], Instance]] = {
    "text": as_text,
    "string": as_text,
    "textunrestricted": as_text,
    "number": as_number,
    "float": as_number,
    "double": as_number,
    "integer": as_integer,
    "boolean": as_boolean,
    "datetime": as_datetime,
    "object": as_json_value,
    "array": as_json_value,
    "structuredvalue": as_json_value,
    "geoproperty": geometry("Point"),
    "point": geometry("Point"),
    "geo:point": geometry("Point"),
    "geo:json": geometry("Point"),
    "linestring": geometry("LineString"),
    "geo:linestring": geometry("LineString"),
    "geo:line": geometry("LineString"),
    "polygon": geometry("Polygon"),
    "geo:polygon": geometry("Polygon"),
    "multipoint": geometry("MultiPoint"),
    "geo:multipoint": geometry("MultiPoint"),
    "relationship": as_relationship,
    "languageproperty": member("LanguageProperty", "languageMap"),
    "vocabproperty": member("VocabProperty", "vocab"),
    "jsonproperty": member("JsonProperty", "json"),
    "listproperty": member("ListProperty", "valueList"),
    "listrelationship": member("ListRelationship", "objectList"),
}


def converter(type_name: str) -> Callable[[Any], Instance]:
    """Return the function for a type name of the provisioning API; with other names the value stays as it is."""
    return CONVERTERS.get(type_name.lower(), plain)
