"""Values in terms of q (4.9)."""

from __future__ import annotations

import pytest

from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.query.ast import Moment, Value
from tsunagu.broker.query.scanner import Scanner
from tsunagu.broker.query.values import take_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("20", 20),
        ("-0.5e2", -50.0),
        ("4..5", 4),
        ("9223372036854775808", 2.0**63),
        ('"red"', "red"),
        ('"a\\"b\\u6c34"', 'a"b水'),
        ('"2026-07-18"', "2026-07-18"),
        ("2026-07-18", Moment("Date", "2026-07-18", 1784332800000)),
        ("10:00:00,5Z..11:00:00Z", Moment("Time", "10:00:00.5", None)),
        ("true", True),
        ("false;a", False),
        ("truest", "truest"),
        ("urn:a:b;c", "urn:a:b"),
        ("https://example.org/a?b=c#d)", "https://example.org/a?b=c#d"),
        ("commercial", "commercial"),
        ("2026", 2026),
        ("12a", "12a"),
        (' "x"', "x"),
    ],
)
def test_values(text: str, value: Value) -> None:
    """A value is what it looks like; a word without quotes that looks like nothing else is text."""
    taken = take_value(Scanner(text, "q"), uri=True)
    assert (type(taken), taken) == (type(value), value)


@pytest.mark.parametrize(
    "text",
    ["true", "urn:a:b", "word", "", ")", '"a', '"\\q"', '"\\ud800"', '"\\u0000"', "1e999", "2026-13-01", "24:00:01Z"],
)
def test_refused(text: str) -> None:
    """What is no number, string in quotes or moment cannot be compared by order."""
    with pytest.raises(BadRequestData, match=r"^q: .* at position 1, "):
        take_value(Scanner(text, "q"), uri=False)
