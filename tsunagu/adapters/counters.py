"""From a camera's cumulative counters to the flow of people since its last message.

The entity is CrowdFlowObserved of the Smart Data Models.

The first message of a camera sets the base line. A total that is smaller than the last one means that the camera has
reset itself: the new total is then what it has counted since. The cumulative totals are kept in the entity
(`cumulativeCount`), so that a restart loses no count.

A counter of who is there now (ONVIF's OccupancyCounter; AXIS's occupancy in an area, which the group or device names in
`internal_attributes.occupancy`, a list of scenarios) has no flow: it becomes `peoplePresent`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tsunagu.adapters import clock
from tsunagu.adapters.errors import BadMeasure
from tsunagu.adapters.sink import EntityUpdate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tsunagu.adapters.devices.plan import Plan
    from tsunagu.adapters.message import Count
    from tsunagu.adapters.sink import Sink
    from tsunagu.adapters.time_policy import Stamp

TYPE = "CrowdFlowObserved"
MAX_COUNTERS = 100_000
ATTRIBUTES = {"total": "peopleCount", "in": "peopleCountTowards", "out": "peopleCountAway"}
UNSAFE = re.compile(r"[^\w.-]")


@dataclass(frozen=True, slots=True)
class Totals:
    """The last totals of a counter and when they were taken, epoch ms."""

    values: dict[str, int]
    taken: int


Key = tuple[str, str]


class CountReducer:
    """The last totals of all counters of this process."""

    def __init__(self) -> None:
        self._last: dict[Key, Totals] = {}

    async def prepare(self, plan: Plan, count: Count, sink: Sink) -> None:
        """Read the stored totals of a counter that is not in memory. Raises SinkUnavailable."""
        key = (plan.tenant, flow_id(plan, count.scenario))
        if key in self._last or is_present(plan, count):
            return
        entity = await sink.read(*key)
        if entity is None or key in self._last:
            return
        stored, taken = entity.get("cumulativeCount"), None
        if isinstance(stored, dict) and isinstance(stored.get("value"), dict):
            taken = stored.get("observedAt")
        if isinstance(taken, str) and isinstance(stored, dict):
            self._remember(key, Totals({k: int(v) for k, v in stored["value"].items()}, clock.read_text(taken)))

    def reduce(self, plan: Plan, count: Count, stamp: Stamp) -> EntityUpdate | None:
        """Return the flow since the last message; None for a message that is not newer than the last one."""
        key = (plan.tenant, flow_id(plan, count.scenario))
        if is_present(plan, count):
            return EntityUpdate(key[1], TYPE, _presence(plan, count, stamp), receipt=count.receipt)
        last = self._last.get(key)
        if last is not None and stamp.observed <= last.taken:
            return None
        self._remember(key, Totals(count.totals, stamp.observed))
        return EntityUpdate(key[1], TYPE, _attributes(plan, count, stamp, last), receipt=count.receipt)

    def last(self, key: Key) -> Totals | None:
        """Return what is remembered of a counter."""
        return self._last.get(key)

    def restore(self, key: Key, totals: Totals | None) -> None:
        """Go back to earlier totals, for an update that could not be committed."""
        if totals is None:
            self._last.pop(key, None)
        else:
            self._last[key] = totals

    def _remember(self, key: Key, totals: Totals) -> None:
        if key not in self._last and len(self._last) >= MAX_COUNTERS:
            self._last.pop(next(iter(self._last)))
        self._last[key] = totals


def occupancies_of(settings: Mapping[str, Any]) -> frozenset[str]:
    """Return the scenarios whose totals say who is there now. Raises BadMeasure naming the member."""
    scenarios = settings.get("occupancy", [])
    if not isinstance(scenarios, list) or not all(isinstance(one, str) for one in scenarios):
        raise BadMeasure('internal_attributes.occupancy must be a list of scenarios, e.g. ["Device1Scenario3"]')
    return frozenset(scenarios)


def is_present(plan: Plan, count: Count) -> bool:
    """Tell whether a counter says who is there now."""
    return count.present or count.scenario in plan.occupancies


def flow_id(plan: Plan, scenario: str) -> str:
    """Return the id of the flow entity of a camera's scenario, beside the camera's own id."""
    prefix = f"urn:ngsi-ld:{plan.entity_type}:"
    local = plan.entity_id.removeprefix(prefix) if plan.entity_id.startswith(prefix) else plan.device_id
    return (
        f"urn:ngsi-ld:{TYPE}:{UNSAFE.sub('_', local) if local == plan.device_id else local}:{UNSAFE.sub('_', scenario)}"
    )


def deltas(totals: dict[str, int], last: Totals | None) -> dict[str, int]:
    """Return what was counted since the last totals; nothing without any."""
    if last is None:
        return {}
    found = {}
    for name, total in totals.items():
        before = last.values.get(name)
        if before is not None:
            found[name] = total - before if total >= before else total
    return found


def _presence(plan: Plan, count: Count, stamp: Stamp) -> dict[str, Any]:
    """Return who is there now; of several classes each by itself."""
    names = {"total": "peoplePresent"}
    return _described(plan, stamp) | {
        names.get(name) or "peoplePresent" + name.removeprefix("total"): {
            "type": "Property",
            "value": value,
            "observedAt": stamp.text,
        }
        for name, value in count.totals.items()
    }


def _described(plan: Plan, stamp: Stamp) -> dict[str, Any]:
    """Return who counts, and where."""
    attrs: dict[str, Any] = {
        "refDevice": {"type": "Relationship", "object": plan.entity_id, "observedAt": stamp.text},
    }
    location = plan.static.get("location")
    if location is not None:
        attrs["location"] = {"type": "GeoProperty", "value": location["value"], "observedAt": stamp.text}
    return attrs


def _attributes(plan: Plan, count: Count, stamp: Stamp, last: Totals | None) -> dict[str, Any]:
    cumulative = {"type": "Property", "value": count.totals, "observedAt": stamp.text}
    attrs = {"cumulativeCount": cumulative, **_described(plan, stamp)}
    counted = deltas(count.totals, last)
    if last is None or not counted:
        return attrs
    if "total" not in counted and {"in", "out"} <= counted.keys():
        counted["total"] = counted["in"] + counted["out"]
    for name, value in counted.items():
        attribute = ATTRIBUTES.get(name) or "peopleCount" + name.removeprefix("total")
        attrs[attribute] = {"type": "Property", "value": value, "observedAt": stamp.text}
    period = {"dateObservedFrom": last.taken, "dateObservedTo": stamp.observed, "dateObserved": stamp.observed}
    for name, moment in period.items():
        date = {"@type": "DateTime", "@value": clock.iso(moment)}
        attrs[name] = {"type": "Property", "value": date, "observedAt": stamp.text}
    return attrs
