"""Aggregating instances over periods: methods, what is eligible for them, bounds of periods (4.5.19)."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsunagu.broker.representations.aggregation import METHODS, Aggregate, Aggregation

HOUR = 3_600_000
START = 1_795_000_000_000 // HOUR * HOUR


def prop(value: Any, **more: Any) -> dict[str, Any]:
    return {"type": "Property", "value": value, **more}


def aggregate(*values: Any, methods: Any = tuple(METHODS)) -> Aggregate:
    """Return what becomes of instances in one period for all."""
    aggregation = Aggregation(methods, 0, start=START, end=START + HOUR)
    for number, value in enumerate(values):
        aggregation.add("a", value if isinstance(value, dict) and "type" in value else prop(value), START + number)
    return aggregation.result()["a", None]


def rows(*values: Any) -> dict[str, Any]:
    return {method: found[0][0] for method, found in aggregate(*values).rows.items()}


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_numbers_are_eligible_for_every_method(values: list[float]) -> None:
    """All eight methods give for numbers what the standard library does, to the precision of floats."""
    found = rows(*values)
    close = {"rel_tol": 1e-9, "abs_tol": 1e-5}
    assert found.keys() == METHODS.keys()
    assert math.isclose(found["avg"], statistics.fmean(values), **close)
    assert math.isclose(found["stddev"], statistics.pstdev(values), **close)
    assert math.isclose(found["sumsq"], math.fsum(value**2 for value in values), **close)
    assert (found["min"], found["max"], found["sum"]) == (min(values), max(values), math.fsum(values))
    assert (found["totalCount"], found["distinctCount"]) == (len(values), len({repr(value) for value in values}))


COUNTED = {"totalCount": 2, "distinctCount": 2}
ONE = {"min": 1, "max": 1}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["b", "a", "b"], {"totalCount": 3, "distinctCount": 2, "min": "a", "max": "b"}),
        ([True, True], {**COUNTED, "distinctCount": 1, "avg": 1, "sum": 2, "sumsq": 2, "stddev": 0, **ONE}),
        ([[1, 2], [3]], {**COUNTED, "avg": 1.5, "sum": 3, "min": 1, "max": 2}),
        ([{"x": 1, "y": 2}, {"y": 2, "x": 1}], {"totalCount": 2, "distinctCount": 1}),
        ([{"type": "Relationship", "object": "urn:b"}], {"totalCount": 1, "distinctCount": 1}),
        ([{"type": "VocabProperty", "vocab": "urn:v"}], {"totalCount": 1, "distinctCount": 1}),
    ],
    ids=["texts", "booleans", "arrays by their size", "objects", "relationship", "vocab"],
)  # fmt: skip
def test_other_values_are_eligible_for_some(values: list[Any], expected: dict[str, Any]) -> None:
    """Each sort of value has the methods of Tables 4.5.19.1-1 to -3 and no others; equal objects count once."""
    assert rows(*values) == expected


def test_times_of_day_are_averaged_as_such() -> None:
    """The average of Times is a Time, that of dates and of what only looks like a Time does not exist."""
    times = [{"@type": "Time", "@value": text} for text in ("10:00:00Z", "11:00:00.500Z", "nonsense")]
    found = rows(*times)
    assert (found["avg"], found["min"]) == ("10:30:00.250Z", "10:00:00Z")
    assert "avg" not in rows({"@type": "Date", "@value": "2026-11-25"})


def test_what_no_number_can_hold_is_left_out() -> None:
    """A sum of squares beyond all floats has no row; the other methods do."""
    found = rows(1e300, 1e300)
    assert "sumsq" not in found
    assert found["max"] == 1e300


def test_periods_begin_with_the_range() -> None:
    """Periods are counted from the start of the query; those without instances have no row."""
    aggregation = Aggregation(["sum"], HOUR, start=START)
    for moment, value in ((START, 1), (START + HOUR - 1, 2), (START + 2 * HOUR, 4)):
        aggregation.add("a", prop(value), moment)
    found = aggregation.result()["a", None].rows["sum"]
    assert [row[0] for row in found] == [3, 4]
    assert [row[1:] for row in found] == [
        ["2026-11-18T11:00:00Z", "2026-11-18T12:00:00Z"],
        ["2026-11-18T13:00:00Z", "2026-11-18T14:00:00Z"],
    ]


def test_without_a_start_the_first_instance_is_the_start() -> None:
    """A query without timeAt begins with the first instance, and one period for all ends with the last."""
    aggregation = Aggregation(["totalCount"], 0)
    aggregation.add("a", prop(1), START + 1000)
    aggregation.add("a", prop(1), START + 5000)
    found = aggregation.result()["a", None].rows["totalCount"]
    assert found == [[2, "2026-11-18T11:00:01Z", "2026-11-18T11:00:05Z"]]


def test_datasets_are_apart_and_relationships_known() -> None:
    """Each datasetId of an attribute has its own aggregate, which tells whether it is a relationship."""
    aggregation = Aggregation(["totalCount"], 0)
    aggregation.add("a", prop(1), START)
    aggregation.add("a", prop(1, datasetId="urn:d"), START)
    aggregation.add("b", {"type": "Relationship", "object": "urn:x"}, START)
    found = aggregation.result()
    assert found.keys() == {("a", None), ("a", "urn:d"), ("b", None)}
    assert [found[key].relationship for key in found] == [False, False, True]
