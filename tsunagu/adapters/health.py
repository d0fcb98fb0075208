"""Watching devices: who is silent for too long is offline, told once; who is heard again is online, told once.

`internal_attributes.health` of group or device: ``{"interval": seconds, "missed": 3, "alertInterval": seconds,
"above": {attribute: limit}}``. A device may miss so many intervals. A crisis gauge has two: `alertInterval` counts
while an attribute is above its limit. The state is kept in the device's health entity (`deviceState`,
`dateLastValueReported`, `offlineSince`, `expectedInterval`, and what vitals.py tells), so that a restart or another
worker tells nothing twice: before a device is called offline, its entity is asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tsunagu.adapters import clock
from tsunagu.adapters.errors import BadMeasure
from tsunagu.adapters.sink import EntityUpdate
from tsunagu.adapters.vitals import Vitals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tsunagu.adapters.devices.plan import Plan
    from tsunagu.adapters.message import Reading
    from tsunagu.adapters.sink import Sink
    from tsunagu.adapters.time_policy import Stamp

MISSED = 3
ONLINE, OFFLINE = "online", "offline"
OWN = frozenset(("Camera", "Device", "TagReader"))
MEMBERS = frozenset(("interval", "missed", "alertInterval", "above"))
MAX_WATCHED = 200_000


@dataclass(frozen=True, slots=True)
class HealthRule:
    """How long a device may be silent, in ms: usually, and while one of `above` is exceeded."""

    patience: int
    alert_patience: int
    above: Mapping[str, float]
    interval: float = 0
    alert_interval: float = 0


def rule_of(settings: Mapping[str, Any]) -> HealthRule | None:
    """Return the rule of a group or device, None if it is not watched. Raises BadMeasure naming the member."""
    given = settings.get("health")
    if given is None:
        return None
    if not isinstance(given, dict) or not given.keys() <= MEMBERS or "interval" not in given:
        raise BadMeasure(
            "internal_attributes.health must be an object with interval, and maybe missed, alertInterval, above"
        )
    missed = _number(given, "missed", MISSED)
    interval = _number(given, "interval", 0)
    alert = _number(given, "alertInterval", interval)
    above = given.get("above") or {}
    if not isinstance(above, dict):
        raise BadMeasure("internal_attributes.health.above must be an object of limits")
    limits = {name: _number(above, name, 0) for name in above}
    return HealthRule(round(interval * missed * 1000), round(alert * missed * 1000), limits, interval, alert)


def _number(given: Mapping[str, Any], name: str, default: float) -> float:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise BadMeasure(f"internal_attributes.health.{name} must be a number from 0 on")
    return float(value)


def health_entity(plan: Plan) -> tuple[str, str]:
    """Return id and type of the entity that carries a device's health: its own, or a Device beside what it measures."""
    if plan.entity_type in OWN:
        return plan.entity_id, plan.entity_type
    return f"urn:ngsi-ld:Device:{plan.device_id}", "Device"


@dataclass(slots=True)
class Watch:
    """A watched device: when it was last heard and last written, whether it is offline, which patience counts.

    `seen` says that this process has heard it; else its entity must know it, for who never spoke cannot fall silent.
    """

    plan: Plan
    rule: HealthRule
    heard: int
    written: int = 0
    offline: bool = False
    alert: bool = False
    seen: bool = False
    vitals: Vitals = field(default_factory=Vitals)

    @property
    def expected(self) -> float:
        """The seconds within which the device is expected to speak now: a crisis gauge has two modes."""
        return self.rule.alert_interval if self.alert else self.rule.interval

    @property
    def patience(self) -> int:
        """The ms that the device may be silent now."""
        return self.rule.alert_patience if self.alert else self.rule.patience


