"""The automaton of a regular expression; that it finds what Python's re finds is in test_pattern.py."""

from __future__ import annotations

import pytest

from tsunagu.broker.query import automaton
from tsunagu.broker.query.automaton import Automaton
from tsunagu.broker.query.characters import ANY
from tsunagu.broker.query.regex_tree import Anchor, Characters, Choice, Node, Repeat, Sequence

A, B = Characters(((97, 97),)), Characters(((98, 98),))


@pytest.mark.parametrize(
    ("tree", "yes", "no"),
    [
        (Sequence(()), ["", "a"], []),
        (A, ["a", "ba"], ["", "b"]),
        (Sequence((Anchor(start=True), A, Anchor(start=False))), ["a"], ["", "aa", "ba"]),
        (Choice((Sequence((A, B)), Sequence((B, A)))), ["ab", "ba", "aab"], ["aa", ""]),
        (Sequence((Anchor(start=True), Repeat(A, 2, 3), Anchor(start=False))), ["aa", "aaa"], ["a", "aaaa"]),
        (
            Sequence((Anchor(start=True), Repeat(Choice((A, Sequence(()))), 0, None), Anchor(start=False))),
            ["", "aaa"],
            ["b"],
        ),
        (
            Sequence((B, Repeat(Characters(ANY), 0, None), Anchor(start=False), Anchor(start=False))),
            ["b", "ab水"],
            ["a"],
        ),
        (Sequence((A, Anchor(start=True))), [], ["a", "aa"]),
    ],
)
def test_search(tree: Node, yes: list[str], no: list[str]) -> None:
    """A text is found if a part of it is in the language of the tree."""
    search = Automaton(tree).search
    assert all(map(search, yes))
    assert not any(map(search, no))


def test_forgetting(monkeypatch: pytest.MonkeyPatch) -> None:
    """An automaton that keeps no more than a few moves gives the same answers."""
    monkeypatch.setattr(automaton, "MAX_MOVES", 2)
    search = Automaton(Sequence((A, B, A, B))).search
    assert [search(text) for text in ("abab", "aababb", "abba", "xabyabab")] == [True, True, False, True]
