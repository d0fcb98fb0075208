"""Reading a JSON body, with an error that says where it breaks off."""

from __future__ import annotations

import base64
import binascii
import json
from codecs import BOM_UTF8
from typing import Any

import orjson

from tsunagu.adapters.errors import BadPayload


class NotJson(BadPayload):
    """The bytes are not JSON at all."""


def parse(body: bytes) -> Any:
    """Return the JSON value, also behind a byte order mark.

    Raises NotJson with the position, or BadPayload naming a member that stands twice in one object: which of its
    values is meant nobody can tell (RFC 8259, 4).
    """
    body = body.removeprefix(BOM_UTF8)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise NotJson(f"the payload is not JSON: {error}") from None
    # Each member has a quote and a colon; where there are more, a text holds them, or a member stands twice.
    flat = type(value) is dict and body.count(b"{") == 1 and b"[" not in body
    members = len(value) if flat else _members(value)
    spaced = b" :" in body or b"\t:" in body or b"\n:" in body or b"\r:" in body
    if spaced or body.count(b'":') != members:
        _check_once(body)
    return value


def _members(value: Any) -> int:
    """Return how many members all objects in a value have."""
    found, waiting = 0, [value]
    for one in waiting:
        if type(one) is dict:
            found += len(one)
            waiting += [inner for inner in one.values() if type(inner) is dict or type(inner) is list]
        elif type(one) is list:
            waiting += [inner for inner in one if type(inner) is dict or type(inner) is list]
    return found


def _check_once(body: bytes) -> None:
    """Raise BadPayload if an object has a member twice."""
    try:
        json.loads(body, object_pairs_hook=_once)
    except RecursionError:
        raise BadPayload("the payload is nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of these members. Raises BadPayload for one that comes twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadPayload(f"the member {twice[:80]!r} stands twice in one object of the payload: which one is meant?")
    return found


def parse_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object. Raises BadPayload if it is something else."""
    value = parse(body)
    if not isinstance(value, dict):
        raise BadPayload(f"the payload must be a JSON object and not {type(value).__name__}")
    return value


def from_base64(text: Any, where: str) -> bytes:
    """Return the bytes that base64 encodes. Raises BadPayload naming the member."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise BadPayload(f"{where} must be base64") from None
