"""Checking one attribute against its member of a model's schema: a subset of JSON Schema, compiled once.

Known: type, enum, minimum, maximum, pattern, required (of an object), format date-time, x-unitCode, x-kind.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

VALUE_OF = {"Property": "value", "GeoProperty": "value", "Relationship": "object"}
TYPES: dict[str, tuple[type, ...]] = {
    "number": (int, float),
    "integer": (int,),
    "string": (str,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}


@dataclass(frozen=True, slots=True)
class Check:
    """What a model says of one attribute; None where it says nothing."""

    kind: str
    type: str | None
    minimum: float | None = None
    maximum: float | None = None
    enum: tuple[Any, ...] | None = None
    pattern: re.Pattern[str] | None = None
    required: tuple[str, ...] = ()
    unit: str | None = None
    date: bool = False

    def finding(self, instance: Mapping[str, Any]) -> str | None:
        """Return what is wrong with a normalized instance, None if nothing is."""
        if instance.get("type") != self.kind:
            return f"is a {instance.get('type')} and should be a {self.kind}"
        value = instance.get(VALUE_OF.get(self.kind, "value"))
        if self.unit is not None and instance.get("unitCode", self.unit) != self.unit:
            return f"has the unitCode {instance['unitCode']!r} and should have {self.unit!r}"
        if self.date and isinstance(value, dict):
            return None if value.get("@type") == "DateTime" else "should be a DateTime"
        return self._of_value(value)

    def _of_value(self, value: Any) -> str | None:
        if self.type is not None and not _is(value, self.type):
            return f"is {_shown(value)} and should be of type {self.type}"
        if self.minimum is not None and value < self.minimum:
            return f"is {value}, below {self.minimum:g}"
        if self.maximum is not None and value > self.maximum:
            return f"is {value}, above {self.maximum:g}"
        if self.enum is not None and value not in self.enum:
            return f"is {_shown(value)} and should be one of {', '.join(map(str, self.enum))}"
        if self.pattern is not None and not self.pattern.search(value):
            return f"is {_shown(value)} and should match {self.pattern.pattern}"
        missing = [name for name in self.required if name not in value]
        return f"lacks {', '.join(missing)}" if missing else None


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool) and name != "boolean":
        return False
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, TYPES[name])


def _shown(value: Any) -> str:
    return repr(value)[:60]


def check_of(member: Mapping[str, Any]) -> Check:
    """Compile a member of a schema's properties."""
    return Check(
        kind=member.get("x-kind", "Property"),
        type=member.get("type"),
        minimum=member.get("minimum"),
        maximum=member.get("maximum"),
        enum=tuple(member["enum"]) if "enum" in member else None,
        pattern=re.compile(member["pattern"]) if "pattern" in member else None,
        required=tuple(member.get("required", ())),
        unit=member.get("x-unitCode"),
        date=member.get("format") == "date-time",
    )
