"""From a request body to the stored form: names become IRIs, everything is checked (4.5, 4.6, 5.4, 5.5.4).

What comes out is described in `tsunagu.schemas.entity`. NGSI-LD Nulls, where the operation allows them:

* an attribute given as a bare Null becomes {"value": NULL}, without "type"; one with a Null for its value stays as it
  is, {"type": "Property", "value": NULL, "datasetId": …}; both ask for the deletion of that instance;
* in a merge and in a partial update of one attribute, NULL in the place of a member or a sub-attribute asks for its
  removal; an update replaces whole instances, so there such members are left out;
* "scope": NULL and "expires": None ask for removal.

An instance without "type" takes the kind of the attribute that is there: a bare value in a merge, or a partial update
that names no type. `tsunagu.schemas.kinds.fitting.fitted` gives it that kind.

The functions take the body over: values move into the result without being copied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.jsonld.attributes import Fault, read_attribute, read_instance
from tsunagu.broker.jsonld.modes import MERGE, PARTIAL, PARTIAL_WITH_NULLS, SIMPLIFIED_MERGE, UPDATE, WHOLE
from tsunagu.schemas.entity import NULL
from tsunagu.schemas.ids import is_scope, is_uri
from tsunagu.schemas.times import parse_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from tsunagu.broker.jsonld.context import Context
    from tsunagu.broker.jsonld.modes import Mode
    from tsunagu.schemas.entity import Expanded, Instance


def expand_entity(body: Any, context: Context) -> Expanded:
    """Return the expanded form of a whole entity (5.2.4), normalized or concise; id and type are required.

    Raises BadRequestData, naming the member and what would be right.
    """
    entity = _expand(body, context, WHOLE)
    if "id" not in entity:
        raise BadRequestData("id: an entity needs an id, a URI such as urn:ngsi-ld:RiverLevelObserved:001")
    if "type" not in entity:
        raise BadRequestData("type: an entity needs a type, or an array of types")
    return entity


def expand_fragment(
    body: Any, context: Context, *, allow_null: bool = False, merge: bool = False, simplified: bool = False
) -> Expanded:
    """Return the expanded form of an entity fragment (5.4); id and type are optional.

    `allow_null`: attributes may be NGSI-LD Null (update). `merge`: Nulls may stand at any depth, types and values may
    be left out (5.5.12). `simplified`: attributes come in the simplified representation; only in a merge (6.5.3.4).
    Raises BadRequestData.
    """
    if simplified:
        return _expand(body, context, SIMPLIFIED_MERGE)
    if merge:
        return _expand(body, context, MERGE)
    return _expand(body, context, UPDATE if allow_null else WHOLE)


def expand_attribute(
    body: Any, context: Context, *, name: str = "", partial: bool = False, allow_null: bool = False
) -> Instance | list[Instance]:
    """Return the stored form of the fragment of one attribute; `name` is its stored name.

    `partial` (5.6.4): type and value may be missing, members may be Null if `allow_null`. Otherwise (5.6.19) it is a
    whole attribute, normalized or concise. Raises BadRequestData.
    """
    mode = (PARTIAL_WITH_NULLS if allow_null else PARTIAL) if partial else (UPDATE if allow_null else WHOLE)
    if type(body) is dict:
        body = {key: item for key, item in body.items() if key != "@context"} if "@context" in body else body
        if not body:
            raise BadRequestData("the fragment of an attribute needs one or more members")
    try:
        if partial and type(body) is dict:
            return read_instance(body, name, context, mode)
        return read_attribute(body, name, context, mode)  # type: ignore[no-any-return]
    except Fault as fault:
        raise fault.error() from None
    except ValueError as error:
        raise BadRequestData(str(error)) from None


def _expand(body: Any, context: Context, mode: Mode) -> Expanded:
    if type(body) is not dict:
        raise BadRequestData("the entity shall be a JSON object")
    attrs: dict[str, Any] = {}
    entity: Expanded = {"attrs": attrs}
    stored = context.stored
    key = ""
    others = 0
    try:
        for key, value in body.items():
            if key in _MEMBERS:
                _MEMBERS[key](entity, value, context, mode)
                others += 1
                continue
            name = stored[key]
            read = read_instance if type(value) is dict and not mode.simplified else read_attribute
            attrs[name] = read(value, name, context, mode)
    except Fault as fault:
        fault.path.append(key)
        raise fault.error() from None
    except (ValueError, BadRequestData) as error:
        text = str(error)
        raise BadRequestData(text if text.startswith(f"{key}: ") else f"{key}: {text}") from None
    if len(attrs) + others < len(body):
        raise BadRequestData("an attribute stands twice in the entity, under two names that mean the same")
    return entity


def _id(entity: Expanded, value: Any, context: Context, _mode: Mode) -> None:
    if not is_uri(value) or value == NULL:
        raise ValueError(f"a URI such as urn:ngsi-ld:RiverLevelObserved:001 is expected, not {value!r}")
    if "id" in entity:
        raise ValueError("the id is given twice")
    entity["id"] = context.expand_id(value)


def _type(entity: Expanded, value: Any, context: Context, _mode: Mode) -> None:
    if "type" in entity:
        raise ValueError("the type is given twice")
    if type(value) is str:
        entity["type"] = [context.expand_type(value)]
    elif type(value) is list and value and all(type(item) is str for item in value):
        entity["type"] = list(dict.fromkeys(map(context.expand_type, value)))
    else:
        raise ValueError("the name of an entity type, or an array of one or more names, is expected")


def _scope(entity: Expanded, value: Any, _context: Context, mode: Mode) -> None:
    if value == NULL and mode.nulls:
        entity["scope"] = NULL
        return
    scopes = value if type(value) is list else [value]
    for scope in scopes:
        if not is_scope(scope):
            raise ValueError(f"{scope!r} is not a scope; one such as /Tokyo/Minato is expected (4.18)")
    if not scopes:
        raise ValueError("a scope, or an array of one or more scopes, is expected")
    entity["scope"] = list(dict.fromkeys(scopes))


def _expires(entity: Expanded, value: Any, _context: Context, mode: Mode) -> None:
    entity["expires"] = None if value == NULL and mode.nulls else parse_ms(value)


def _ignore_time(_entity: Expanded, value: Any, _context: Context, _mode: Mode) -> None:
    if type(value) is not str:
        raise ValueError("this is a system time, which cannot name an attribute (4.5.1)")


def _nothing(_entity: Expanded, _value: Any, _context: Context, _mode: Mode) -> None:
    pass


_MEMBERS: dict[str, Callable[[Expanded, Any, Context, Mode], None]] = {
    "id": _id,
    "@id": _id,
    "type": _type,
    "@type": _type,
    "scope": _scope,
    "expiresAt": _expires,
    "createdAt": _ignore_time,
    "modifiedAt": _ignore_time,
    "deletedAt": _ignore_time,
    "@context": _nothing,
}
