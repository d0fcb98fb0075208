"""The cursor over the text of a query."""

from __future__ import annotations

import pytest

from tsunagu.broker.errors import BadRequestData, TooComplexQuery
from tsunagu.broker.query.scanner import MAX_DEPTH, MAX_LENGTH, MAX_TERMS, Scanner


def test_failures_say_where_and_what() -> None:
    """A failure names the parameter, what is expected, the position and what stands there."""
    scanner = Scanner("a;b", "scopeQ")
    scanner.take("a")
    with pytest.raises(BadRequestData, match=r"^scopeQ: a slash expected at position 2, not ';b'$"):
        scanner.fail("a slash")
    with pytest.raises(BadRequestData, match=r"but the text ends$"):
        scanner.fail("a slash", at=3)


@pytest.mark.parametrize("text", [None, 5, ["a"], "a\x00", "a\ud800"])
def test_what_is_no_text(text: object) -> None:
    """What is no text, and what cannot be stored as text, is BadRequestData."""
    with pytest.raises(BadRequestData, match=r"^q: "):
        Scanner(text, "q")


def test_limits() -> None:
    """Length, number of terms and depth have limits."""
    with pytest.raises(TooComplexQuery):
        Scanner("a" * (MAX_LENGTH + 1), "q")
    scanner = Scanner("a", "q")
    for _ in range(MAX_TERMS):
        scanner.count_term()
    with pytest.raises(TooComplexQuery):
        scanner.count_term()
    scanner.check_depth(MAX_DEPTH)
    with pytest.raises(TooComplexQuery):
        scanner.check_depth(MAX_DEPTH + 1)


@pytest.mark.parametrize(("text", "name"), [("ab_1.c", "ab_1"), ("水位", "水位"), ("p:a=", "p:a"), ("a:=", "a")])
def test_names(text: str, name: str) -> None:
    """A name starts with a letter and may have a prefix."""
    assert Scanner(text, "q").name("a name") == name
