"""From a sign of life to the device's health attributes (Smart Data Models: Device, Camera); it leaves no history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.adapters.health import health_entity
from tsunagu.adapters.sink import EntityUpdate
from tsunagu.adapters.values import plain

if TYPE_CHECKING:
    from tsunagu.adapters.devices.plan import Plan
    from tsunagu.adapters.message import Heartbeat
    from tsunagu.adapters.time_policy import Stamp


def map_heartbeat(plan: Plan, heartbeat: Heartbeat, stamp: Stamp) -> EntityUpdate:
    """Return the update of the device's health."""
    entity_id, entity_type = health_entity(plan)
    attrs: dict[str, Any] = {}
    if heartbeat.state is not None:
        last = {"@type": "DateTime", "@value": stamp.text}
        attrs["deviceState"] = {"type": "Property", "value": heartbeat.state, "observedAt": stamp.text}
        attrs["dateLastValueReported"] = {"type": "Property", "value": last, "observedAt": stamp.text}
    for key, value in heartbeat.values.items():
        if value is not None:
            attrs[plan.name_of(key)] = {**plain(value), "observedAt": stamp.text}
    if stamp.extra:
        for instance in attrs.values():
            instance.update(stamp.extra)
    static = plan.static if entity_id == plan.entity_id else {}
    return EntityUpdate(entity_id, entity_type, attrs, static, history=False)
