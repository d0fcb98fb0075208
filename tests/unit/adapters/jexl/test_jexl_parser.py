"""Parsing and evaluating JEXL expressions."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsunagu.adapters.errors import BadExpression
from tsunagu.adapters.jexl import compile_expression

CONTEXT = {
    "a": 2,
    "b": 3.5,
    "text": "river",
    "number": "12.5",
    "none": None,
    "yes": True,
    "list": [1, 2, 3],
    "object": {"inner": {"deep": 7}, "rows": [{"rssi": -90}, {"rssi": -60}]},
}

CASES = [
    ("a + b", 5.5),
    ("a + b * 2", 9),
    ("(a + b) * 2", 11),
    ("0.1 + 0.2", 0.3),
    ("4.85 - 1240 / 1000", 3.61),
    ("7 // 2", 3),
    ("7 % 4", 3),
    ("2 ^ 10", 1024),
    ("10 - 2 - 3", 5),
    ("-a", -2),
    ("-a + 5", 3),
    ("!yes", False),
    ("a > 1 && b > 3", True),
    ("a > 5 || text", "river"),
    ("a == '2'", True),
    ("a != 2", False),
    ("text == 'river'", True),
    ("'x' + a", "x2"),
    ("a + '1'", "21"),
    ("number * 2", 25),
    ("text * 2", None),
    ("missing + 1", None),
    ("none * 3", None),
    ("1 / 0", None),
    ("missing", None),
    ("missing == null", True),
    ("missing ?: 5", 5),
    ("a ?: 5", 2),
    ("a > 1 ? 'high' : 'low'", "high"),
    ("a > 1 ? b > 9 ? 'x' : 'y' : 'z'", "y"),
    ("2 in list", True),
    ("'iv' in text", True),
    ("object.inner.deep", 7),
    ("object['inner'].deep", 7),
    ("object.missing.deep", None),
    ("list[1]", 2),
    ("list[9]", None),
    ("object.rows[.rssi > -80][0].rssi", -60),
    ("object.rows.rssi", -90),
    ("[a, b, 'c']", [2, 3.5, "c"]),
    ("{x: a, 'y z': [1]}", {"x": 2, "y z": [1]}),
    ("b|floor", 3),
    ("a * b|floor", 6),
    ("(a * b)|tofixed(2)", "7.00"),
    ("text|touppercase|length", 5),
    ("'it\\'s'", "it's"),
    ("true ? 1 : 2", 1),
    ("1e3", 1000),
    ("水位 + 1", None),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_an_expression_gives_what_javascript_would(text: str, expected: object) -> None:
    """The value is that of the reference, null for what is NaN or undefined there."""
    assert compile_expression(text).evaluate(CONTEXT) == expected


@pytest.mark.parametrize(
    "text",
    ["", "a +", "(a", "a b", "a|nothing", "a ? b", "[1, 2", "{a 1}", "#", "a..b", "'open", "a|round(", "1 +* 2", "]"],
)
def test_a_malformed_expression_is_refused_with_its_position(text: str) -> None:
    """The error names the expression and where it breaks."""
    with pytest.raises(BadExpression, match="position"):
        compile_expression(text)


def test_an_expression_without_end_is_refused() -> None:
    """An expression of unreasonable length or nesting is refused, not computed."""
    with pytest.raises(BadExpression, match="at most"):
        compile_expression("1" * 3000)
    with pytest.raises(BadExpression, match="nesting"):
        compile_expression("(" * 100 + "1" + ")" * 100)
    with pytest.raises(BadExpression, match="nesting"):
        compile_expression("!" * 1000 + "a")


def test_an_expression_knows_the_names_it_reads() -> None:
    """The names are those of variables, not of members, transforms or literals."""
    assert compile_expression("a.b + c|round ? true : 'd'").names == {"a", "c"}


@pytest.mark.parametrize(
    ("text", "sure"),
    [
        ("wl / 100", True),
        ("referenceHeight - Distance / 1000", True),
        ("wl|replacestr('cm','')|parsefloat / 100", True),
        ("-(a + 1)", True),
        ("a ? b : c", False),
        ("a ?: b", False),
        ("a && b", False),
        ("a || 0", False),
        ("a.b + 1", False),
        ("a[0]", False),
        ("a|mapper([1,2],['x','y'])", False),
        ("a + null", False),
    ],
)
def test_an_expression_without_a_choice_is_sure_to_have_a_value(text: str, sure: bool) -> None:
    """Where its names have values; so that its having none can be told as an error."""
    assert compile_expression(text).sure is sure


def test_big_powers_stay_small() -> None:
    """A tower of powers gives null and takes no memory."""
    assert compile_expression("9 ^ 9 ^ 9 ^ 9").evaluate({}) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from([text for text, _ in CASES]), VALUES, VALUES)
def test_no_value_makes_an_expression_fail_otherwise_than_by_its_own_error(
    text: str, one: object, other: object
) -> None:
    """Whatever a device sends, an expression gives a value or BadExpression."""
    expression = compile_expression(text)
    context = {"a": one, "b": other, "text": one, "list": other, "object": one, "number": other}
    with suppress(BadExpression):
        expression.evaluate(context)


@given(st.text(alphabet="ab12+-*/|().[]{}?:'\"&!<>=, ", max_size=30))
def test_no_text_makes_the_parser_fail_otherwise_than_by_its_own_error(text: str) -> None:
    """Any text is an expression or a BadExpression."""
    with suppress(BadExpression):
        compile_expression(text)
