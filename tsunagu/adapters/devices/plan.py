"""The plan of a device: its provisioning and its group's, compiled once, so that mapping a message is dictionary work.

Sources: iotagent-node-lib doc/api.md, "Measurement transformation", "Explicitly defined attributes", "Multientity".
Where a device and its group both say something, the device wins; lists of attributes are merged by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tsunagu.adapters import clock
from tsunagu.adapters.counters import occupancies_of
from tsunagu.adapters.credentials import Credential, credential_of
from tsunagu.adapters.decoders import unpacker
from tsunagu.adapters.device_models.merge import name_of, with_template
from tsunagu.adapters.devices.explicit import Explicit, Listed, compile_explicit
from tsunagu.adapters.devices.links import Link, compile_links
from tsunagu.adapters.downlink import Downlink, downlink_of
from tsunagu.adapters.errors import BadMeasure, DeviceError
from tsunagu.adapters.health import HealthRule, rule_of
from tsunagu.adapters.jexl import Expression, compile_expression
from tsunagu.adapters.judgement import Judgement, judgement_of
from tsunagu.adapters.receipts import sequence_of
from tsunagu.adapters.time_policy import TimePolicy, policy_of
from tsunagu.adapters.validation import mode_of
from tsunagu.adapters.values import converter
from tsunagu.schemas.ids import is_name, is_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tsunagu.adapters.decoders import Unpack
    from tsunagu.adapters.sightings import TagRules

UNSAFE = re.compile(r"[\x00-\x20\"<>\\^`{|}%\x7f-\xa0]")
SIMPLE_NAME = re.compile(r"[A-Za-z_$][\w$]*")
PAYLOAD_TYPES = ("iotagent", "ngsiv2", "ngsild")
TIME = "TimeInstant"
RESERVED = {"id": "measure_id", "type": "measure_type"}


@dataclass(frozen=True, slots=True)
class Active:
    """One attribute to be filled from measures.

    `extra` are the members that every instance gets (unitCode, sub-attributes); `computed` are sub-attributes by
    expression. `entity` and `entity_type` name another entity than the device's own, None for its own.
    """

    name: str
    object_id: str
    convert: Callable[[Any], dict[str, Any]]
    extra: Mapping[str, Any]
    expression: Expression | None = None
    skip: Any = None
    entity: Expression | str | None = None
    entity_type: str | None = None
    computed: tuple[tuple[str, Callable[[Any], dict[str, Any]], Expression], ...] = ()


@dataclass(slots=True)
class Plan:
    """How messages of one device become entity updates.

    `time_source` is the attribute that fills TimeInstant; `stamped` False leaves out an observedAt that the device did
    not give; `slash` starts the topics that are published to the device; `keeps_last` has its last measure kept.
    """

    tenant: str
    service_path: str
    apikey: str
    device_id: str
    entity_id: str
    entity_type: str
    actives: dict[str, tuple[Active, ...]]
    ordered: tuple[Active, ...]
    static: dict[str, Any]
    explicit: Explicit | Expression
    variables: dict[str, Any]
    zone: tzinfo = UTC
    entity_name: Expression | None = None
    payload_type: str = "iotagent"
    settings: dict[str, Any] = field(default_factory=dict)
    commands: tuple[dict[str, Any], ...] = ()
    lazy: tuple[dict[str, Any], ...] = ()
    downlink: Downlink | None = None
    transport: str = ""
    endpoint: Expression | str | None = None
    polling: bool = False
    resource: str = ""
    slash: str = "/"
    links: tuple[Link, ...] = ()
    time_source: Active | None = None
    stamped: bool = True
    keeps_last: bool = False
    credential: Credential | None = None
    judgement: Judgement | None = None
    model: str = ""
    names: dict[str, str] = field(default_factory=dict)
    validation: str = "warn"
    time_policy: TimePolicy | None = None
    unpack: Unpack | None = None
    health: HealthRule | None = None
    occupancies: frozenset[str] = frozenset()
    sequence: str | None = None
    cached_rules: TagRules | None = None

    @property
    def needs_context(self) -> bool:
        """Tell whether mapping evaluates any expression."""
        return bool(self.ordered) or self.entity_name is not None or isinstance(self.explicit, Expression)

    @property
    def packed(self) -> bool:
        """Tell whether values are inside bytes or NGSI entities."""
        return self.unpack is not None or self.payload_type != "iotagent" or self.time_source is not None

    def lazy_of(self, answered: str) -> dict[str, Any] | None:
        """Return the lazy attribute that a device answers by its name or by its own key, None if it is none."""
        return next((one for one in self.lazy if answered in (one["name"], one.get("object_id"))), None)

    def name_of(self, key: str) -> str:
        """Return the attribute name for a key that nobody declared. Raises BadMeasure if it cannot be one."""
        name = self.names.get(key)
        if name is None:
            name = RESERVED.get(key, key)
            if not is_name(name):
                raise BadMeasure(
                    f"{key[:80]!r} cannot be an attribute name; map it by an attribute with this object_id"
                )
            if len(self.names) < 1000:  # noqa: PLR2004 - a device that invents names must not fill memory
                self.names[key] = name
        return name


def entity_uri(name: str, entity_type: str) -> str:
    """Return the entity id for a provisioned name: as it is if it is a URI, else urn:ngsi-ld:<type>:<name>."""
    return name if is_uri(name) else f"urn:ngsi-ld:{entity_type}:{escaped(name)}"


def escaped(name: str) -> str:
    """Return a name with the characters that no URI may have percent-encoded."""
    return UNSAFE.sub(lambda match: quote(match[0], safe=""), name)


def settings_of(internal: Any) -> dict[str, Any]:
    """Return internal_attributes as one dictionary: FIWARE allows an object, or a list of objects."""
    if isinstance(internal, dict):
        return internal
    merged: dict[str, Any] = {}
    for part in internal if isinstance(internal, list) else ():
        if isinstance(part, dict):
            merged.update(part)
    return merged


def merge_attributes(device: list[dict[str, Any]] | None, group: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """Return the device's attributes, then those of the group that the device does not define itself."""
    own = list(device or ())
    taken = {(a.get("name"), a.get("object_id") or a.get("name")) for a in own}
    names = {a.get("name") for a in own}
    rest = [
        a
        for a in group or ()
        if a.get("name") not in names and (a.get("name"), a.get("object_id") or a.get("name")) not in taken
    ]
    return own + rest


