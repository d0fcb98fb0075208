"""Tests of one target value, a leaf, against the values of a query term (4.9).

A leaf is a JSON value that is no array. A DateTime, Date or Time of a query compares with strings that have the form
of its kind, plain or as a JSON-LD typed value ({"@type": "DateTime", "@value": "2026-07-18T19:10:00Z"}, annex C.6).
Values of different types are never equal and have no order; true and false are no numbers. What is a string by
definition, such as the texts of a LanguageProperty and IRIs, is no DateTime, whatever it looks like.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from tsunagu.broker.query.ast import Between, Compare, Like, Moment
from tsunagu.broker.query.moments import moment_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from tsunagu.broker.query.ast import Value

    LeafTest = Callable[[Any], bool]

ORDER: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
NUMBERS = (int, float)


def equality_test(values: tuple[Value, ...]) -> LeafTest:
    """Return whether a leaf equals any of the values."""
    texts = frozenset(value for value in values if isinstance(value, str))
    numbers = frozenset(value for value in values if isinstance(value, NUMBERS) and not isinstance(value, bool))
    truths = frozenset(value for value in values if isinstance(value, bool))
    moments = [_moment_test(value, operator.eq) for value in values if isinstance(value, Moment)]

    def test(leaf: Any) -> bool:
        if isinstance(leaf, str) and leaf in texts:
            return True
        if isinstance(leaf, bool):
            return leaf in truths
        if isinstance(leaf, NUMBERS):
            return leaf in numbers
        return any(each(leaf) for each in moments)

    return test


def leaf_tests(node: Compare | Between | Like) -> tuple[LeafTest, LeafTest]:
    """Return the test of any leaf, and that of one that is a string by definition; of the positive form, if negated."""
    if isinstance(node, Like):
        search = node.pattern.search
        matches: LeafTest = lambda leaf: isinstance(leaf, str) and search(leaf)  # noqa: E731
        return matches, matches
    if isinstance(node, Between):
        test = range_test(node)
        return test, (_never if isinstance(node.low, Moment) or isinstance(node.high, Moment) else test)
    if node.operator in ("==", "!="):
        return equality_test(node.values), equality_test(
            tuple(value for value in node.values if isinstance(value, str))
        )
    test = _order_test(node.values[0], ORDER[node.operator])
    return test, (_never if isinstance(node.values[0], Moment) else test)


def _never(_: Any) -> bool:
    return False


def range_test(node: Between) -> LeafTest:
    """Return whether a leaf lies in the closed interval."""
    above = _order_test(node.low, operator.ge)
    below = _order_test(node.high, operator.le)
    return lambda leaf: above(leaf) and below(leaf)


def _order_test(bound: Value, compare: Callable[[Any, Any], bool]) -> LeafTest:
    if isinstance(bound, Moment):
        return _moment_test(bound, compare)
    if isinstance(bound, str):
        return lambda leaf: isinstance(leaf, str) and compare(leaf, bound)
    return lambda leaf: isinstance(leaf, NUMBERS) and not isinstance(leaf, bool) and compare(leaf, bound)


def _moment_test(moment: Moment, compare: Callable[[Any, Any], bool]) -> LeafTest:
    kind, wanted = moment.kind, moment.key

    def test(leaf: Any) -> bool:
        text = leaf.get("@value") if isinstance(leaf, dict) else leaf
        key = moment_key(kind, text) if isinstance(text, str) else None
        return key is not None and compare(key, wanted)

    return test


def time_test(node: Compare | Between) -> LeafTest:
    """Return the test of a system time, in epoch milliseconds; only DateTimes and Dates compare to it."""
    if not isinstance(node, Compare):
        low, high = milliseconds(node.low), milliseconds(node.high)
        return lambda time: low is not None and high is not None and low <= time <= high
    moments = frozenset(moment for moment in map(milliseconds, node.values) if moment is not None)
    if node.operator in ("==", "!="):
        return moments.__contains__
    compare = ORDER[node.operator]
    return lambda time: any(compare(time, moment) for moment in moments)


def milliseconds(value: Value) -> int | None:
    """Return the epoch milliseconds of a DateTime, or of a Date's midnight UTC; None for any other value."""
    return value.ms if isinstance(value, Moment) else None
