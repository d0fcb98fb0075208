"""Entity type selection, ids and selectors (4.17, 5.2.33)."""

from __future__ import annotations

import pytest

from tests.unit.broker.query.texts import LETTERS
from tsunagu.broker.errors import BadRequestData, TooComplexQuery
from tsunagu.broker.query.ast import EntitySelector, TypeSelection
from tsunagu.broker.query.pattern import parse_pattern
from tsunagu.broker.query.types import MAX_IDS, parse_ids, parse_selector, parse_types


@pytest.mark.parametrize(
    ("text", "alternatives"),
    [
        ("Building", (("x:Building",),)),
        ("Building|House", (("x:Building",), ("x:House",))),
        ("Building,House", (("x:Building",), ("x:House",))),
        ("(Home;Vehicle)", (("x:Home", "x:Vehicle"),)),
        ("(Home;Vehicle)|Motorhome", (("x:Home", "x:Vehicle"), ("x:Motorhome",))),
        ("(Home;Vehicle),Motorhome", (("x:Home", "x:Vehicle"), ("x:Motorhome",))),
        ("Home;Vehicle", (("x:Home", "x:Vehicle"),)),
        ("(A|B),C", (("x:A",), ("x:B",), ("x:C",))),
        ("A|A", (("x:A",),)),
        ("https://example.org/a#B", (("x:https://example.org/a#B",),)),
        ("ngsi:B", (("x:ngsi:B",),)),
        ("水位計", (("x:水位計",),)),
    ],
)
def test_selections(text: str, alternatives: tuple[tuple[str, ...], ...]) -> None:
    """Selections are read as alternatives of conjunctions; "," and "|" are the same."""
    assert parse_types(text, LETTERS) == TypeSelection(alternatives)


def test_every_type() -> None:
    """An asterisk selects every type."""
    assert parse_types("*", LETTERS) is None


@pytest.mark.parametrize(
    ("text", "position"),
    [("", 1), ("A|", 3), ("(A", 3), ("A)", 2), ("(A|B;C)", 5), ("9A", 1), ("A B", 2), ("A,,B", 3), ("a-b", 1)],
)
def test_malformed_selections(text: str, position: int) -> None:
    """A malformed selection is BadRequestData with the position."""
    with pytest.raises(BadRequestData, match=rf"^type: .* at position {position}\b"):
        parse_types(text, LETTERS)


def test_too_many_types() -> None:
    """The number of types has a limit."""
    with pytest.raises(TooComplexQuery):
        parse_types(",".join(["A"] * 1001), LETTERS)


def test_ids() -> None:
    """Ids are URIs, each once."""
    assert parse_ids(["urn:a:1", "urn:a:2", "urn:a:1"]) == ("urn:a:1", "urn:a:2")


@pytest.mark.parametrize("ids", [[], ["nouri"], [5], ["urn:a:1", None], ["urn:a:1"] * (MAX_IDS + 1)])
def test_wrong_ids(ids: list[object]) -> None:
    """No ids, too many, or what is no URI, are BadRequestData."""
    with pytest.raises(BadRequestData, match=r"^id: "):
        parse_ids(ids)


def test_selector() -> None:
    """A selector has types and perhaps ids or a pattern of ids."""
    assert parse_selector({"type": "A", "idPattern": "^urn"}, LETTERS) == EntitySelector(
        TypeSelection((("x:A",),)), None, parse_pattern("^urn")
    )
    assert parse_selector({"type": "*", "id": ["urn:a:1", "urn:a:2"]}, LETTERS) == EntitySelector(
        None, ("urn:a:1", "urn:a:2")
    )


def test_id_precedes_pattern() -> None:
    """In a selector, id takes precedence over idPattern (5.2.33)."""
    assert parse_selector({"type": "*", "id": "urn:a:1", "idPattern": "b"}, LETTERS) == EntitySelector(
        None, ("urn:a:1",)
    )


@pytest.mark.parametrize(
    ("selector", "named"),
    [
        ("A", "entities"),
        ({}, "type"),
        ({"type": 5}, "entities.type"),
        ({"type": "A", "id": "x"}, "entities.id"),
        ({"type": "A", "id": []}, "entities.id"),
        ({"type": "A", "idPattern": "a**"}, "entities.idPattern"),
        ({"type": "A", "idPattern": 5}, "entities.idPattern"),
        ({"type": "A", "ids": "urn:a:1"}, "'ids'"),
    ],
)
def test_wrong_selectors(selector: object, named: str) -> None:
    """A wrong selector is BadRequestData that names the member."""
    with pytest.raises(BadRequestData, match=named):
        parse_selector(selector, LETTERS)
