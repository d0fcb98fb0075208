"""From a measure and a plan to entity updates (iotagent-node-lib doc/api.md, "Measurement transformation").

Two ways: without expressions every value goes straight to its attribute; with expressions all values form a context
first. In both, null means "no value", and a value that its attribute's type cannot take makes the whole measure a
BadMeasure; so does an expression that is sure to have a value and has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.adapters.devices.explicit import Explicit, Listed, evaluate
from tsunagu.adapters.devices.links import linked
from tsunagu.adapters.devices.plan import Active, Plan, entity_uri
from tsunagu.adapters.errors import BadMeasure, DeviceError
from tsunagu.adapters.jexl import Expression
from tsunagu.adapters.message import Ready
from tsunagu.adapters.sink import EntityUpdate
from tsunagu.adapters.values import plain

if TYPE_CHECKING:
    from tsunagu.adapters.message import Measure
    from tsunagu.adapters.time_policy import Stamp

STATUS = "sensorStatus"
VALUE_MEMBERS = ("value", "object", "languageMap", "vocab", "json", "valueList", "objectList")


def map_measure(plan: Plan, measure: Measure, stamp: Stamp) -> list[EntityUpdate]:
    """Return the updates that a measure makes; none if it holds nothing. Raises DeviceError naming the attribute."""
    updates = _map_with_expressions(plan, measure, stamp) if plan.needs_context else _map_values(plan, measure, stamp)
    if not plan.stamped and not stamp.dated:
        for update in updates:
            for instance in update.attrs.values():
                if instance["observedAt"] == stamp.text:
                    del instance["observedAt"]
    if plan.links and updates:
        updates += linked(plan.links, updates[0].id, updates[0].attrs)
    return updates


def _map_values(plan: Plan, measure: Measure, stamp: Stamp) -> list[EntityUpdate]:
    """Map a measure whose values go straight to their attributes."""
    attrs: dict[str, Any] = {}
    observed, stamped, actives, explicit = stamp.text, stamp.extra, plan.actives, plan.explicit
    for key, value in measure.values.items():
        if value is None:
            continue
        declared = actives.get(key)
        if declared is None:
            if explicit is False:
                instance = value.copy() if type(value) is Ready else plain(value)
                instance.setdefault("observedAt", observed)
                if stamped:
                    instance.update(stamped)
                attrs[plan.name_of(key)] = instance
            continue
        for active in declared:
            if value != active.skip and (isinstance(explicit, bool) or _takes(explicit, active)):
                attrs[active.name] = _instance(active, value, stamp)
    _add_status(attrs, measure, stamp)
    return [EntityUpdate(plan.entity_id, plan.entity_type, attrs, _static(plan, measure, explicit))] if attrs else []


def _instance(active: Active, value: Any, stamp: Stamp) -> dict[str, Any]:
    try:
        instance = active.convert(_bare(value))
    except DeviceError as error:
        raise BadMeasure(f"{active.name}: {error}") from None
    instance.update(active.extra)
    instance["observedAt"] = stamp.text
    if stamp.extra:
        instance.update(stamp.extra)
    return instance


def _takes(explicit: Listed | Expression, active: Active) -> bool:
    """Tell whether a list takes an attribute; what an expression takes is known when all values are."""
    return isinstance(explicit, Expression) or explicit.takes(active.name, active.object_id)


def _static(plan: Plan, measure: Measure, explicit: Explicit | Expression) -> dict[str, Any]:
    static = plan.static
    if isinstance(explicit, Listed) and explicit is not plan.explicit:
        static = explicit.of(static)
    return static if measure.static is None else {**measure.static, **static}


def _bare(value: Any) -> Any:
    """Return the value of an instance that came ready, any other value as it is."""
    if type(value) is not Ready:
        return value
    return next((value[name] for name in VALUE_MEMBERS if name in value), None)


def _add_status(attrs: dict[str, Any], measure: Measure, stamp: Stamp) -> None:
    if measure.status is not None:
        attrs[STATUS] = {"type": "Property", "value": measure.status, "observedAt": stamp.text}


def _map_with_expressions(plan: Plan, measure: Measure, stamp: Stamp) -> list[EntityUpdate]:
    """Map a measure whose plan has expressions, other entities or computed metadata."""
    values = {key: _bare(value) for key, value in measure.values.items() if value is not None}
    context = {**(measure.context or {}), **values, **plan.variables, "TimeInstant": stamp.text}
    own = _own_entity(plan, context)
    context["entity_name"] = own
    entities: dict[tuple[str, str], dict[str, Any]] = {(own, plan.entity_type): {}}
    keys: dict[int, str] = {}
    for active in plan.ordered or tuple(a for group in plan.actives.values() for a in group):
        try:
            value = _value_of(active, values, context, measure.faulty)
        except BadMeasure as error:
            raise BadMeasure(f"{active.name}: {error}") from None
        if value is None or value == active.skip:
            continue
        context[active.name] = value
        entity = _entity_of(active, own, plan.entity_type, context)
        instance = _instance(active, value, stamp)
        for name, convert, expression in active.computed:
            computed = expression.evaluate(context)
            if computed is not None:
                instance[name] = convert(computed)
        entities.setdefault(entity, {})[active.name] = instance
        keys[id(instance)] = active.object_id
    explicit = evaluate(plan.explicit, context) if isinstance(plan.explicit, Expression) else plan.explicit
    if isinstance(explicit, Listed):
        for attrs in entities.values():
            for name in [name for name, one in attrs.items() if not explicit.takes(name, keys[id(one)])]:
                del attrs[name]
    first = entities[own, plan.entity_type]
    if explicit is False:
        _add_undeclared(plan, measure.values, first, stamp)
    _add_status(first, measure, stamp)
    return [
        EntityUpdate(entity_id, kind, attrs, _static(plan, measure, explicit) if entity_id == own else {})
        for (entity_id, kind), attrs in entities.items()
        if attrs
    ]


def _value_of(active: Active, values: dict[str, Any], context: dict[str, Any], faulty: frozenset[str]) -> Any:
    if active.expression is None:
        return values.get(active.object_id)
    if faulty and not faulty.isdisjoint(active.expression.names):
        return None
    value = active.expression.evaluate(context)
    if value is None and active.expression.sure:
        _check_absence(active.expression, context)
    return value


def _check_absence(expression: Expression, context: dict[str, Any]) -> None:
    """Raise BadMeasure if an expression gives nothing although all is there that it reads: text for a number."""
    read = {name: context.get(name) for name in sorted(expression.names)}
    if read and all(value is not None for value in read.values()):
        given = ", ".join(f"{name} = {str(value)[:40]!r}" for name, value in read.items())
        raise BadMeasure(f"expression {expression.text!r} gives no value for {given}")


def _own_entity(plan: Plan, context: dict[str, Any]) -> str:
    if plan.entity_name is not None:
        value = plan.entity_name.evaluate(context)
        if isinstance(value, str) and value:
            return entity_uri(value, plan.entity_type)
    return plan.entity_id


def _entity_of(active: Active, own: str, own_type: str, context: dict[str, Any]) -> tuple[str, str]:
    kind = active.entity_type or own_type
    if active.entity is None:
        return own, kind
    name = active.entity.evaluate(context) if isinstance(active.entity, Expression) else active.entity
    if not isinstance(name, str) or not name:
        raise BadMeasure(f"{active.name}: its entity_name gives no text")
    return entity_uri(name, kind), kind


def _add_undeclared(plan: Plan, values: dict[str, Any], attrs: dict[str, Any], stamp: Stamp) -> None:
    for key, value in values.items():
        if key not in plan.actives and value is not None:
            instance = value.copy() if type(value) is Ready else plain(value)
            instance.setdefault("observedAt", stamp.text)
            if stamp.extra:
                instance.update(stamp.extra)
            attrs[plan.name_of(key)] = instance
