"""What a term of q compares with, as MongoDB operands for each kind of member that can hold a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tsunagu.broker.query.ast import Between, Compare, Like, Moment
from tsunagu.broker.storage.mongo import moment_patterns
from tsunagu.broker.storage.mongo.language_maps import TEXT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tsunagu.broker.query.ast import Value

_OPERATORS = {">": "$gt", ">=": "$gte", "<": "$lt", "<=": "$lte"}


@dataclass(frozen=True, slots=True)
class Operands:
    """The conditions on a path, None where nothing there can match.

    `plain`: on values of any type; `text`: on members that hold strings only; `typed`: on the "@value" of typed values;
    `language`: the aggregation expression on TEXT; `objects`: objects of Relationships count; `interval`: two bounds,
    which have to hold of one and the same element.
    """

    plain: Any = None
    text: Any = None
    typed: Any = None
    language: dict[str, Any] | None = None
    objects: bool = False
    interval: bool = False


def operands_of(node: Compare | Between | Like) -> Operands:
    """Return the operands of a term, of its positive form where it is negated."""
    if isinstance(node, Like):
        matches = {"$regex": node.pattern.pcre}
        return Operands(
            matches, matches, None, {"$regexMatch": {"input": TEXT, "regex": {"$literal": node.pattern.pcre}}}
        )
    if isinstance(node, Between):
        return _interval(node.low, node.high)
    if node.operator in ("==", "!="):
        return _equality(node.values)
    return _order(node.values[0], node.operator)


def _equality(values: Sequence[Value]) -> Operands:
    texts = [value for value in values if isinstance(value, str)]
    moments = [moment_patterns.equality(value) for value in values if isinstance(value, Moment)]
    others = [value for value in values if not isinstance(value, str | Moment)]
    return Operands(
        plain=_in([*others, *texts, *moments]),
        text=_in(texts),
        typed=_in(moments),
        language={"$in": [TEXT, {"$literal": texts}]} if texts else None,
        objects=True,
    )


def _in(values: Sequence[Any]) -> Any:
    if len(values) == 1:
        return values[0]
    return {"$in": list(values)} if values else None


def _order(bound: Value, operator: str) -> Operands:
    if isinstance(bound, Moment):
        condition = moment_patterns.comparison(bound, operator)
        return Operands(plain=condition, typed=condition)
    condition = {_OPERATORS[operator]: bound}
    if isinstance(bound, str):
        return Operands(condition, condition, None, {_OPERATORS[operator]: [TEXT, {"$literal": bound}]})
    return Operands(condition)


def is_interval(node: object) -> bool:
    """Return whether a term becomes two bounds, as an interval of numbers or of texts; one of moments does not."""
    if not isinstance(node, Between) or isinstance(node.low, Moment) or isinstance(node.high, Moment):
        return False
    return isinstance(node.low, str) == isinstance(node.high, str)


def _interval(low: Value, high: Value) -> Operands:
    if isinstance(low, Moment) and isinstance(high, Moment):
        condition = moment_patterns.between(low, high)
        return Operands(plain=condition, typed=condition, objects=True)
    bounds = {"$gte": low, "$lte": high}
    if isinstance(low, str) and isinstance(high, str):
        language = {"$and": [{"$gte": [TEXT, {"$literal": low}]}, {"$lte": [TEXT, {"$literal": high}]}]}
        return Operands(bounds, bounds, None, language, objects=True, interval=True)
    if isinstance(low, str | Moment) or isinstance(high, str | Moment):
        return Operands(objects=True)
    return Operands(bounds, objects=True, interval=True)
