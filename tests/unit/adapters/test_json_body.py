"""Reading JSON bodies: what is valid comes out as it is, a member that stands twice is no guess."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsunagu.adapters.errors import BadPayload
from tsunagu.adapters.json_body import NotJson, parse

TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=8) | st.sampled_from(
    ['":', '" :', "a", "\\", '"', "\n:"]
)
LEAF = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT
VALUE = st.recursive(LEAF, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4))


@given(VALUE, st.sampled_from([(",", ":"), (", ", " : "), (",\n", "\t:")]), st.booleans())
def test_valid_json_is_read_as_it_is(value: object, separators: tuple[str, str], escaped: bool) -> None:
    """However it is spaced, and whatever its texts look like."""
    assert parse(json.dumps(value, separators=separators, ensure_ascii=escaped).encode()) == value


@given(TEXT, LEAF, LEAF, st.sampled_from([":", " :", "\n:"]))
def test_a_member_that_stands_twice_is_refused(name: str, first: object, second: object, colon: str) -> None:
    """At any depth, in any spacing; which of the two is meant cannot be told."""
    member = json.dumps(name)
    twice = f'{{{member}:{json.dumps(first)},"other":1,{member}{colon}{json.dumps(second)}}}'
    for body in (twice, f'{{"other":[{twice}]}}'):
        if name != "other":
            with pytest.raises(BadPayload, match="twice"):
                parse(body.encode())


@pytest.mark.parametrize("body", [b"", b" ", b"{", b"{}x", b"NaN", b"\xff", b"[" * 2000])
def test_what_is_no_json_is_told_apart_from_json_that_is_wrong(body: bytes) -> None:
    """Formats whose values may be any text rely on it."""
    with pytest.raises(NotJson):
        parse(body)


def test_a_byte_order_mark_is_passed_over() -> None:
    """Some devices write one."""
    assert parse(b'\xef\xbb\xbf{"a":1}') == {"a": 1}


def test_what_is_nested_too_deeply_to_look_through_is_refused() -> None:
    """It is no fault of ours."""
    with pytest.raises(BadPayload, match="deeply"):
        parse(b'{"a" :1,"b":' + b"[" * 1000 + b"]" * 1000 + b"}")