def compile_plan(device: Mapping[str, Any], group: Mapping[str, Any]) -> Plan:
    """Compile a device and its group (both as the provisioning API has them). Raises DeviceError naming the member."""
    model = name_of(device, group)
    device, group = with_template(device), with_template(group)
    entity_type = device.get("entity_type") or group.get("entity_type") or "Thing"
    static_list = merge_attributes(device.get("static_attributes"), group.get("static_attributes"))
    attributes = merge_attributes(device.get("attributes"), group.get("attributes"))
    lazy = merge_attributes(device.get("lazy"), group.get("lazy"))
    attributes += lazy
    variables = _variables(device, group, entity_type, static_list)
    declared = tuple(compile_active(attribute, f"attributes[{i}]") for i, attribute in enumerate(attributes))
    actives = tuple(active for active in declared if active.name != TIME)
    by_object: dict[str, tuple[Active, ...]] = {}
    for active in actives:
        by_object[active.object_id] = (*by_object.get(active.object_id, ()), active)
    complicated = any(a.expression or a.entity or a.entity_type or a.computed for a in actives)
    settings = {**settings_of(group.get("internal_attributes")), **settings_of(device.get("internal_attributes"))}
    name_expression = group.get("entityNameExp")
    zone_name = device.get("timezone") or group.get("timezone")
    static = _static_instances(static_list)
    explicit = compile_explicit(_either(device, group, "explicitAttrs", default=False))
    return Plan(
        tenant=str(device.get("service") or group.get("service") or ""),
        service_path=str(device.get("service_path") or group.get("subservice") or "/"),
        apikey=str(device.get("apikey") or group.get("apikey") or ""),
        device_id=str(device["device_id"]),
        entity_id=_entity_id(device, group, entity_type, variables),
        entity_type=entity_type,
        actives=by_object,
        ordered=_in_dependency_order(actives) if complicated else (),
        static=explicit.of(static) if isinstance(explicit, Listed) else static,
        explicit=explicit,
        variables=variables,
        zone=clock.zone(zone_name) if zone_name else UTC,
        entity_name=compile_expression(name_expression) if name_expression else None,
        payload_type=_payload_type(device.get("payloadType") or group.get("payloadType") or "iotagent"),
        settings=settings,
        validation=mode_of(settings),
        time_policy=policy_of(settings),
        unpack=unpacker(settings),
        health=rule_of(settings),
        occupancies=occupancies_of(settings),
        sequence=sequence_of(settings),
        commands=tuple(merge_attributes(device.get("commands"), group.get("commands"))),
        lazy=tuple(lazy),
        downlink=downlink_of(settings),
        transport=str(device.get("transport") or group.get("transport") or "").upper(),
        endpoint=_endpoint(device.get("endpoint") or group.get("endpoint")),
        polling=device.get("polling") is True,
        resource=str(group.get("resource") or ""),
        slash="" if _either(device, group, "avoidLeadingSlash", default=False) is True else "/",
        links=compile_links(static_list),
        time_source=next((active for active in declared if active.name == TIME), None),
        stamped=_either(device, group, "timestamp", default=True) is not False,
        keeps_last=_either(device, group, "storeLastMeasure", default=False) is True,
        credential=credential_of(device, settings),
        judgement=judgement_of(settings, static),
        model=model,
    )


def _either(device: Mapping[str, Any], group: Mapping[str, Any], member: str, *, default: Any) -> Any:
    """Return what the device says, else its group, else the default; an empty text says nothing."""
    for entry in (device, group):
        if entry.get(member) not in (None, ""):
            return entry[member]
    return default


