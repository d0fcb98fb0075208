"""Reading one attribute of a request body: normalized, concise or simplified, of any kind, nested to any depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.jsonld.core import CORE_TERMS
from tsunagu.broker.jsonld.members import LEFT_OUT, SEALED, readers
from tsunagu.broker.jsonld.modes import SIMPLIFIED_MERGE
from tsunagu.schemas.entity import CORE_NAMESPACE, LOCATION, NULL, OBSERVATION_SPACE, OPERATION_SPACE, stored_name
from tsunagu.schemas.geo import is_geometry
from tsunagu.schemas.kinds import BY_MEMBER, KINDS, METADATA, TYPE_AND_VALUE
from tsunagu.schemas.kinds.fitting import is_deletion

if TYPE_CHECKING:
    from tsunagu.broker.jsonld.context import Context
    from tsunagu.broker.jsonld.members import Reader
    from tsunagu.broker.jsonld.modes import Mode
    from tsunagu.schemas.entity import Instance
    from tsunagu.schemas.kinds.kind import Kind

DEPTH_LIMIT = 32

_NGSILDPROOF = stored_name(CORE_TERMS["ngsildproof"])
_GEO_NAMES = frozenset({LOCATION, OBSERVATION_SPACE, OPERATION_SPACE})
_PROPERTY = KINDS["Property"]
_GEO_PROPERTY = KINDS["GeoProperty"]
_TABLES: dict[Kind | None, dict[str, Reader]] = {}
_LOWEST, _HIGHEST = float("-inf"), float("inf")


class Fault(Exception):
    """What is wrong at a place in the body; `path` has the members that lead there, innermost first."""

    def __init__(self, member: str, text: str) -> None:
        super().__init__(text)
        self.path = [member]

    def error(self) -> BadRequestData:
        """Return the error that names the place."""
        return BadRequestData(f"{'.'.join(reversed(self.path))}: {self.args[0]}")


def read_attribute(value: Any, name: str, context: Context, mode: Mode, depth: int = 0) -> Any:
    """Return the stored form of an attribute or sub-attribute: an instance or a list of instances.

    `name` is its stored name. Raises Fault, ValueError or BadRequestData; the caller adds the place.
    """
    if mode.simplified:
        return _read_simplified(value, context)
    if type(value) is dict:
        return read_instance(value, name, context, mode, depth)
    if type(value) is list and value and _are_instances(value):
        return _read_instances(value, name, context, mode, depth)
    if value == NULL:
        if mode.nulls:
            return {"value": NULL}
        raise ValueError(f'"{NULL}" asks for a deletion, which this operation does not do; give a value')
    return _bare(value, name, context, mode)


def read_instance(value: dict[str, Any], name: str, context: Context, mode: Mode, depth: int = 0) -> Instance:
    """Return the stored form of one instance; an object without any member of an attribute is a concise value."""
    if depth > DEPTH_LIMIT:
        raise ValueError(f"attributes are nested deeper than {DEPTH_LIMIT} levels")
    kind: Kind | None
    try:
        kind = KINDS[value["type"]]
    except (KeyError, TypeError):
        if is_geometry(value):
            return _bare(value, name, context, mode)
        kind = _declared(value, context)
        named = kind is not None
        if kind is None:
            kind = _implied(value)
            if kind is None and not (mode.partial and (not mode.deep or _is_fragment(value))):
                return _bare(value, name, context, mode)
    else:
        named = True
        member = kind.member
        usual = name != _NGSILDPROOF and (kind is _GEO_PROPERTY or name not in _GEO_NAMES)
        if len(value) == TYPE_AND_VALUE and member in value and usual:
            item = value[member]
            if kind is not _PROPERTY or type(item) is not float or not _LOWEST < item < _HIGHEST:
                value[member] = _alone(item, kind, context, mode)
            return value
    out: Instance = {}
    if kind is not None and (named or not mode.partial or kind.member != "value"):
        out["type"] = kind.name
    _read_members(out, value, kind, name, context, mode, depth)
    if kind is not None:
        if kind.member not in out and not mode.partial:
            raise ValueError(f"a {kind.name} needs the member {kind.member}")
        if name in _GEO_NAMES and kind is not _GEO_PROPERTY:
            raise ValueError(f"type: this attribute shall be a GeoProperty, not a {kind.name} (4.7.1)")
    return out


def _read_members(
    out: Instance, value: dict[str, Any], kind: Kind | None, name: str, context: Context, mode: Mode, depth: int
) -> None:
    """Read every member of the instance `value` into `out`."""
    table = _PROOF_TABLE if name == _NGSILDPROOF else _TABLES[kind]
    member = "" if kind is None else kind.member
    key = ""
    try:
        for key, item in value.items():
            if key == "type":
                continue
            if key == member and kind is not None:
                out[key] = _value(item, kind, context, mode)
            elif (reader := table.get(key)) is None:
                _read_sub_attribute(out, key, item, context, mode, depth)
            elif (result := reader(item, context, mode)) is not LEFT_OUT:
                out[key] = result
    except Fault as fault:
        fault.path.append(key)
        raise
    except (ValueError, BadRequestData) as error:
        raise Fault(key, str(error)) from None
    if table is _PROOF_TABLE and type(out.get("value", {})) is not dict:
        raise Fault("value", "the value of ngsildproof shall be an object: the proof (4.5.2.2)")


def _alone(item: Any, kind: Kind, context: Context, mode: Mode) -> Any:
    """Return the value of an instance that has nothing but its kind and its value, as it is stored. Raises Fault."""
    try:
        return _value(item, kind, context, mode)
    except (ValueError, BadRequestData) as error:
        raise Fault(kind.member, str(error)) from None


def _value(item: Any, kind: Kind, context: Context, mode: Mode) -> Any:
    if kind is _PROPERTY and type(item) is float and _LOWEST < item < _HIGHEST:
        return item
    if mode.nulls and kind.is_null(item):
        return item
    return kind.patch(item, context) if mode.deep else kind.read(item, context)


def _read_sub_attribute(out: Instance, key: str, item: Any, context: Context, mode: Mode, depth: int) -> None:
    name = context.stored[key]
    if name in out:
        raise ValueError("this sub-attribute stands twice in the attribute, under two names")
    if item == NULL and (mode.inside or mode.nulls):
        if mode.inside:
            out[name] = NULL
        return
    inner = mode.inner or mode
    result = read_attribute(item, name, context, inner, depth + 1)
    if inner.nulls and not mode.deep and (type(result) is list or not mode.inside):
        result = _without_deletions(result)
    if result:
        out[name] = result


def _without_deletions(result: Instance | list[Instance]) -> Instance | list[Instance] | None:
    """Return a sub-attribute without the instances that a Null deletes: nothing is there to delete them from."""
    if type(result) is list:
        kept = [item for item in result if not is_deletion(item)]
        return kept[0] if len(kept) == 1 else kept
    return None if is_deletion(result) else result  # type: ignore[arg-type]


def _read_instances(values: list[Any], name: str, context: Context, mode: Mode, depth: int) -> Any:
    """Return the instances of a multi-attribute (4.5.5), the default one first; a single one alone."""
    found: dict[str | None, Instance] = {}
    for index, item in enumerate(values):
        if type(item) is not dict:
            raise Fault(f"[{index}]", "an attribute instance, an object, is expected in this array")
        try:
            instance = read_instance(item, name, context, mode, depth)
        except Fault as fault:
            fault.path.append(f"[{index}]")
            raise
        except (ValueError, BadRequestData) as error:
            raise Fault(f"[{index}]", str(error)) from None
        dataset_id = instance.get("datasetId")
        if dataset_id in found:
            which = "without datasetId" if dataset_id is None else f"with the datasetId {dataset_id}"
            raise Fault(f"[{index}]", f"there is more than one instance {which}; each needs its own (4.5.5)")
        found[dataset_id] = instance
    if len(found) == 1:
        return next(iter(found.values()))
    default = found.pop(None, None)
    return list(found.values()) if default is None else [default, *found.values()]


def _are_instances(values: list[Any]) -> bool:
    """Return whether an array has attribute instances, and is not a concise Property value."""
    return any(type(item) is dict and (_names_kind(item) or not BY_MEMBER.keys().isdisjoint(item)) for item in values)


def _is_fragment(value: dict[str, Any]) -> bool:
    """Return whether an object in a merge changes members of an attribute, and is not a value to merge in (5.5.12)."""
    return not METADATA.isdisjoint(value) or any(type(item) is dict and _names_kind(item) for item in value.values())


def _names_kind(item: dict[str, Any]) -> bool:
    declared = item.get("type", item.get("@type"))
    return type(declared) is str and declared in KINDS


def _declared(value: dict[str, Any], context: Context) -> Kind | None:
    """Return the kind that an instance names in another way than by its short name; None if it names no type."""
    if "@value" in value or not ("type" in value or "@type" in value):
        return None
    declared = value["type"] if "type" in value else value["@type"]
    iri = context.expand_term(declared) if type(declared) is str else ""
    kind = KINDS.get(iri.removeprefix(CORE_NAMESPACE)) if iri.startswith(CORE_NAMESPACE) else None
    if kind is None:
        raise ValueError(f"type: {declared!r} is not an attribute type; one of {', '.join(KINDS)} is expected")
    return kind


def _implied(value: dict[str, Any]) -> Kind | None:
    """Return the kind that the value member stands for, where `type` is left out (concise); None if there is none."""
    for member, item in value.items():
        kind = BY_MEMBER.get(member)
        if kind is not None:
            return _GEO_PROPERTY if kind is _PROPERTY and is_geometry(item) else kind
    return None


def _bare(value: Any, name: str, context: Context, mode: Mode) -> Instance:
    """Return the instance that a concise value without any wrapping stands for (4.5.2.3, 4.7.3).

    Raises ValueError for an object that describes a value (its unit, its time …) and has none.
    """
    if mode.partial:
        return {"value": _PROPERTY.patch(value, context)}
    kind = _GEO_PROPERTY if name in _GEO_NAMES or is_geometry(value) else _PROPERTY
    if kind is _PROPERTY and type(value) is dict and not METADATA.isdisjoint(value):
        described = ", ".join(sorted(METADATA.intersection(value)))
        raise ValueError(f"there is {described} but no value; put the value into the member value (4.5.2.3)")
    return {"type": kind.name, "value": kind.read(value, context)}


def _read_simplified(value: Any, context: Context) -> Any:
    """Return what a simplified attribute (4.5.4) stands for: instances without type, their values as given."""
    if type(value) is dict and value.keys() == {"dataset"} and type(value["dataset"]) is dict:
        found = []
        for dataset_id, item in value["dataset"].items():
            instance = {"value": _simplified_value(item, context)}
            if dataset_id != "@none":
                instance["datasetId"] = _TABLES[None]["datasetId"](dataset_id, context, SIMPLIFIED_MERGE)
            found.append(instance)
        if not found:
            raise ValueError("dataset shall have one or more members, each the value of an instance")
        return found[0] if len(found) == 1 else sorted(found, key=lambda item: "datasetId" in item)
    return {"value": _simplified_value(value, context)}


def _simplified_value(value: Any, context: Context) -> Any:
    if type(value) is dict and len(value) == 1:
        (member, inner), *_ = value.items()
        kind = BY_MEMBER.get(member)
        if kind is not None and kind.simplify is not _PROPERTY.simplify and member != "objectList":
            return {member: kind.patch(inner, context)}
    return _PROPERTY.patch(value, context)


_TABLES.update({kind: readers(kind) for kind in (None, *KINDS.values())})
_PROOF_TABLE = readers(_PROPERTY) | SEALED
