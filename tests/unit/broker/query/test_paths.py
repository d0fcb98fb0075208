"""Attribute paths (4.9, 4.23)."""

from __future__ import annotations

import pytest

from tests.unit.broker.query.texts import LETTERS, path
from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.query.ast import Path
from tsunagu.broker.query.paths import take_path
from tsunagu.broker.query.scanner import Scanner


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", path("a")),
        ("a.b.c", path("a", "b", "c")),
        ("a[b.c]", path("a", keys=("b", "c"))),
        ("a[*]", path("a", keys=("*",))),
        ("a[en-GB]", path("a", keys=("en-GB",))),
        ("a[@none]", path("a", keys=("@none",))),
        ("a.b[c]", path("a", "b", keys=("c",))),
        ("p:a.b", path("p:a", "b")),
        ("id", path(member="id")),
        ("createdAt", path(member="created")),
        ("modifiedAt", path(member="modified")),
        ("expiresAt", path(member="expires")),
        ("observedAt", path("observedAt")),
        ("a.observedAt", path("a", member="o")),
        ("a.b.modifiedAt", path("a", "b", member="m")),
        ("a.unitCode", path("a", member="unitCode")),
        ("a.datasetId", path("a", member="datasetId")),
        ("a.observedAt.b", path("a", "observedAt", "b")),
        ("id.a", path("id", "a")),
    ],
)
def test_paths(text: str, expected: Path) -> None:
    """Paths lead to attributes, sub-attributes, members of values, and members of entities and attributes."""
    scanner = Scanner(text, "q")
    assert take_path(scanner, LETTERS) == expected
    assert scanner.done()


def test_end() -> None:
    """A path ends before two dots, which stand between the bounds of a range."""
    scanner = Scanner("a..b", "q")
    assert take_path(scanner, LETTERS) == path("a")
    assert scanner.peek(2) == ".."


@pytest.mark.parametrize(
    "text", ["", ".a", "a.", "a.1", "_a", "a[", "a[]", "a[b", "a[b.]", "a[1]", "a[*.b]", "p:q:a", "id[a]"]
)
def test_malformed(text: str) -> None:
    """What is no path is BadRequestData."""
    with pytest.raises(BadRequestData, match=r"^orderBy: .* at position "):
        take_path(Scanner(text, "orderBy"), LETTERS)


def test_no_prefix() -> None:
    """Where ":" has another meaning, a name has no prefix."""
    scanner = Scanner("a:b", "q")
    assert take_path(scanner, LETTERS, prefix=False) == path("a")
