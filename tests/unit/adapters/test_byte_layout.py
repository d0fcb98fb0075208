"""Reading bytes by a layout."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsunagu.adapters.byte_layout import compile_layout
from tsunagu.adapters.errors import BadMeasure, BadPayload


@pytest.mark.parametrize(
    ("layout", "payload", "expected"),
    [
        ("level:0:uint:16", "0bcd", {"level": 3021}),
        ("level::uint:16 battery::uint:8", "0bcd5a", {"level": 3021, "battery": 90}),
        ("t:0:int:16", "ff9c", {"t": -100}),
        ("t:0:int:16:little-endian", "9cff", {"t": -100}),
        ("f:0:float:32", "3fc00000", {"f": 1.5}),
        ("f:0:float:32:little-endian", "0000c03f", {"f": 1.5}),
        ("name:0:char:4", "61620000", {"name": "ab"}),
        ("high:0:bool:7 low:0:bool:0 n:0:uint:8", "81", {"high": True, "low": True, "n": 129}),
        ("a:2:uint:8 b:0:uint:8", "010203", {"a": 3, "b": 1}),
    ],
)
def test_fields_are_read_where_the_layout_says(layout: str, payload: str, expected: object) -> None:
    """The grammar is that of Sigfox."""
    assert compile_layout(layout)(bytes.fromhex(payload))[0].values == expected


@pytest.mark.parametrize(
    "layout",
    [
        "",
        "level",
        "level:0:uint",
        "level:0:uint:12",
        "level:x:uint:8",
        ":0:uint:8",
        "a:0:uint:8:big",
        "a:0:bool:9",
        "a:0:date:8",
    ],
)
def test_a_layout_that_cannot_be_is_refused(layout: str) -> None:
    """The error names the field."""
    with pytest.raises(BadMeasure, match="layout"):
        compile_layout(layout)


def test_a_short_payload_is_refused() -> None:
    """The error names the field that is cut off."""
    with pytest.raises(BadPayload, match="level"):
        compile_layout("level:0:uint:16")(b"\x01")


@given(st.binary(max_size=12))
def test_no_bytes_make_a_layout_fail_otherwise(payload: bytes) -> None:
    """Any bytes are values or a BadPayload."""
    read = compile_layout("a::uint:8 b::int:16 c::float:32 d::bool:3 e::char:2")
    if len(payload) >= 9:
        assert set(read(payload)[0].values) == set("abcde")
    else:
        with pytest.raises(BadPayload):
            read(payload)
