"""Beacon frames inside adverts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsunagu.adapters.ble_gateway.frames import identity

IBEACON = "0201061aff4c000215b5b182c7eab14988aa99b5c1517008d90001cf64c5"


@pytest.mark.parametrize(
    ("advert", "expected"),
    [
        (IBEACON, "b5b182c7-eab1-4988-aa99-b5c1517008d9:1:53092"),
        ("0303aafe1716aafe00e700112233445566778899aabbccddeeff0000", "00112233445566778899:aabbccddeeff"),
        ("0303aafe0d16aafe30e70011223344556677", "eid:0011223344556677"),
        ("0303aafe1116aafe20000bd018000000000000000000", None),
        ("020106", None),
        ("", None),
        (IBEACON[:30], None),
        ("1aff4c001005", None),
    ],
)
def test_an_advert_carries_an_identity_or_none(advert: str, expected: str | None) -> None:
    """iBeacon, Eddystone UID and EID are read; telemetry and the rest carry no identity."""
    assert identity(bytes.fromhex(advert)) == expected


@given(st.binary(max_size=40))
def test_no_bytes_make_the_reader_fail(advert: bytes) -> None:
    """Any bytes are an identity or none."""
    identity(advert)
