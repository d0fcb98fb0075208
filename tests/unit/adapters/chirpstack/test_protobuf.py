"""ChirpStack's Protobuf form; the recording protobuf.json has bytes that Google's own library wrote."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsunagu.adapters.chirpstack.protobuf import EVENTS, read_event, structure
from tsunagu.adapters.errors import DeviceError

KEYS = st.text(max_size=8)
LEAVES = (
    st.none()
    | st.booleans()
    | st.text(max_size=8)
    | st.integers(-(2**50), 2**50)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not x.is_integer())
)
OBJECTS = st.dictionaries(
    KEYS,
    st.recursive(
        LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
    ),
    max_size=4,
)


def varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes((number & 0x7F | 0x80,))
        number >>= 7
    return out + bytes((number,))


def part(number: int, body: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(body)) + body


def written(value: Any) -> bytes:
    """Write a google.protobuf.Value."""
    if value is None:
        return b"\x08\x00"
    if isinstance(value, bool):
        return b"\x20" + bytes((value,))
    if isinstance(value, int | float):
        return b"\x11" + struct.pack("<d", value)
    if isinstance(value, str):
        return part(3, value.encode())
    if isinstance(value, list):
        return part(6, b"".join(part(1, written(one)) for one in value))
    return part(5, struct_of(value))


def struct_of(members: dict[str, Any]) -> bytes:
    return b"".join(part(1, part(1, key.encode()) + part(2, written(value))) for key, value in members.items())


@given(OBJECTS)
def test_a_codecs_object_comes_out_as_it_went_in(members: dict[str, Any]) -> None:
    """Whole numbers as such, nested lists and objects with their order."""
    assert structure(struct_of(members)) == members


@given(st.binary(max_size=60), st.sampled_from(sorted(EVENTS)))
def test_any_bytes_are_read_or_refused(body: bytes, kind: str) -> None:
    """Never anything else than a DeviceError."""
    try:
        found = read_event(kind, body)
    except DeviceError:
        return
    assert isinstance(found, dict)


def test_an_object_without_end_is_refused() -> None:
    """Nesting is bounded."""
    inner = b""
    for _ in range(60):
        inner = part(1, part(1, b"a") + part(2, part(5, inner)))
    with pytest.raises(DeviceError, match="nested"):
        structure(inner)


def test_unknown_fields_are_passed_over() -> None:
    """A newer ChirpStack may send more."""
    assert read_event("up", part(1, b"id") + part(99, b"new") + b"\x38\x05") == {"deduplicationId": "id", "fCnt": 5}
