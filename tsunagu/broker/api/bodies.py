"""Reading and checking a request body: length, size, JSON syntax, nesting, numbers that the store can hold.

ETSI GS CIM 009 v1.9.1, 5.5.4, 6.3.2, 6.3.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from tsunagu.broker.api.problems import LengthRequired, UnsupportedCoding
from tsunagu.broker.errors import BadRequestData, InvalidRequest, PayloadTooLarge

if TYPE_CHECKING:
    from tsunagu.broker.api.call import Receive

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
ZEROS = bytes.maketrans(b"123456789", b"0" * 9)
HUGE_INTEGER = b"0" * 19
BRACES = bytes.maketrans(b"[]", b"{}")
NEITHER_BRACKET_NOR_QUOTE = bytes(set(range(256)) - set(b'{}[]"'))
SHORT = 4096  # bytes of a body that may well have fewer brackets than it may have levels
INT64 = range(-(2**63), 2**63)


def check_length(content_length: bytes | None, limit: int) -> None:
    """Check the Content-Length header.

    Raises LengthRequired when it is missing, InvalidRequest when it is no number, PayloadTooLarge above `limit` bytes.
    """
    if content_length is None:
        raise LengthRequired
    if not content_length.isdigit():
        raise InvalidRequest("Content-Length is not a number; it is the length of the body in bytes")
    if int(content_length) > limit:
        raise PayloadTooLarge(f"the body has {int(content_length)} bytes; at most {limit} are accepted")


def check_coding(content_encoding: bytes | None) -> None:
    """Raise UnsupportedCoding for a compressed body."""
    if content_encoding is not None and content_encoding.strip().lower() not in {b"", b"identity"}:
        raise UnsupportedCoding


async def read_body(receive: Receive, limit: int) -> bytes:
    """Return the whole body. Raises PayloadTooLarge above `limit` bytes, InvalidRequest if the client goes away."""
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) > limit:
            raise PayloadTooLarge(f"the body has more than {limit} bytes")
        return body
    parts: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise InvalidRequest("the client closed the connection before the body was complete")
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise PayloadTooLarge(f"the body has more than {limit} bytes")
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()


def parse_json(body: bytes, max_depth: int) -> Any:
    """Return the JSON value of a body.

    Raises InvalidRequest when it is no JSON, BadRequestData when it nests deeper than `max_depth` or holds a NUL
    character. Integers beyond 64 bits signed become floating-point numbers, as in any I-JSON reader (RFC 7493).
    """
    if not body:
        raise InvalidRequest("the request has no body; a JSON document is expected")
    try:
        value = orjson.loads(body.removeprefix(BYTE_ORDER_MARK))
    except orjson.JSONDecodeError as error:
        if "depth limit" in str(error):
            raise BadRequestData(f"the body nests deeper than {max_depth} levels") from None
        raise InvalidRequest(f"the body is not valid JSON: {error}") from None
    if may_be_too_deep(body, max_depth) and too_deep(value, max_depth):
        raise BadRequestData(f"the body nests deeper than {max_depth} levels")
    if b"\\" in body and b"\\u0000" in body and holds_nul(value):
        raise BadRequestData("the body holds the NUL character (\\u0000), which no name and no value may contain")
    if HUGE_INTEGER in body.translate(ZEROS):
        value = with_finite_integers(value)
    return value


def may_be_too_deep(body: bytes, limit: int) -> bool:
    """Tell whether a JSON text may nest deeper than `limit` objects and arrays; never False if it does.

    Bytes are counted, not values: a tenth of what walking over the values of a batch costs.
    """
    if len(body) < SHORT and body.count(b"{") + body.count(b"[") <= limit:
        return False
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    left = body.translate(BRACES, NEITHER_BRACKET_NOR_QUOTE).replace(b'""', b"")
    if b'"' in left:  # a string with brackets
        return True
    for _ in range(limit):
        if not left:
            return False
        left = left.replace(b"{}", b"")  # takes away what is innermost
    return bool(left)


def too_deep(value: Any, limit: int) -> bool:
    """Tell whether a JSON value nests deeper than `limit` objects and arrays."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(limit):
        if not level:
            return False
        below: list[Any] = []
        for node in level:
            children = node.values() if type(node) is dict else node
            below.extend([child for child in children if type(child) is dict or type(child) is list])
        level = below
    return bool(level)


def holds_nul(value: Any) -> bool:
    """Tell whether a string or a name anywhere in a JSON value holds the NUL character."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in key or holds_nul(child) for key, child in value.items())
    return isinstance(value, list) and any(map(holds_nul, value))


def with_finite_integers(value: Any) -> Any:
    """Return the JSON value with every integer beyond 64 bits signed as a float."""
    if isinstance(value, dict):
        return {key: with_finite_integers(child) for key, child in value.items()}
    if isinstance(value, list):
        return [with_finite_integers(child) for child in value]
    return float(value) if type(value) is int and value not in INT64 else value
