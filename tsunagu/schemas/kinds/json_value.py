"""JSON values as attributes carry them: what the broker can keep, and when two mean the same (4.5.0, 5.5.4)."""

from __future__ import annotations

from typing import Any

from tsunagu.schemas.entity import NULL

MAX_DEPTH = 50
_LARGEST = 2**63
_NULL_TEXT = f'"{NULL}" deletes, and is not a value here'
_NONE_TEXT = "null is not a value in NGSI-LD; leave the member out, or use a JsonProperty"


def check_value(value: Any) -> Any:
    """Return the value of a Property as it is kept; raises ValueError for null and NGSI-LD Null at any depth.

    Integers beyond 64 bits become floating-point numbers (4.5.2.2 allows the loss), nested ones in place.
    """
    kind = type(value)
    if kind is str:
        if value == NULL:
            raise ValueError(_NULL_TEXT)
        return value
    return value if kind is bool else _checked(value, 0, nulls=False, raw=False)


def check_patch(value: Any) -> Any:
    """Return the value of a Property in a merge patch (5.5.12), in which NGSI-LD Nulls remove members."""
    return _checked(value, 0, nulls=True, raw=False)


def check_json(value: Any) -> Any:
    """Return the value of a JsonProperty (4.5.24): an object or an array of objects, within which null is a value."""
    if type(value) is not dict and not (type(value) is list and all(type(item) is dict for item in value)):
        raise ValueError("a JSON object or an array of JSON objects is expected")
    return _checked(value, 0, nulls=True, raw=True)


def _checked(value: Any, depth: int, *, nulls: bool, raw: bool) -> Any:
    kind = type(value)
    if kind is str:
        if value == NULL and not nulls:
            raise ValueError(_NULL_TEXT)
    elif kind is float:
        if value - value != 0:
            raise ValueError("NaN and infinity are not JSON numbers")
    elif kind is int:
        return value if -_LARGEST <= value < _LARGEST else float(value)
    elif kind is dict:
        _check_object(value, depth, nulls, raw)
    elif kind is list:
        if depth >= MAX_DEPTH:
            raise ValueError(f"the value is nested deeper than {MAX_DEPTH} levels")
        for index, item in enumerate(value):
            checked = _checked(item, depth + 1, nulls=nulls, raw=raw)
            if checked is not item:
                value[index] = checked
    elif value is None and not raw:
        raise ValueError(_NONE_TEXT)
    return value


def _check_object(value: dict[str, Any], depth: int, nulls: bool, raw: bool) -> None:
    if depth >= MAX_DEPTH:
        raise ValueError(f"the value is nested deeper than {MAX_DEPTH} levels")
    if not raw and "@value" in value:
        _check_typed(value)
        return
    for key, item in value.items():
        if "\0" in key:
            raise ValueError(f"the member name {key!r} contains the character U+0000")
        if key == "@context" and not raw:
            raise ValueError("an @context may stand only at the top of the document (5.5.7)")
        checked = _checked(item, depth + 1, nulls=nulls, raw=raw)
        if checked is not item:
            value[key] = checked


def _check_typed(value: dict[str, Any]) -> None:
    """Check a JSON-LD value object: {"@type": ..., "@value": ...} (4.6.3); null only as a JSON literal (4.5.0)."""
    unknown = value.keys() - {"@type", "@value", "@language", "@direction", "@index", "type"}
    if unknown:
        raise ValueError(f"a JSON-LD value object has no member {min(unknown)!r}")
    if value.get("@type", value.get("type")) == "@json":
        _checked(value["@value"], 1, nulls=True, raw=True)
    elif type(value["@value"]) in (dict, list) or value["@value"] is None:
        raise ValueError("the @value of a JSON-LD value object shall be a string, a number, true or false")
    elif type(value.get("@type", "")) is not str:
        raise ValueError("the @type of a JSON-LD value object shall be a string")


def equal_json(left: Any, right: Any) -> bool:
    """Return whether two JSON values mean the same: 1 equals 1.0, but not true; object members have no order."""
    if type(left) is bool or type(right) is bool:
        return left is right
    if type(left) is dict and type(right) is dict:
        return left.keys() == right.keys() and all(equal_json(item, right[key]) for key, item in left.items())
    if type(left) is list and type(right) is list:
        return len(left) == len(right) and all(map(equal_json, left, right))
    return bool(left == right)