def _endpoint(given: str | None) -> Expression | str | None:
    """Return where a device takes commands over HTTP: a URL as it is, else an expression that gives one."""
    if not given or given.startswith(("http://", "https://")):
        return given or None
    try:
        return compile_expression(given)
    except DeviceError as error:
        raise type(error)(f"endpoint: neither a URL nor an expression that gives one: {error}") from None


def _variables(
    device: Mapping[str, Any], group: Mapping[str, Any], entity_type: str, static: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return what expressions see besides the measures: static attributes, then id, type, service and subservice."""
    return {
        **{a["name"]: a.get("value") for a in static},
        "id": device["device_id"],
        "type": entity_type,
        "service": device.get("service") or group.get("service") or "",
        "subservice": device.get("service_path") or group.get("subservice") or "/",
    }


def _entity_id(
    device: Mapping[str, Any], group: Mapping[str, Any], entity_type: str, variables: Mapping[str, Any]
) -> str:
    if group.get("entityNameExp"):
        value = compile_expression(group["entityNameExp"]).evaluate(variables)
        if isinstance(value, str) and value:
            return entity_uri(value, entity_type)
    if device.get("entity_name"):
        return entity_uri(device["entity_name"], entity_type)
    conjunction = group.get("defaultEntityNameConjunction") or ":"
    return f"urn:ngsi-ld:{entity_type}{conjunction}{escaped(device['device_id'])}"


def _payload_type(given: str) -> str:
    if given.lower() not in PAYLOAD_TYPES:
        raise BadMeasure(f"payloadType: {given!r} is none of {', '.join(PAYLOAD_TYPES)}")
    return given.lower()


def compile_active(attribute: Mapping[str, Any], where: str) -> Active:
    """Compile one attribute of the provisioning API; `where` names it in errors. Raises DeviceError."""
    name = attribute.get("name")
    if not isinstance(name, str) or not (is_name(name) or is_uri(name)):
        raise BadMeasure(f"{where}.name: {name!r} cannot be an attribute name; letters, digits and _ are allowed")
    try:
        extra, computed = _metadata(attribute.get("metadata") or {})
        expression = attribute.get("expression")
        return Active(
            name=name,
            object_id=str(attribute.get("object_id") or name),
            convert=converter(str(attribute.get("type") or "Property")),
            extra=extra,
            expression=compile_expression(expression) if expression else None,
            skip=attribute.get("skipValue"),
            entity=_entity_of(attribute.get("entity_name")),
            entity_type=attribute.get("entity_type") or None,
            computed=computed,
        )
    except DeviceError as error:
        raise type(error)(f"{where}.{name}: {error}") from None


def _entity_of(name: str | None) -> Expression | str | None:
    """Return the name of another entity: an expression if it reads as one and is not a URI or a plain name."""
    if not name or (is_uri(name) and "'" not in name and '"' not in name) or SIMPLE_NAME.fullmatch(name):
        return name or None
    try:
        return compile_expression(name)
    except DeviceError:
        return name


def _metadata(
    metadata: Mapping[str, Any],
) -> tuple[dict[str, Any], tuple[tuple[str, Callable[[Any], dict[str, Any]], Expression], ...]]:
    """Return FIWARE metadata as members of an instance, and those that are computed."""
    extra: dict[str, Any] = {}
    computed = []
    for name, given in metadata.items():
        value, kind = (given.get("value"), given.get("type")) if isinstance(given, dict) else (given, None)
        convert = converter(str(kind or "Property"))
        if name == TIME:
            continue
        if isinstance(given, dict) and given.get("expression"):
            computed.append((name, convert, compile_expression(given["expression"])))
        elif name in ("unitCode", "datasetId"):
            extra[name] = str(value)
        elif not is_name(name):
            raise BadMeasure(f"metadata.{name} cannot be an attribute name")
        elif value is not None:
            extra[name] = convert(value)
    return extra, tuple(computed)


def _static_instances(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return static attributes as NGSI-LD instances."""
    instances: dict[str, Any] = {}
    for i, attribute in enumerate(attributes):
        active = compile_active(attribute, f"static_attributes[{i}]")
        value = attribute.get("value")
        if value is None:
            continue
        try:
            instances[active.name] = {**active.convert(value), **active.extra}
        except DeviceError as error:
            raise type(error)(f"static_attributes[{i}].{active.name}: {error}") from None
    return instances


def _in_dependency_order(actives: tuple[Active, ...]) -> tuple[Active, ...]:
    """Return the attributes so that an expression comes after those whose results it names; given order otherwise."""
    by_name = {active.name: active for active in actives if active.expression}
    done: dict[int, Active] = {}

    def visit(active: Active, path: tuple[str, ...]) -> None:
        if id(active) in done:
            return
        if active.expression:
            for name in sorted(active.expression.names):
                other = by_name.get(name)
                if other is not None and other is not active and name not in path and other.object_id != name:
                    visit(other, (*path, active.name))
        done[id(active)] = active

    for active in actives:
        visit(active, (active.name,))
    return tuple(done.values())
