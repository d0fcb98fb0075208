"""The members of an attribute instance besides its value and its sub-attributes, and what each kind makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.schemas.entity import NULL
from tsunagu.schemas.ids import is_uri
from tsunagu.schemas.kinds import COMMON_MEMBERS, KINDS
from tsunagu.schemas.times import parse_ms, utc_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tsunagu.broker.jsonld.context import Context
    from tsunagu.broker.jsonld.modes import Mode
    from tsunagu.schemas.kinds.kind import Kind

    Reader = Callable[[Any, Context, Mode], Any]

# What a reader returns for a member that is not stored.
LEFT_OUT: Any = object()

_LANG_STRING = "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString"


def _time(value: Any, _context: Context, mode: Mode) -> Any:
    if value == NULL:
        return _removal(mode)
    parse_ms(value)
    return utc_text(value)


def _unit_code(value: Any, _context: Context, mode: Mode) -> Any:
    if type(value) is not str or not value:
        raise ValueError("a UN/CEFACT common code is expected, such as CEL")
    return _removal(mode) if value == NULL else value


def _dataset_id(value: Any, context: Context, _mode: Mode) -> Any:
    if value == "@none":
        return LEFT_OUT
    if not is_uri(value):
        raise ValueError("a URI or @none is expected")
    if value == NULL:
        raise ValueError("a datasetId cannot be removed (5.5.8)")
    return context.expand_id(value)


def _value_type(value: Any, context: Context, mode: Mode) -> Any:
    if type(value) is not str or not value:
        raise ValueError("a data type is expected, such as xsd:double")
    return _removal(mode) if value == NULL else context.expand_term(value)


def _lang_string(value: Any, context: Context, mode: Mode) -> Any:
    iri = _value_type(value, context, mode)
    if iri not in (_LANG_STRING, NULL, LEFT_OUT):
        raise ValueError("the valueType of a LanguageProperty shall be langString (5.2.32)")
    return iri


def _object_type(value: Any, context: Context, mode: Mode) -> Any:
    if value == NULL:
        return _removal(mode)
    if type(value) is list and value:
        return [_type_name(item, context) for item in value]
    return _type_name(value, context)


def _type_name(value: Any, context: Context) -> str:
    if type(value) is not str:
        raise ValueError("the name of an entity type, or an array of one or more, is expected")
    return context.expand_type(value)


def _removal(mode: Mode) -> Any:
    if mode.inside:
        return NULL
    if mode.nulls:
        return LEFT_OUT
    raise ValueError(f'"{NULL}" asks for a removal, which this operation does not do')


def _ignored(_value: Any, _context: Context, _mode: Mode) -> Any:
    return LEFT_OUT


def _output_only(_value: Any, _context: Context, _mode: Mode) -> Any:
    raise ValueError("only the broker makes this member, in notifications; leave it out (4.5.2.2)")


def _no_context(_value: Any, _context: Context, _mode: Mode) -> Any:
    raise ValueError("an @context may stand only at the top of the document (5.5.7)")


def _sealed_id(value: Any, _context: Context, _mode: Mode) -> Any:
    if not is_uri(value):
        raise ValueError("the URI of an entity is expected")
    return value


def _sealed_type(value: Any, context: Context, _mode: Mode) -> Any:
    return _type_name(value, context)


def _foreign(kind_name: str) -> Reader:
    def reader(_value: Any, _context: Context, _mode: Mode) -> Any:
        raise ValueError(f"a {kind_name} does not have this member")

    return reader


_READERS: dict[str, Reader] = {
    "datasetId": _dataset_id,
    "observedAt": _time,
    "expiresAt": _time,
    "unitCode": _unit_code,
    "valueType": _value_type,
    "objectType": _object_type,
}

# System members that a producer may send back as they were served; they are of no effect (5.2.2, 5.2.5).
_IGNORED = ("@type", "createdAt", "modifiedAt", "deletedAt", "instanceId", "lang")

# The members that only ngsildproof has (4.5.2.2).
SEALED: dict[str, Reader] = {"entityIdSealed": _sealed_id, "entityTypeSealed": _sealed_type}


def readers(kind: Kind | None) -> dict[str, Reader]:
    """Return how to read each member that an instance of `kind` may have, or must not have, besides `type` and value.

    None stands for a fragment that does not say its kind. What is not in the table is a sub-attribute.
    """
    allowed = set(_READERS) if kind is None else COMMON_MEMBERS | kind.extras
    table = {
        member: _READERS[member] if member in allowed else _foreign(kind.name if kind else "") for member in _READERS
    }
    table |= dict.fromkeys(_IGNORED, _ignored) | {"@context": _no_context}
    table |= dict.fromkeys(SEALED, _foreign("attribute other than ngsildproof"))
    if kind is None:
        return table
    for other in KINDS.values():
        table[other.previous] = _output_only
        if other.member != kind.member:
            table[other.member] = _foreign(kind.name)
    if kind.name == "LanguageProperty":
        table["valueType"] = _lang_string
    for name, owner in (("entity", "Relationship"), ("entityList", "ListRelationship")):
        table[name] = _ignored if kind.name == owner else _foreign(kind.name)
    return table
