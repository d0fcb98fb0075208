"""The scope query language (4.19)."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsunagu.broker.errors import BadRequestData, TooComplexQuery
from tsunagu.broker.query.ast import ScopePattern, ScopeSelection
from tsunagu.broker.query.scope import compile_scope, parse_scope

PARK = ScopePattern(("Madrid", "Gardens", "ParqueNorte"))


@pytest.mark.parametrize(
    ("text", "alternatives"),
    [
        ("/Madrid", ((ScopePattern(("Madrid",)),),)),
        ("/Madrid/Gardens/#", ((ScopePattern(("Madrid", "Gardens"), subtree=True),),)),
        ("/Madrid/+/ParqueNorte", ((ScopePattern(("Madrid", "+", "ParqueNorte")),),)),
        ("/#", ((ScopePattern((), subtree=True),),)),
        ("(/Madrid/Districts;/CompanyA)", ((ScopePattern(("Madrid", "Districts")), ScopePattern(("CompanyA",))),)),
        (
            "(/Madrid/Districts;/CompanyA)|CompanyB",
            ((ScopePattern(("Madrid", "Districts")), ScopePattern(("CompanyA",))), (ScopePattern(("CompanyB",)),)),
        ),
        ("/A,/B", ((ScopePattern(("A",)),), (ScopePattern(("B",)),))),
        ("/A;/B", ((ScopePattern(("A",)), ScopePattern(("B",))),)),
    ],
)
def test_examples_of_the_clause(text: str, alternatives: tuple[tuple[ScopePattern, ...], ...]) -> None:
    """The examples of 4.19 are read as the clause explains them."""
    assert parse_scope(text) == ScopeSelection(alternatives)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 1),
        ("/", 2),
        ("//A", 2),
        ("/A/", 4),
        ("/A|", 4),
        ("(/A", 4),
        ("/A)", 3),
        ("/#/A", 3),
        ("/9", 2),
        ("/A b", 3),
    ],
)
def test_malformed(text: str, position: int) -> None:
    """A malformed scope query is BadRequestData with the position."""
    with pytest.raises(BadRequestData, match=rf"^scopeQ: .* at position {position}\b"):
        parse_scope(text)


def test_too_deep() -> None:
    """The number of levels has a limit."""
    with pytest.raises(TooComplexQuery):
        parse_scope("/A" * 17)


@pytest.mark.parametrize(
    ("text", "scope", "meets"),
    [
        ("/Madrid/Gardens/#", "/Madrid/Gardens", True),
        ("/Madrid/Gardens/#", "/Madrid/Gardens/ParqueNorte/Parterre1", True),
        ("/Madrid/Gardens/#", "/Madrid/Gardens2", False),
        ("/Madrid", "Madrid", True),
        ("/Madrid", "/Madrid/Gardens", False),
        ("/+", "/Madrid", True),
        ("/+", "/Madrid/Gardens", False),
        ("/#", "/Madrid", True),
    ],
)
def test_one_scope(text: str, scope: str, *, meets: bool) -> None:
    """A pattern meets the scopes that the clause says, and a missing first slash changes nothing."""
    assert compile_scope(parse_scope(text))([scope]) is meets


def test_no_scope() -> None:
    """An entity without scope meets nothing, not even /#."""
    assert not compile_scope(parse_scope("/#"))([])


@given(st.text(st.sampled_from("/+#|,;()AB9_ "), max_size=16))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever the text, the outcome is a selection or an error of the 4xx kind."""
    with suppress(BadRequestData, TooComplexQuery):
        compile_scope(parse_scope(text))(["/A/B"])
