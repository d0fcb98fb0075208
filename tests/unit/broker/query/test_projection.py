"""The attribute projection language of pick and omit (4.21)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.broker.query.texts import LETTERS
from tsunagu.broker.errors import BadRequestData, TooComplexQuery
from tsunagu.broker.query.projection import parse_attributes, parse_projection, projection_depth


@pytest.mark.parametrize(
    ("text", "projection"),
    [
        ("temperature", {"x:temperature": None}),
        ("temperature,humidity", {"x:temperature": None, "x:humidity": None}),
        ("temperature|humidity", {"x:temperature": None, "x:humidity": None}),
        ("observation{temperature,humidity}", {"x:observation": {"x:temperature": None, "x:humidity": None}}),
        ("id,a{b{c}|id},type", {"id": None, "x:a": {"x:b": {"x:c": None}, "id": None}, "type": None}),
        ("scope,createdAt", {"scope": None, "createdAt": None}),
        ("https://example.org/a#b,p:c", {"x:https://example.org/a#b": None, "x:p:c": None}),
    ],
)
def test_projections(text: str, projection: dict[str, Any]) -> None:
    """Names separated by "," or "|", with those of linked entities in braces; core members keep their names."""
    assert parse_projection(text, LETTERS) == projection


def test_a_list_of_names() -> None:
    """JSON bodies give the names as a list."""
    assert parse_projection(["id", "a{b}"], LETTERS, parameter="omit") == {"id": None, "x:a": {"x:b": None}}


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 1),
        ("id;name", 1),
        ("id,locatedAt{name", 18),
        ("id,locatedAt{{name}", 14),
        ("id,,name", 4),
        ("id,locatedAt{,name}", 14),
        ("id,locatedAt{}", 14),
        ("a||b", 3),
        ("a}", 2),
        ("a,a", 3),
        ("id{a}", 1),
        ("9a", 1),
    ],
)
def test_malformed(text: str, position: int) -> None:
    """A malformed projection is BadRequestData with the position."""
    with pytest.raises(BadRequestData, match=rf"^pick: .* at position {position}\b"):
        parse_projection(text, LETTERS)


@pytest.mark.parametrize("value", [5, None, [], ["a", 5], [""]])
def test_wrong_types(value: object) -> None:
    """What is neither a text nor a list of texts is BadRequestData."""
    with pytest.raises(BadRequestData, match=r"^pick: "):
        parse_projection(value, LETTERS)


def test_depth() -> None:
    """The depth of a projection is the number of Relationships that it follows."""
    assert projection_depth(parse_projection("a,b", LETTERS)) == 0
    assert projection_depth(parse_projection("a,b{c{d}}", LETTERS)) == 2


def test_attributes() -> None:
    """A list of attributes becomes stored names, each once."""
    assert parse_attributes(["a", "p:b", "https://example.org/c", "a"], LETTERS) == (
        "x:a",
        "x:p:b",
        "x:https://example.org/c",
    )


@pytest.mark.parametrize("names", [[], ["id"], ["type"], ["scope"], ["@context"], [""], ["a b"], [5]])
def test_wrong_attributes(names: list[object]) -> None:
    """Core members and what is no name are BadRequestData."""
    with pytest.raises(BadRequestData, match=r"^attrs: "):
        parse_attributes(names, LETTERS)


@given(st.text(st.sampled_from("ab{}|,: "), max_size=16))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever the text, the outcome is a projection or an error of the 4xx kind."""
    with suppress(BadRequestData, TooComplexQuery):
        parse_projection(text, LETTERS)
