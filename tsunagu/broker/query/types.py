"""Entity type selection (4.17), entity ids, and selectors made of both (5.2.33).

Grammar::

    EntityTypes  = OrEntityType *(orOp OrEntityType)
    OrEntityType = "(" EntityType *(andOp EntityType) ")" / EntityType
    andOp        = ";"
    orOp         = "|" / ","
    EntityType   = a short name of 4.6.2, or a URI

Departures, all wider: a conjunction needs no parentheses, `A;B`; alternatives may have some, `(A|B)`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.query.ast import EntitySelector, TypeSelection
from tsunagu.broker.query.pattern import parse_pattern
from tsunagu.broker.query.scanner import Scanner
from tsunagu.schemas.ids import is_name, is_uri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tsunagu.broker.query.ast import Terms

OR = ("|", ",")
MAX_IDS = 10_000
_TYPE = re.compile(r"[^|,;() ]+")


def parse_types(text: object, context: Terms, *, parameter: str = "type") -> TypeSelection | None:
    """Return the selection, or None for "*", which selects every type. Raises BadRequestData, TooComplexQuery."""
    scanner = Scanner(text, parameter)
    if scanner.text == "*":
        return None
    alternatives = _alternatives(scanner, context)
    while scanner.take_one(OR):
        alternatives += _alternatives(scanner, context)
    if not scanner.done():
        scanner.fail("'|', ',' or the end")
    return TypeSelection(tuple(dict.fromkeys(alternatives)))


def _alternatives(scanner: Scanner, context: Terms) -> list[tuple[str, ...]]:
    """Return one conjunction, or those of `(A|B)`, which is not in the grammar, yet in use (test 046_16)."""
    grouped = scanner.take("(")
    found = [_type(scanner, context)]
    if grouped and scanner.take_one(OR):
        found.append(_type(scanner, context))
        while scanner.take_one(OR):
            found.append(_type(scanner, context))
        scanner.expect(")")
        return [(one,) for one in found]
    while scanner.take(";"):
        found.append(_type(scanner, context))
    if grouped:
        scanner.expect(")")
    return [tuple(dict.fromkeys(found))]


def _type(scanner: Scanner, context: Terms) -> str:
    scanner.count_term()
    start = scanner.at
    text = scanner.match(_TYPE) or ""
    if not (is_uri(text) or all(is_name(part) for part in text.split(":", 1))):
        scanner.fail("an entity type, a short name or a URI,", at=start)
    return context.expand_term(text)


def parse_ids(values: Sequence[Any], *, parameter: str = "id") -> tuple[str, ...]:
    """Return the entity ids without repeats. Raises BadRequestData unless each is a URI and there is one at least."""
    if not values:
        raise BadRequestData(f"{parameter}: at least one URI is expected")
    if len(values) > MAX_IDS:
        raise BadRequestData(f"{parameter}: at most {MAX_IDS} ids are allowed, not {len(values)}")
    for value in values:
        if not is_uri(value):
            raise BadRequestData(f"{parameter}: {value!r} is not a URI")
    return tuple(dict.fromkeys(values))


def parse_selector(selector: object, context: Terms, *, parameter: str = "entities") -> EntitySelector:
    """Return the EntitySelector of a JSON object with the members type, id and idPattern (5.2.33).

    `type` is mandatory; `id` takes precedence over `idPattern`. Raises BadRequestData, TooComplexQuery.
    """
    if not isinstance(selector, dict):
        raise BadRequestData(f"{parameter}: each selector shall be an object with the member type")
    unknown = selector.keys() - {"type", "id", "idPattern"}
    if unknown:
        raise BadRequestData(
            f"{parameter}: a selector has no member {min(map(str, unknown))!r}; type, id and idPattern"
        )
    if "type" not in selector:
        raise BadRequestData(f'{parameter}: each selector shall have a type; "*" stands for every type')
    types = parse_types(selector["type"], context, parameter=f"{parameter}.type")
    pattern = None
    if "idPattern" in selector:
        pattern = parse_pattern(selector["idPattern"], parameter=f"{parameter}.idPattern")
    if "id" not in selector:
        return EntitySelector(types, None, pattern)
    given = selector["id"]
    return EntitySelector(types, parse_ids(given if isinstance(given, list) else [given], parameter=f"{parameter}.id"))
