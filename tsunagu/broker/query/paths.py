"""Attribute paths, in terms of q (4.9) and of orderBy (4.23).

Grammar::

    ValuePath  = DottedPath ["[" Key *("." Key) "]"]
    DottedPath = AttrName *("." AttrName)

createdAt, modifiedAt and expiresAt alone are those of the entity; id, type and scope, too, are members of the entity.
At the end of a longer path, observedAt, createdAt, modifiedAt and expiresAt are times of the attribute, and unitCode,
datasetId, objectType, valueType and type its texts.
A Key may have any characters but brackets, dots, blanks and "$" (language tags, say); "*" alone means any language.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tsunagu.broker.query.ast import Path

if TYPE_CHECKING:
    from tsunagu.broker.query.ast import EntityMember, Terms, TextMember, TimeMember
    from tsunagu.broker.query.scanner import Scanner

ENTITY_MEMBERS: dict[str, EntityMember] = {
    "id": "id",
    "type": "type",
    "scope": "scope",
    "createdAt": "created",
    "modifiedAt": "modified",
    "expiresAt": "expires",
}
TIME_MEMBERS: dict[str, TimeMember] = {"observedAt": "o", "createdAt": "c", "modifiedAt": "m", "expiresAt": "e"}
TEXT_MEMBERS: dict[str, TextMember] = {
    "unitCode": "unitCode",
    "datasetId": "datasetId",
    "objectType": "objectType",
    "valueType": "valueType",
    "type": "type",
}
_KEY = re.compile(r"[^\[\].$\s]+")


def take_path(scanner: Scanner, context: Terms, *, prefix: bool = True) -> Path:
    """Take a ValuePath, or fail. `prefix`: the first name may have one (`ngsi:name`)."""
    start = scanner.at
    words = [(scanner.name if prefix else scanner.plain_name)("the name of an attribute")]
    while scanner.peek() == "." and scanner.peek(2) != "..":
        scanner.at += 1
        words.append(scanner.plain_name("the name of a sub-attribute"))
    scanner.check_depth(len(words))
    path = _path(words, context)
    if scanner.peek() != "[":
        return path
    if path.member:
        scanner.fail(f"a path without brackets ({words[-1]} has no members)", at=start)
    return Path(path.names, None, _take_keys(scanner))


def _path(words: list[str], context: Terms) -> Path:
    if len(words) == 1:
        member = ENTITY_MEMBERS.get(words[0])
        return Path((), member) if member else Path((context.attribute(words[0]),))
    last = TIME_MEMBERS.get(words[-1]) or TEXT_MEMBERS.get(words[-1])
    return Path(tuple(map(context.attribute, words[:-1] if last else words)), last)


def _take_keys(scanner: Scanner) -> tuple[str, ...]:
    scanner.expect("[")
    keys = [_take_key(scanner)]
    while scanner.take("."):
        keys.append(_take_key(scanner))
    scanner.expect("]")
    scanner.check_depth(len(keys))
    if "*" in keys and len(keys) > 1:
        scanner.fail("an operator ('*' stands alone in brackets)")
    return tuple(keys)


def _take_key(scanner: Scanner) -> str:
    start = scanner.at
    key = scanner.match(_KEY)
    if key is None or key.isdigit():
        scanner.fail("the name of a member of the value", at=start)
    return key
