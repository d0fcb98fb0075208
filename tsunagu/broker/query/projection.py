"""The attribute projection language of pick and omit (4.21), and lists of attribute names (attrs).

Grammar::

    ProjectionTerm   = AttrName [LinkedEntityTerm] *(orOp ProjectionTerm)
    LinkedEntityTerm = "{" ProjectionTerm "}"
    orOp             = "|" / ","

A name may have a prefix (4.6.2) or be a whole URI. Besides attributes, id, type and scope are members to be picked,
and the system times createdAt, modifiedAt and expiresAt of the entity.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.query.scanner import Scanner
from tsunagu.schemas.ids import is_name, is_uri

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tsunagu.broker.query.ast import Terms

Projection = dict[str, "Projection | None"]
"""Stored names of attributes, and plain names of MEMBERS, each with the projection of the linked entities or None."""

OR = ("|", ",")
MEMBERS = frozenset({"id", "type", "scope", "createdAt", "modifiedAt", "expiresAt", "deletedAt"})
RESERVED = frozenset({"id", "type", "scope", "@context"})
_NAME = re.compile(r"[^|,{}\s]+")


def parse_projection(text: object, context: Terms, *, parameter: str = "pick") -> Projection:
    """Return the projection of a text, or of a list of texts (the members pick and omit of JSON bodies).

    Raises BadRequestData with the position for a malformed text or a name that occurs twice, TooComplexQuery.
    """
    if isinstance(text, list):
        if not text:
            raise BadRequestData(f"{parameter}: at least one name is expected")
        text = ",".join(part if isinstance(part, str) else "" for part in text)
    scanner = Scanner(text, parameter)
    projection = _terms(scanner, context, 0)
    if not scanner.done():
        scanner.fail("'|', ',', '{' or the end")
    return projection


def _terms(scanner: Scanner, context: Terms, depth: int) -> Projection:
    scanner.check_depth(depth)
    projection: Projection = {}
    while True:
        start = scanner.at
        name = _name(scanner, context)
        if name in projection:
            scanner.fail("each name once", at=start)
        projection[name] = None
        if scanner.take("{"):
            if name in MEMBERS:
                scanner.fail("the name of a Relationship before '{'", at=start)
            projection[name] = _terms(scanner, context, depth + 1)
            scanner.expect("}")
        if not scanner.take_one(OR):
            return projection


def _name(scanner: Scanner, context: Terms) -> str:
    scanner.count_term()
    start = scanner.at
    text = scanner.match(_NAME) or ""
    if text in MEMBERS:
        return text
    if not is_attribute_name(text):
        scanner.fail("the name of an attribute, id, type or scope", at=start)
    return context.attribute(text)


def is_attribute_name(text: str) -> bool:
    """Return whether the text can name an attribute: a short name, perhaps with a prefix, or a URI."""
    return is_uri(text) or all(map(is_name, text.split(":", 1)))


def projection_depth(projection: Mapping[str, Any]) -> int:
    """Return how many Relationships the projection follows at most: 0 without braces."""
    return max((1 + projection_depth(inner) for inner in projection.values() if inner is not None), default=0)


def parse_attributes(names: Sequence[Any], context: Terms, *, parameter: str = "attrs") -> tuple[str, ...]:
    """Return the stored names of a list of attributes. Raises BadRequestData for what is no attribute, such as id."""
    if not names:
        raise BadRequestData(f"{parameter}: at least one name of an attribute is expected")
    for name in names:
        if not isinstance(name, str) or name in RESERVED or not is_attribute_name(name):
            raise BadRequestData(f"{parameter}: {name!r} is not the name of an attribute")
    return tuple(dict.fromkeys(map(context.attribute, names)))
