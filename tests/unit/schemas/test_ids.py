"""URIs, names and scopes."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsunagu.schemas.ids import MAX_LENGTH, is_name, is_scope, is_uri


@pytest.mark.parametrize(
    "text",
    [
        "urn:ngsi-ld:Vehicle:A4567",
        "http://example.org/a?b=c#d",
        "https://[2001:db8::1]:8080/x",
        "urn:ngsi-ld:Ciudad:París",
        "urn:ngsi-ld:川:江戸川",
        "a:b",
        "urn:ngsi-ld:x%20y",
        "mailto:someone@example.org",
    ],
)
def test_a_uri_or_iri_is_recognised(text):
    """3.1: an id is an absolute URI, or an IRI with the characters of other languages."""
    assert is_uri(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "invalidUri",
        ":x",
        "urn:",
        "1a:b",
        "urn:a b",
        "urn:a<b",
        'urn:a"b',
        "urn:a%2",
        "urn:a\\b",
        "urn:a\n",
        "urn:{a}",
    ],
)
def test_what_is_no_uri_is_refused(text):
    """A missing scheme, blanks, markup and broken percent-encoding make no URI."""
    assert not is_uri(text)


@pytest.mark.parametrize("value", [None, 5, ["urn:a:b"], {}, b"urn:a:b"])
def test_only_strings_are_uris(value):
    """A value of another type is no URI."""
    assert not is_uri(value)


@pytest.mark.parametrize(
    "point",
    [
        0x202E,
        0x200B,
        0xFEFF,
        0x2028,
        0xA0,
        0xFE0F,
        0xE0100,
        0xFDD0,
        0xFFFE,
        0x115F,
        0x3164,
        0xFFA0,
        0x2800,
        0xAD,
        0xE000,
    ],
)
def test_a_character_that_nobody_sees_is_refused(point):
    """451_02: an id with an invisible or unassigned character could not be read back by someone who types it."""
    assert not is_uri(f"urn:ngsi-ld:Vehicle:A{chr(point)}B")


def test_a_uri_has_a_greatest_length():
    """Ids beyond MAX_LENGTH characters are refused."""
    assert not is_uri("urn:" + "a" * MAX_LENGTH)


@given(st.text(min_size=1, max_size=8))
def test_a_name_is_a_letter_and_letters_numbers_and_underscores(text):
    """4.6.2: exactly the grammar name = unicodeLetter *(unicodeNumber / unicodeLetter / "_")."""
    categories = [unicodedata.category(character)[0] for character in text]
    letters = categories[0] == "L"
    rest = all(category in "LN" or character == "_" for category, character in zip(categories, text, strict=True))
    assert is_name(text) == (letters and rest)


@pytest.mark.parametrize("text", ["", "9Vehicle", "_a", "my attr", "a-b", "a.b", "a:b", "a\n", "@type"])
def test_what_is_no_name_is_refused(text):
    """4.6.2: names start with a letter and have neither blanks nor signs."""
    assert not is_name(text)


@pytest.mark.parametrize(
    "text", ["/Madrid", "Madrid", "/Madrid/Gardens/ParqueNorte", "/CompanyA/Unit_C", "/東京/港区", "/A1"]
)
def test_the_scopes_of_the_clause_are_recognised(text):
    """4.18: levels of letters, numbers and underscores, with or without a leading slash."""
    assert is_scope(text)


@pytest.mark.parametrize("text", ["", "/", "9bad", "/a//b", "/a/", "a-b", "//a", "urn:ngsi-ld:null", None, ["/a"], 4])
def test_what_is_no_scope_is_refused(text):
    """4.18: empty levels, levels that start with a digit, and other signs make no scope."""
    assert not is_scope(text)
