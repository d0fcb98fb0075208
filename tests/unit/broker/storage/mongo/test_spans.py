"""Spans of modification: coarse, so that most writes leave the index alone, and still right for every query."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tsunagu.broker.storage.mongo.spans import SPAN_MS, span_of, span_operators

COMPARE = {
    "$gt": lambda one, other: one > other,
    "$gte": lambda one, other: one >= other,
    "$lt": lambda one, other: one < other,
    "$lte": lambda one, other: one <= other,
    "$in": lambda one, other: one in other,
}
moments = st.integers(-5 * SPAN_MS, 5 * SPAN_MS)


def holds(operators: dict[str, Any], value: int) -> bool:
    return all(COMPARE[operator](value, bound) for operator, bound in operators.items())


@given(
    modified=moments,
    operators=st.dictionaries(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), moments, min_size=1)
    | st.builds(lambda values: {"$in": values}, st.lists(moments, min_size=1)),
)
def test_what_matches_by_time_matches_by_span(modified: int, operators: dict[str, Any]) -> None:
    """A condition on the span never excludes what the condition on modifiedAt lets through."""
    if holds(operators, modified):
        assert holds(span_operators(operators), span_of(modified))
