"""Reading a JSON body, with an error that says where it breaks off."""

from __future__ import annotations

import base64
import binascii
from codecs import BOM_UTF8
from typing import Any

import orjson

from tsunagu.adapters.errors import BadPayload


def parse(body: bytes) -> Any:
    """Return the JSON value, also behind a byte order mark. Raises BadPayload with the position."""
    try:
        return orjson.loads(body.removeprefix(BOM_UTF8))
    except orjson.JSONDecodeError as error:
        raise BadPayload(f"the payload is not JSON: {error}") from None


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
