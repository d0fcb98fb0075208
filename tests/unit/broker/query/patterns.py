"""Random regular expressions, of the syntax that the pattern parser reads."""

from __future__ import annotations

from hypothesis import strategies as st

ALPHABET = "ab1 -.\nあ"

characters = st.sampled_from(["a", "b", "1", " ", "-", r"\.", r"\-", "あ", ".", r"\d", r"\W", r"\s", r"\n", r"\S"])
brackets = st.sampled_from(
    ["[ab]", "[^a]", "[a-b1]", "[]a]", "[^]a]", "[a-]", r"[\d-]", "[[:alpha:]1]", "[^[:space:]]", r"[あ-ん]", r"[\w.]"]
)
anchors = st.sampled_from(["^", "$"])
repeats = st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,}", "*?", "{0}"])
atoms = st.one_of(characters, characters, brackets)


def extend(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    grouped = st.builds("({})".format, inner)
    return st.one_of(
        st.builds("{}{}".format, st.one_of(atoms, grouped), repeats),
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map("|".join),
        st.builds("(?:{})".format, inner),
    )


patterns = st.recursive(st.one_of(atoms, atoms, atoms, anchors, st.just("")), extend, max_leaves=6)
texts = st.text(st.sampled_from(ALPHABET), max_size=6)
