"""From a request body to an evolution in stored form: an EntityTemporal, or a fragment of one (5.2.20, 4.5.6 to 4.5.9).

An expanded evolution has "id" and "type" as an expanded entity has them, each only if given, and

* "attrs": {stored name: [(instance, deletedAt in epoch ms or None), ...]}; the instance of a deletion has the NGSI-LD
Null; * "scopes": [instance, ...], Properties whose values are lists of scopes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.jsonld.attributes import Fault, read_attribute, read_instance
from tsunagu.broker.jsonld.expand import expand_fragment
from tsunagu.broker.jsonld.modes import UPDATE
from tsunagu.schemas.entity import NULL, instances
from tsunagu.schemas.ids import is_scope
from tsunagu.schemas.kinds import KINDS
from tsunagu.schemas.kinds.fitting import is_deletion
from tsunagu.schemas.times import parse_ms, utc_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tsunagu.broker.jsonld.context import Context
    from tsunagu.schemas.entity import Expanded, Instance

_MEMBERS = frozenset({"id", "@id", "type", "@type", "createdAt", "modifiedAt", "deletedAt", "expiresAt", "@context"})
_PAIR = 2


def expand_evolution(body: dict[str, Any], context: Context, *, whole: bool) -> Expanded:
    """Return the expanded form of an EntityTemporal; `whole`: id and type are required. Raises BadRequestData."""
    evolution = expand_fragment({key: value for key, value in body.items() if key in _MEMBERS}, context)
    if whole and "id" not in evolution:
        raise BadRequestData("id: an evolution needs the id of an entity, a URI such as urn:ngsi-ld:Gauge:001")
    if whole and "type" not in evolution:
        raise BadRequestData("type: an evolution needs the type of an entity, or an array of types")
    attrs: dict[str, list[tuple[Instance, int | None]]] = {}
    scopes: list[Instance] = []
    for key, value in body.items():
        try:
            if key == "scope":
                scopes = list(_scopes(value))
            elif key not in _MEMBERS:
                attrs.setdefault(context.stored[key], []).extend(_instances(value, context.stored[key], context))
        except Fault as fault:
            fault.path.append(key)
            raise fault.error() from None
        except (ValueError, BadRequestData) as error:
            raise BadRequestData(f"{key}: {error}") from None
    return {**evolution, "attrs": attrs, "scopes": scopes}


def expand_instance(body: dict[str, Any], name: str, context: Context) -> tuple[Instance, int | None]:
    """Return one instance of an attribute, whole, and its deletedAt. Raises BadRequestData."""
    try:
        found = list(_instances(body, name, context))
    except Fault as fault:
        raise fault.error() from None
    except ValueError as error:
        raise BadRequestData(str(error)) from None
    if len(found) != 1:
        raise BadRequestData("one instance of the attribute is expected")
    return found[0]


def _instances(value: Any, name: str, context: Context) -> Iterator[tuple[Instance, int | None]]:
    """Yield the instances that the temporal representation of an attribute holds, normalized or simplified."""
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for index, item in enumerate(value):
            try:
                yield from _instances(item, name, context)
            except Fault as fault:
                fault.path.append(f"[{index}]")
                raise
        return
    if not isinstance(value, dict):
        found = read_attribute(value, name, context, UPDATE)
        for instance in instances(found):
            yield _with_kind(instance), None
        return
    kind = KINDS.get(value["type"]) if isinstance(value.get("type"), str) else None
    if kind is not None and kind.plural in value and kind.member not in value:
        yield from _pairs(value, name, context)
        return
    deleted = parse_ms(value["deletedAt"]) if "deletedAt" in value else None
    yield _with_kind(read_instance(value, name, context, UPDATE)), deleted


def _with_kind(instance: Instance) -> Instance:
    """Return an instance that has a kind; a bare Null becomes a Property."""
    return instance if "type" in instance else {"type": "Property", **instance}


def _pairs(value: dict[str, Any], name: str, context: Context) -> Iterator[tuple[Instance, int | None]]:
    """Yield the instances that the simplified form has as pairs of value and time (4.5.9)."""
    kind = KINDS[value["type"]]
    unknown = value.keys() - {"type", "datasetId", kind.plural}
    if unknown:
        raise ValueError(f"{min(unknown)} does not belong to the simplified form, which has {kind.plural}")
    pairs = value[kind.plural]
    if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == _PAIR for pair in pairs):
        raise ValueError(f"{kind.plural}: an array of pairs [value, time] is expected")
    for item, time in pairs:
        instance = {"type": kind.name, kind.member: kind.wrap(item), "observedAt": time}
        if "datasetId" in value:
            instance["datasetId"] = value["datasetId"]
        yield read_instance(instance, name, context, UPDATE), None


def _scopes(value: Any) -> Iterator[Instance]:
    """Yield the instances of the scope: temporal Properties, or the one scope that stays the same."""
    items = value if isinstance(value, list) else [value]
    if not any(isinstance(item, dict) for item in items):
        yield {"type": "Property", "value": _scope_list(value)}
        return
    for item in items:
        if not isinstance(item, dict) or item.get("type", "Property") != "Property" or "value" not in item:
            raise ValueError("an array of Properties is expected, each with the scopes of one time (4.5.6)")
        instance: Instance = {"type": "Property", "value": [] if is_deletion(item) else _scope_list(item["value"])}
        if "observedAt" in item:
            parse_ms(item["observedAt"])
            instance["observedAt"] = utc_text(item["observedAt"])
        yield instance


def _scope_list(value: Any) -> list[str]:
    scopes = value if isinstance(value, list) else [value]
    for scope in scopes:
        if not is_scope(scope) or scope == NULL:
            raise ValueError(f"{scope!r} is not a scope; one such as /Tokyo/Minato is expected (4.18)")
    return list(dict.fromkeys(scopes))
