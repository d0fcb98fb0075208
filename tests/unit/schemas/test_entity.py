"""The stored names of attributes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsunagu.schemas.entity import ABBREVIATIONS, CORE_NAMESPACE, DEFAULT_VOCAB, DOT, iri_of, stored_name
from tsunagu.schemas.ids import is_uri
from tsunagu.schemas.kinds import MEMBERS

uris = st.from_regex(r"[a-z]{1,4}:[A-Za-z0-9.\-_~=+/#:]{1,20}", fullmatch=True)
iris = uris | st.builds(lambda start, rest: start + rest, st.sampled_from([start for _, start in ABBREVIATIONS]), uris)


@given(iris)
def test_a_stored_name_leads_back_to_its_iri(iri: str) -> None:
    """Whatever the IRI: no dot in its stored name, no leading $, and the way back gives it again."""
    name = stored_name(iri)
    assert "." not in name
    assert not name.startswith("$")
    assert iri_of(name) == iri


@given(iris, iris)
def test_different_iris_have_different_stored_names(one: str, other: str) -> None:
    """No two attributes share a stored name, and none is a member of an instance."""
    assert (stored_name(one) == stored_name(other)) == (one == other)
    assert stored_name(one) not in MEMBERS


@pytest.mark.parametrize(
    ("iri", "name"),
    [
        (DEFAULT_VOCAB + "waterLevel", "~waterLevel"),
        (CORE_NAMESPACE + "location", "=location"),
        ("https://smartdatamodels.org/dataModel.Water/flow", "+dataModel^Water/flow"),
        ("https://example.org/a.b", "https://example^org/a^b"),
        ("urn:x:y", "urn:x:y"),
    ],
)
def test_names_are_stored_like_this_for_ever(iri: str, name: str) -> None:
    """Data is stored under these names: another form would not find it."""
    assert stored_name(iri) == name


def test_no_uri_has_what_stands_for_something_else() -> None:
    """The sign for a dot stands nowhere in a URI, and no mark begins one: so every stored name can be read."""
    assert is_uri("http://example.org/a")
    assert not is_uri(f"http://example{DOT}org/a")
    assert not any(is_uri(mark + "a:b") for mark, _ in ABBREVIATIONS)
