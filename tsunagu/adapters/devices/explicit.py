"""Which attributes a device may store: `explicitAttrs` in all its forms (iotagent-node-lib doc/api.md).

False: every measure. True: what is declared. A list, or an expression that gives one: the attributes that it names,
by name or, as {"object_id": …}, by the device's own key; of the static attributes those that it names, too.
An expression may also give true or false.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tsunagu.adapters.jexl import Expression, compile_expression

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Listed:
    """The attributes that a list names: by their names, and by the device's keys."""

    names: frozenset[str]
    object_ids: frozenset[str]

    def takes(self, name: str, object_id: str | None = None) -> bool:
        """Tell whether an attribute is listed."""
        return name in self.names or object_id in self.object_ids

    def of(self, static: Mapping[str, Any]) -> dict[str, Any]:
        """Return the static attributes that are listed."""
        return {name: instance for name, instance in static.items() if name in self.names}


Explicit = bool | Listed


def listed(items: list[Any]) -> Listed:
    """Return what a list names."""
    keys = frozenset(str(item.get("object_id")) for item in items if isinstance(item, dict))
    return Listed(frozenset(str(item) for item in items if not isinstance(item, dict)), keys)


def compile_explicit(given: Any) -> Explicit | Expression:
    """Return `explicitAttrs` as it is provisioned, compiled. Raises BadExpression."""
    if isinstance(given, list):
        return listed(given)
    if isinstance(given, str):
        return compile_expression(given) if given not in ("true", "false", "") else given == "true"
    return bool(given)


def evaluate(expression: Expression, context: Mapping[str, Any]) -> Explicit:
    """Return what an expression says for a measure. Raises BadExpression."""
    value = expression.evaluate(context)
    return listed(value) if isinstance(value, list) else bool(value)
