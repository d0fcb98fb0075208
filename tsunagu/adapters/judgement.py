"""Judging a reading by those before it: stuck sensors, impossible jumps, and warning levels with hysteresis.

`internal_attributes.quality`: {attribute: {"stuckAfter": seconds, "maxStep": number, "maxPerMinute": number}}. A value
that has not changed for so long, or has changed more than is possible, is stored and marked suspect with the reason;
it is never left out. A second reading near an impossible one confirms it.

`internal_attributes.thresholds`: {"attribute": "waterLevel", "levels": ["standbyLevel", 2.2, …], "margin": 0.1,
"readings": 2, "into": "warningLevel"}: the highest level that is reached, 0 for none; names are static attributes, in
rising order. A level is reached at once, and left when so many readings in a row are below it by the margin. Late
readings change nothing.

What was judged last is kept in the entity itself, so that workers and restarts go on from there.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tsunagu.adapters import clock
from tsunagu.adapters.errors import BadMeasure
from tsunagu.adapters.validation import suspect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tsunagu.adapters.sink import EntityUpdate

QUALITY = frozenset(("stuckAfter", "maxStep", "maxPerMinute"))
THRESHOLDS = frozenset(("attribute", "levels", "margin", "readings", "into"))
MAX_REMEMBERED = 50_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What an attribute's values may do; None: anything. Times in ms."""

    stuck_after: int | None = None
    max_step: float | None = None
    max_per_minute: float | None = None

    def allows(self, before: Point, value: float, at: int) -> bool:
        """Tell whether a value may follow another one."""
        step = abs(value - before.value)
        if self.max_step is not None and step > self.max_step:
            return False
        minutes = max(at - before.at, 1000) / 60_000
        return self.max_per_minute is None or step <= self.max_per_minute * minutes


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Levels of one attribute, each with its number, and how they are left."""

    attribute: str
    levels: tuple[tuple[int, float], ...]
    margin: float
    readings: int
    into: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is judged of a device's readings."""

    quality: Mapping[str, Limits]
    thresholds: Thresholds | None


@dataclass(frozen=True, slots=True)
class Point:
    """A value and its time, epoch ms."""

    value: float
    at: int


@dataclass(slots=True)
class Memory:
    """What was judged last of one attribute: the last good value, a doubtful one, since when the value is the same."""

    good: Point | None = None
    doubtful: Point | None = None
    since: int = 0


@dataclass(slots=True)
class Alert:
    """The warning level, when it was judged, and how many readings in a row were below it."""

    level: int = 0
    at: int = 0
    below: int = 0


def judgement_of(settings: Mapping[str, Any], static: Mapping[str, Any]) -> Judgement | None:
    """Return what a group or device has judged, None for nothing. Raises BadMeasure naming the member."""
    quality = settings.get("quality")
    if quality is not None and not isinstance(quality, dict):
        raise BadMeasure("internal_attributes.quality must be an object of attributes")
    limits = {name: _limits(given, f"internal_attributes.quality.{name}") for name, given in (quality or {}).items()}
    thresholds = _thresholds(settings.get("thresholds"), static)
    return Judgement(limits, thresholds) if limits or thresholds else None


def _limits(given: Any, where: str) -> Limits:
    if not isinstance(given, dict) or not given or not given.keys() <= QUALITY:
        raise BadMeasure(f"{where} must be an object with {', '.join(sorted(QUALITY))}")
    numbers = {name: _positive(value, f"{where}.{name}") for name, value in given.items()}
    stuck = numbers.get("stuckAfter")
    return Limits(round(stuck * 1000) if stuck else None, numbers.get("maxStep"), numbers.get("maxPerMinute"))


