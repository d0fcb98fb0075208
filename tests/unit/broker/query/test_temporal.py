"""The temporal query language (4.11)."""

from __future__ import annotations

import pytest

from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.query.temporal import parse_temporal

START, END = "2017-12-13T14:20:00Z", "2017-12-13T14:40:00Z"
START_MS, END_MS = 1513174800000, 1513176000000


@pytest.mark.parametrize(
    ("timerel", "end", "inside", "outside"),
    [
        ("before", None, [START_MS - 1], [START_MS, START_MS + 1]),
        ("after", None, [START_MS, START_MS + 1], [START_MS - 1]),
        ("between", END, [START_MS, END_MS - 1], [START_MS - 1, END_MS]),
    ],
)
def test_bounds(timerel: str, end: str | None, inside: list[int], outside: list[int]) -> None:
    """The relation before excludes its bound, after includes it, between includes the lower and excludes the upper."""
    query = parse_temporal(timerel, START, end)
    assert all(map(query.includes, inside))
    assert not any(map(query.includes, outside))


@pytest.mark.parametrize(
    ("timeproperty", "member"),
    [(None, "o"), ("observedAt", "o"), ("createdAt", "c"), ("modifiedAt", "m"), ("deletedAt", "d")],
)
def test_properties(timeproperty: str | None, member: str) -> None:
    """The interval is on observedAt unless another temporal property is named."""
    assert parse_temporal("after", START, None, timeproperty).member == member


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("since", START), "timerel"),
        ((None, START), "timerel"),
        (("after", None), "timeAt"),
        (("after", "yesterday"), "timeAt"),
        (("after", "2017-12-13"), "timeAt"),
        (("after", START, END), "endTimeAt"),
        (("between", START), "endTimeAt"),
        (("between", END, START), "endTimeAt"),
        (("after", START, None, "temperature"), "timeproperty"),
        (("after", START, None, 5), "timeproperty"),
    ],
)
def test_malformed(arguments: tuple[object, ...], named: str) -> None:
    """What is missing or malformed is BadRequestData that names the parameter."""
    with pytest.raises(BadRequestData, match=rf"^{named}: "):
        parse_temporal(*arguments)
