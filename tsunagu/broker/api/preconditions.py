"""ETag, If-Match and If-None-Match: an entity's version, for optimistic locking and for polling (extension of ours)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tsunagu.broker.errors import InvalidRequest, PreconditionFailed

if TYPE_CHECKING:
    from tsunagu.broker.api.call import Call, Header

TAG = re.compile(rb'\s*(?:W/)?"(\d{1,18})"\s*')
ANY_TAG = re.compile(rb'(?:W/)?"([^"]*)"')


def etag(version: int) -> Header:
    """Return the ETag header of an entity with this version."""
    return b"etag", b'"%d"' % version


def required_version(call: Call) -> int | None:
    """Return the version that If-Match asks for, None if the request has no such header or takes any ("*").

    Raises InvalidRequest when the header is malformed, PreconditionFailed when its tag cannot be one of ours.
    """
    header = call.headers.get(b"if-match")
    if header is None or header.strip() == b"*":
        return None
    match = TAG.fullmatch(header)
    if match is not None:
        return int(match[1])
    if re.fullmatch(rb'\s*(?:W/)?"[^"]*"\s*', header):
        raise PreconditionFailed("If-Match: the entity has another version; read it again")
    raise InvalidRequest('If-Match: give one entity tag as ETag returned it, such as "7", or *')


def unchanged(call: Call, version: int) -> bool:
    """Return whether If-None-Match names this version: the client has it, the answer is 304 (RFC 9110, 13.1.2)."""
    header = call.headers.get(b"if-none-match")
    if header is None:
        return False
    return header.strip() == b"*" or any(match[1] == b"%d" % version for match in ANY_TAG.finditer(header))