def _positive(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise BadMeasure(f"{where} must be a number above 0")
    return float(value)


def _thresholds(given: Any, static: Mapping[str, Any]) -> Thresholds | None:
    if given is None:
        return None
    where = "internal_attributes.thresholds"
    if not isinstance(given, dict) or not given.keys() <= THRESHOLDS or not isinstance(given.get("attribute"), str):
        raise BadMeasure(f"{where} must be an object with attribute, levels, and maybe margin, readings, into")
    named = given.get("levels")
    if not isinstance(named, list) or not named:
        raise BadMeasure(f"{where}.levels must be a list of numbers and names of static attributes, in rising order")
    levels = []
    for number, one in enumerate(named, 1):
        value = static.get(one, {}).get("value") if isinstance(one, str) else one
        if isinstance(one, str) and value is None:
            continue  # this station has no such level
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadMeasure(f"{where}.levels: {one!r} is neither a number nor a static attribute that is one")
        levels.append((number, float(value)))
    if [level for _, level in levels] != sorted(level for _, level in levels):
        raise BadMeasure(f"{where}.levels must rise")
    margin, readings = given.get("margin", 0.1), given.get("readings", 2)
    if isinstance(readings, bool) or not isinstance(readings, int) or readings < 1:
        raise BadMeasure(f"{where}.readings must be a whole number from 1 on")
    if isinstance(margin, bool) or not isinstance(margin, int | float) or margin < 0:
        raise BadMeasure(f"{where}.margin must be a number from 0 on")
    into = str(given.get("into", "warningLevel"))
    return Thresholds(given["attribute"], tuple(levels), float(margin), readings, into)


@dataclass(slots=True)
class Judge:
    """What is remembered of the entities that are judged; `note` first what the store knows of one."""

    _memories: dict[tuple[str, str, str], Memory] = field(default_factory=dict)
    _alerts: dict[tuple[str, str], Alert] = field(default_factory=dict)

    def note(self, tenant: str, entity_id: str, judgement: Judgement, stored: Mapping[str, Any]) -> None:
        """Take over what the stored entity says, where it is newer than what is remembered."""
        if len(self._memories) + len(self._alerts) > MAX_REMEMBERED:
            self._memories.clear()
            self._alerts.clear()
        for name in judgement.quality:
            instance = stored.get(name)
            point = _point(instance) if isinstance(instance, dict) else None
            memory = self._memories.setdefault((tenant, entity_id, name), Memory())
            if point is None or (isinstance(instance, dict) and "quality" in instance):
                continue
            if memory.good is None or point.at > memory.good.at:
                memory.good, memory.since = point, _since(instance) or point.at
        thresholds = judgement.thresholds
        if thresholds is not None:
            alert = self._alerts.setdefault((tenant, entity_id), Alert())
            instance = stored.get(thresholds.into)
            point = _point(instance) if isinstance(instance, dict) else None
            if point is not None and isinstance(instance, dict) and point.at > alert.at:
                alert.level, alert.at = int(point.value), point.at
                alert.below = int(instance.get("readingsBelow", {}).get("value", 0))

    def judge(self, tenant: str, update: EntityUpdate, judgement: Judgement) -> Callable[[], None]:
        """Mark what is suspect in an update, and add the warning level that follows; return what takes it back."""
        undo = self._snapshot(tenant, update.id, judgement)
        for name, limits in judgement.quality.items():
            point = _point(update.attrs.get(name))
            if point is not None:
                memory = self._memories.setdefault((tenant, update.id, name), Memory())
                self._judge_value(memory, limits, point, update.attrs[name])
        thresholds = judgement.thresholds
        point = _point(update.attrs.get(thresholds.attribute)) if thresholds is not None else None
        if thresholds is not None and point is not None:
            alert = self._alerts.setdefault((tenant, update.id), Alert())
            if point.at > alert.at:
                self._raise_or_clear(alert, thresholds, point)
                update.attrs[thresholds.into] = _level(alert, clock.iso(point.at))
        return undo

    def _snapshot(self, tenant: str, entity_id: str, judgement: Judgement) -> Callable[[], None]:
        """Return a function that puts back what is remembered now."""
        keys = [(tenant, entity_id, name) for name in judgement.quality]
        memories = {key: replace(self._memories[key]) for key in keys if key in self._memories}
        alert = self._alerts.get((tenant, entity_id))
        kept = replace(alert) if alert is not None else None

        def undo() -> None:
            self._memories.update(memories)
            if kept is not None:
                self._alerts[tenant, entity_id] = kept

        return undo

    @staticmethod
    def _judge_value(memory: Memory, limits: Limits, point: Point, instance: dict[str, Any]) -> None:
        before = memory.good
        if before is not None and point.at <= before.at:
            return
        if before is not None and not limits.allows(before, point.value, point.at):
            doubtful = memory.doubtful
            if doubtful is None or not limits.allows(doubtful, point.value, point.at):
                memory.doubtful = point
                instance["quality"] = suspect(f"jumped from {before.value:g} to {point.value:g}")
                return
        memory.doubtful = None
        if before is None or point.value != before.value:
            memory.since = point.at
        memory.good = point
        if limits.stuck_after is not None:
            same = point.at - memory.since
            if same > 0:
                since = {"@type": "DateTime", "@value": clock.iso(memory.since)}
                instance["unchangedSince"] = {"type": "Property", "value": since}
            if same >= limits.stuck_after:
                instance["quality"] = suspect(f"unchanged for {same // 1000} s")

    @staticmethod
    def _raise_or_clear(alert: Alert, thresholds: Thresholds, point: Point) -> None:
        reached = max((number for number, level in thresholds.levels if point.value >= level), default=0)
        kept = max(
            (number for number, level in thresholds.levels if point.value >= level - thresholds.margin), default=0
        )
        alert.at = point.at
        if reached >= alert.level:
            alert.level, alert.below = reached, 0
        elif kept >= alert.level:
            alert.below = 0
        else:
            alert.below += 1
            if alert.below >= thresholds.readings:
                alert.level, alert.below = kept, 0


def _level(alert: Alert, at: str) -> dict[str, Any]:
    level = {"type": "Property", "value": alert.level, "observedAt": at}
    return {**level, "readingsBelow": {"type": "Property", "value": alert.below}} if alert.below else level


def _point(instance: Any) -> Point | None:
    if not isinstance(instance, dict) or "observedAt" not in instance:
        return None
    value = instance.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return Point(value, clock.read_text(instance["observedAt"]))


def _since(instance: Any) -> int | None:
    value = instance.get("unchangedSince", {}).get("value") if isinstance(instance, dict) else None
    text = value.get("@value") if isinstance(value, dict) else None
    return clock.read_text(text) if isinstance(text, str) else None