class HealthMonitor:
    """The watched devices of this process."""

    def __init__(self) -> None:
        self._watched: dict[tuple[str, str], Watch] = {}

    def watch(self, plan: Plan, now: int) -> Watch | None:
        """Watch a device from now on, if it has a rule."""
        if plan.health is None:
            return None
        key = (plan.tenant, health_entity(plan)[0])
        watch = self._watched.get(key)
        if watch is None and len(self._watched) < MAX_WATCHED:
            watch = self._watched[key] = Watch(plan, plan.health, now)
        elif watch is not None and watch.plan is not plan:
            watch.plan, watch.rule = plan, plan.health
        return watch

    async def resume(self, plan: Plan, received: int, sink: Sink) -> None:
        """Read what other workers have counted of a device. Raises SinkUnavailable."""
        watch = self.watch(plan, received)
        if watch is not None:
            watch.vitals.resume(await sink.read(plan.tenant, health_entity(plan)[0]) or {})

    def failed(self, plan: Plan, received: int) -> None:
        """Note a message of a device that could not be read."""
        watch = self.watch(plan, received)
        if watch is not None:
            watch.vitals.fail()

    def heard(
        self, plan: Plan, received: int, updates: Sequence[EntityUpdate], *, reading: Reading, stamp: Stamp
    ) -> EntityUpdate | None:
        """Note a sign of life; return the update of the device's health that is due, if any.

        A heartbeat among `updates` carries the health itself and becomes part of the history when it ends an absence.
        """
        watch = self.watch(plan, received)
        if watch is None:
            return None
        watch.heard, watch.seen = max(watch.heard, received), True
        was_alert = watch.alert
        self._judge(watch, updates)
        urgent = watch.vitals.note(reading, stamp, received, updates) or watch.alert != was_alert
        returned, watch.offline = watch.offline, False
        entity_id, entity_type = health_entity(plan)
        own = next((update for update in updates if update.id == entity_id and "deviceState" in update.attrs), None)
        due = returned or urgent or received - watch.written >= watch.patience // MISSED
        text = clock.iso(received)
        if own is not None:
            own.history = own.history or returned
            if due:
                for name, instance in {**watch.vitals.attrs(text), **_expected(watch, text)}.items():
                    own.attrs.setdefault(name, instance)
                watch.written = received
            return None
        if not due:
            return None
        watch.written = received
        attrs = _state(ONLINE, received, heard=received) | watch.vitals.attrs(text) | _expected(watch, text)
        return EntityUpdate(entity_id, entity_type, attrs, history=returned)

    @staticmethod
    def _judge(watch: Watch, updates: Sequence[EntityUpdate]) -> None:
        """Choose the patience by the values that were measured."""
        for name, limit in watch.rule.above.items():
            for update in updates:
                value = update.attrs.get(name, {}).get("value")
                if isinstance(value, int | float):
                    watch.alert = value > limit

    async def silent(self, now: int, sink: Sink) -> list[tuple[str, EntityUpdate, Watch]]:
        """Return (tenant, update, watch) for every device that has been silent for too long. Raises SinkUnavailable.

        Call `settled` once the update is committed.
        """
        found = []
        for (tenant, entity_id), watch in list(self._watched.items()):
            if watch.offline or watch.patience == 0 or now - watch.heard <= watch.patience:
                continue
            stored = await sink.read(tenant, entity_id) or {}
            heard = _last_heard(stored)
            if heard is None and not watch.seen:
                del self._watched[tenant, entity_id]
            elif heard is not None and now - heard <= watch.patience:
                watch.heard = heard  # another worker has heard it
            elif stored.get("deviceState", {}).get("value") == OFFLINE:
                watch.offline = True
            else:
                since = max(watch.heard if watch.seen else 0, heard or 0)
                attrs = _state(OFFLINE, now, since=since)
                found.append((tenant, EntityUpdate(entity_id, health_entity(watch.plan)[1], attrs), watch))
        return found

    @staticmethod
    def settled(watch: Watch) -> None:
        """Note that a device's being offline has been told."""
        watch.offline = True


def _state(state: str, now: int, *, heard: int | None = None, since: int | None = None) -> dict[str, Any]:
    text = clock.iso(now)
    attrs: dict[str, Any] = {"deviceState": {"type": "Property", "value": state, "observedAt": text}}
    for name, moment in (("dateLastValueReported", heard), ("offlineSince", since)):
        if moment is not None:
            date = {"@type": "DateTime", "@value": clock.iso(moment)}
            attrs[name] = {"type": "Property", "value": date, "observedAt": text}
    return attrs


def _expected(watch: Watch, at: str) -> dict[str, Any]:
    interval = {"type": "Property", "value": watch.expected, "unitCode": "SEC", "observedAt": at}
    return {"expectedInterval": interval}


def _last_heard(stored: Mapping[str, Any]) -> int | None:
    value = stored.get("dateLastValueReported", {}).get("value")
    text = value.get("@value") if isinstance(value, dict) else value
    return clock.read_text(text) if isinstance(text, str) else None
