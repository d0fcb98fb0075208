"""Comparing DateTimes, Dates and Times by regular expressions."""

from __future__ import annotations

import operator
import re
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from tsunagu.broker.query.moments import kind_of, moment_key, read_moment
from tsunagu.broker.storage.mongo.moment_patterns import between, comparison, equality, expression

digits = st.integers(0, 59).map("{:02}".format)
fractions = st.one_of(
    st.just(""), st.from_regex(r"[.,][0-9]{1,6}", fullmatch=True), st.sampled_from([".0", ",000", ".1", ".10", ".09"])
)
days = st.builds(
    "{}-{}-{}".format,
    st.sampled_from(["1999", "2000", "2019", "2020"]),
    *[st.sampled_from(["01", "09", "10", "12"])] * 2,
)
clocks = st.builds("{}:{}:{}{}Z".format, st.integers(0, 23).map("{:02}".format), digits, digits, fractions)
moments = st.one_of(days, clocks, st.builds("{}T{}".format, days, clocks))
SIGNS = {"==": operator.eq, ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


def found(pattern: str, text: str) -> bool:
    return re.search(pattern.replace(r"\z", r"\Z"), text, re.ASCII) is not None


def meets(condition: dict[str, Any], text: str) -> bool:
    """Return whether a string meets the condition as MongoDB reads it."""
    bounds = [
        SIGNS[{"$gte": ">=", "$lte": "<="}[key]](text, value) for key, value in condition.items() if key != "$regex"
    ]
    return found(condition["$regex"], text) and all(bounds)


@given(moments, moments)
@example("2020-01-01T00:00:00Z", "2020-01-01T00:00:00.0Z")
@example("2020-01-01T00:00:00.12Z", "2020-01-01T00:00:00.1Z")
@example("2020-01-01T00:00:00.1Z", "2020-01-01T00:00:00.09Z")
@example("00:00:00Z", "00:00:00Z")
def test_comparisons(text: str, other: str) -> None:
    """The expression, and the expression with its bounds, hold exactly where the keys compare so."""
    moment = read_moment(other)
    assert moment is not None
    key = moment_key(moment.kind, text)
    for sign, compare in SIGNS.items():
        expected = key is not None and compare(key, moment.key)
        assert found(expression(moment, sign), text) == expected
        assert meets(comparison(moment, sign), text) == expected
    assert found(equality(moment).pattern, text) == (key == moment.key)


@given(moments, moments, moments)
def test_intervals(text: str, low: str, high: str) -> None:
    """An interval holds of the moments of its kind between its bounds; bounds of different kinds have no interval."""
    first, last = read_moment(low), read_moment(high)
    assert first is not None
    assert last is not None
    condition = between(first, last)
    if kind_of(low) != kind_of(high):
        assert condition is None
        return
    assert condition is not None
    key = moment_key(first.kind, text)
    assert meets(condition, text) == (key is not None and first.key <= key <= last.key)


@given(moments, st.text(st.sampled_from("0129-:TZ. a\n"), max_size=4))
def test_other_strings(text: str, more: str) -> None:
    """A string with anything before or after a moment is none."""
    moment = read_moment(text)
    assert moment is not None
    for string in (text + more, more + text):
        if kind_of(string) is None:
            assert not any(found(expression(moment, sign), string) for sign in SIGNS)
