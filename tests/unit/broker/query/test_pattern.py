"""Regular expressions in queries (4.9)."""

from __future__ import annotations

import re
import time
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.broker.query.patterns import patterns, texts
from tsunagu.broker.errors import BadRequestData, TooComplexQuery
from tsunagu.broker.query.pattern import parse_pattern


def python_form(pcre: str) -> str:
    """Return the expression as Python's re reads it."""
    return re.sub(r"\\x\{([0-9a-f]+)\}", lambda found: re.escape(chr(int(found[1], 16))), pcre).replace(r"\z", r"\Z")


@given(patterns, st.lists(texts, min_size=1, max_size=8))
@example("$^", ["", "a"])
@example("(a|^b)$", ["ab", "b", "ba"])
@example("a{0}", ["", "b"])
def test_search_finds_what_re_finds(source: str, candidates: list[str]) -> None:
    """Our search and Python's give the same answer on the dialect that MongoDB gets."""
    pattern = parse_pattern(source)
    oracle = re.compile(python_form(pattern.pcre), re.ASCII)
    for text in candidates:
        assert pattern.search(text) == (oracle.search(text) is not None), (pattern.pcre, text)


@pytest.mark.parametrize(
    ("source", "pcre"),
    [
        ("^Eiffel", "^Eiffel"),
        ("urn:ngsi-ld:Building:.*", "urn:ngsi-ld:Building:"),
        ("^urn:x:.*$", r"^urn:x:[\s\S]*\z"),
        (".*coll.*", "coll"),
        ("a.b", r"a[\s\S]b"),
        (r"\d{2,}", r"[\x{30}-\x{39}]{2,}"),
        ("(a|b)?c", "(?:(?:a|b))?c"),
        ("水+", "水+"),
        ("a{b".replace("{", r"\{"), r"a\{b"),
    ],
)
def test_dialect_of_mongodb(source: str, pcre: str) -> None:
    """MongoDB gets the same language; a plain prefix stays plain, so that an index serves it."""
    assert parse_pattern(source).pcre == pcre


@pytest.mark.parametrize(
    ("source", "position"),
    [
        ("invalid**", 9),
        ("*a", 1),
        ("a|+", 3),
        ("(a", 1),
        ("a)", 2),
        ("[a", 1),
        ("[b-a]", 2),
        ("[[:letter:]]", 2),
        ("[[.a.]]", 2),
        ("a{2,1}", 2),
        ("a{256}", 2),
        ("a{x}", 2),
        ("(?=a)", 1),
        ("(?i)a", 1),
        (r"(a)\1", 4),
        (r"\bword", 1),
        ("a\\", 2),
        ("^*", 1),
    ],
)
def test_refused(source: str, position: int) -> None:
    """What is no extended regular expression is BadRequestData with the position."""
    with pytest.raises(BadRequestData, match=rf"^idPattern: .* at position {position} of"):
        parse_pattern(source)


@pytest.mark.parametrize("source", ["a" * 513, "(a{255}){255}", "(" * 17 + "a" + ")" * 17])
def test_too_large(source: str) -> None:
    """Length, size once repeated, and nesting have limits."""
    with pytest.raises(TooComplexQuery):
        parse_pattern(source)


@given(st.text(st.sampled_from(r"ab()[]{}|*+?^$\.:-,01dwb"), max_size=16))
def test_any_text_is_read_or_refused(source: str) -> None:
    """Whatever the text, the outcome is a pattern that can search or an error of the 4xx kind."""
    with suppress(BadRequestData, TooComplexQuery):
        parse_pattern(source).search("ab01")


@pytest.mark.parametrize("source", ["(a+)+$", "(a|a)*b", "a*a*a*a*a*b", "(a|b|ab)*c", ".*.*.*.*x"])
def test_no_pattern_is_slow(source: str) -> None:
    """Expressions that make a backtracking search run for ages take time linear in the text."""
    search = parse_pattern(source).search
    started = time.process_time()
    search("a" * 20_000 + "!")
    assert time.process_time() - started < 1.0


def test_many_different_characters() -> None:
    """The memory of a search is bounded: after many moves it forgets them and still answers right."""
    search = parse_pattern("^[^x]*x[0-9]$").search
    text = "".join(chr(0x4E00 + number) for number in range(15_000))
    assert search(f"{text}x7")
    assert not search(f"{text}y7")


def test_patterns_are_equal_by_source() -> None:
    """Patterns of the same source are equal, so that trees are."""
    assert parse_pattern("^a+") == parse_pattern("^a+")
    assert hash(parse_pattern("^a+")) == hash(parse_pattern("^a+"))
