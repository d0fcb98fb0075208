"""Sets of characters as ranges."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tsunagu.broker.query.characters import ANY, CLASSES, SHORTHANDS, complement, contains, union

points = st.integers(0, 0x10FFFF)
ranges = st.lists(st.tuples(points, points).map(lambda pair: (min(pair), max(pair))), max_size=4).map(
    lambda some: union(tuple(some), ())
)
characters = points.map(chr)


@given(ranges, ranges, characters)
def test_union(left: tuple[tuple[int, int], ...], right: tuple[tuple[int, int], ...], character: str) -> None:
    """A union contains what either set contains."""
    assert contains(union(left, right), character) == (contains(left, character) or contains(right, character))


@given(ranges, characters)
def test_complement(some: tuple[tuple[int, int], ...], character: str) -> None:
    """A complement contains what the set does not, and the complement of a complement is the set."""
    assert contains(complement(some), character) != contains(some, character)
    assert complement(complement(some)) == some


@given(characters)
def test_everything(character: str) -> None:
    """Every character is in ANY, and in a shorthand or its opposite."""
    assert contains(ANY, character)
    for small in "dws":
        assert contains(SHORTHANDS[small], character) != contains(SHORTHANDS[small.upper()], character)


def test_posix_classes() -> None:
    """The POSIX classes are those of ASCII."""
    ascii_characters = [chr(point) for point in range(128)]
    expected = {
        "alpha": str.isalpha,
        "digit": str.isdigit,
        "alnum": str.isalnum,
        "upper": str.isupper,
        "lower": str.islower,
    }
    for name, holds in expected.items():
        assert [contains(CLASSES[name], one) for one in ascii_characters] == list(map(holds, ascii_characters))
    graph = [one for one in ascii_characters if one.isprintable() and one != " "]
    assert [one for one in ascii_characters if contains(CLASSES["graph"], one)] == graph
    assert [one for one in graph if contains(CLASSES["punct"], one)] == [one for one in graph if not one.isalnum()]
