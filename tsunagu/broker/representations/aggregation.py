"""Aggregating the values of attribute instances over periods (4.5.19). Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from tsunagu.schemas.times import short_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from tsunagu.schemas.entity import Instance

COUNTS = frozenset({"distinctCount", "totalCount"})
_DAY_SECONDS = 86_400


@dataclass(slots=True)
class Aggregate:
    """What became of one attribute and datasetId: rows [value, start, end] by method, and whether it is a relationship.

    Methods that its values are not eligible for have no rows (Tables 4.5.19.1-1 to -3).
    """

    relationship: bool = False
    rows: dict[str, list[list[Any]]] = field(default_factory=dict)


@dataclass(slots=True)
class _Period:
    """The values of one period: every one as text, and those that can be calculated with, by what they are."""

    total: int = 0
    distinct: set[bytes] = field(default_factory=set)
    numbers: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    clocks: list[float] = field(default_factory=list)

    def add(self, instance: Instance) -> None:
        kind = instance["type"]
        member = next(name for name in _MEMBERS if name in instance)
        value = instance[member]
        self.total += 1
        self.distinct.add(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))
        if kind not in ("Property", "ListProperty"):
            return
        if isinstance(value, (bool, int, float)):
            self.numbers.append(float(value))
        elif isinstance(value, list):
            self.sizes.append(len(value))
        elif isinstance(value, str):
            self.texts.append(value)
        elif isinstance(value, dict) and isinstance(value.get("@value"), str):
            self.texts.append(value["@value"])
            if value.get("@type") == "Time" and (seconds := _clock(value["@value"])) is not None:
                self.clocks.append(seconds)


_MEMBERS = ("value", "object", "valueList", "objectList", "languageMap", "vocab", "json")


def _clock(text: str) -> float | None:
    """Return the seconds of a Time (4.6.3) since midnight, None if it is none."""
    parts = text.rstrip("Z").replace(",", ".").split(":")
    try:
        hours, minutes, seconds = (float(part) for part in parts)
    except ValueError:
        return None
    return hours * 3600 + minutes * 60 + seconds


def _time_of_day(seconds: float) -> str:
    whole = round(seconds * 1000) % (_DAY_SECONDS * 1000)
    minutes, milliseconds = divmod(whole, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{milliseconds // 1000:02d}.{milliseconds % 1000:03d}Z"


def _average(period: _Period) -> Any:
    if period.numbers or period.sizes:
        values: Sequence[float] = period.numbers or period.sizes
        return math.fsum(values) / len(values)
    return _time_of_day(math.fsum(period.clocks) / len(period.clocks)) if period.clocks else None


def _deviation(period: _Period) -> float | None:
    if not period.numbers:
        return None
    mean = math.fsum(period.numbers) / len(period.numbers)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in period.numbers) / len(period.numbers))


def _extreme(choose: Callable[[Iterable[Any]], Any]) -> Callable[[_Period], Any]:
    def extreme(period: _Period) -> Any:
        values = period.numbers or period.sizes or period.texts
        return choose(values) if values else None

    return extreme


def _sum(period: _Period) -> float | None:
    values: Sequence[float] = period.numbers or period.sizes
    return math.fsum(values) if values else None


def _sum_of_squares(period: _Period) -> float | None:
    return math.fsum(value * value for value in period.numbers) if period.numbers else None


# Method → its value for a period, None where the values are not eligible for it.
METHODS: dict[str, Callable[[_Period], Any]] = {
    "avg": _average,
    "distinctCount": lambda period: len(period.distinct),
    "max": _extreme(max),
    "min": _extreme(min),
    "stddev": _deviation,
    "sum": _sum,
    "sumsq": _sum_of_squares,
    "totalCount": lambda period: period.total,
}


class Aggregation:
    """Collects instances, oldest first, and aggregates them over periods.

    `methods` are keys of METHODS. `period` is the length of a period in ms; 0: one period for all. `start` and `end`
    bound the time range of the query in epoch ms; without a start the first period begins with the first instance.
    """

    def __init__(
        self, methods: Collection[str], period: int, *, start: int | None = None, end: int | None = None
    ) -> None:
        self._methods = methods
        self._length = period
        self._start = start
        self._end = end
        self._last = 0
        self._periods: dict[tuple[str, str | None], dict[int, _Period]] = {}
        self._relationships: set[tuple[str, str | None]] = set()

    def add(self, attribute: str, instance: Instance, moment: int) -> None:
        """Take one instance in, at its time in epoch ms."""
        if self._start is None:
            self._start = moment
        self._last = max(self._last, moment)
        key = (attribute, instance.get("datasetId"))
        index = (moment - self._start) // self._length if self._length else 0
        periods = self._periods.setdefault(key, {})
        period = periods.get(index)
        if period is None:
            period = periods[index] = _Period()
        period.add(instance)
        if instance["type"] in ("Relationship", "ListRelationship"):
            self._relationships.add(key)

    def result(self) -> dict[tuple[str, str | None], Aggregate]:
        """Return the aggregates by (attribute, datasetId); only periods with instances have rows."""
        found = {}
        for key, periods in self._periods.items():
            rows: dict[str, list[list[Any]]] = {}
            for method in self._methods:
                values = [(index, METHODS[method](period)) for index, period in sorted(periods.items())]
                kept = [
                    [value, *self._bounds(index)] for index, value in values if value is not None and _finite(value)
                ]
                if kept:
                    rows[method] = kept
            found[key] = Aggregate(key in self._relationships, rows)
        return found

    def _bounds(self, index: int) -> tuple[str, str]:
        start = self._start or 0
        if not self._length:
            return short_text(start), short_text(self._last if self._end is None else self._end)
        return short_text(start + index * self._length), short_text(start + (index + 1) * self._length)


def _finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
