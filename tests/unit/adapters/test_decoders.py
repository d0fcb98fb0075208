"""Decoders of known sensors."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsunagu.adapters.decoders import DECODERS, unpacker
from tsunagu.adapters.errors import BadMeasure, BadPayload


def values(name: str, payload: str) -> list[dict[str, object]]:
    return [part.values for part in DECODERS[name](bytes.fromhex(payload))]


def test_an_em500_swl_measures_depth() -> None:
    """The bytes of devices.md."""
    assert values("milesight-em500-swl", "01756403770200") == [{"battery": 100, "depth": 2}]


def test_an_em500_udl_measures_distance() -> None:
    """With its alarm channel too."""
    assert values("milesight-em500-udl", "0175640382 1e00".replace(" ", "")) == [{"battery": 100, "distance": 30}]
    alarm = values("milesight-em500-udl", "83e92c0164000 1".replace(" ", ""))
    assert alarm == [{"distance": 30.0, "distance_mutation": 10.0, "distance_alarm": "threshold_alarm"}]


def test_what_a_device_says_of_itself_is_passed_over() -> None:
    """Versions and serial numbers are no readings."""
    assert values("milesight-em500-swl", "ff0101ff166123456789abcdef017550") == [{"battery": 80}]


def test_backfill_comes_before_the_present_reading() -> None:
    """Older readings keep their own times."""
    parts = DECODERS["milesight-em500-swl"](bytes.fromhex("20ce102e5b6ad600" + "03770300"))
    assert [(part.time, part.values) for part in parts] == [(0x6A5B2E10, {"depth": 214}), (None, {"depth": 3})]


@pytest.mark.parametrize(
    ("payload", "status"), [("0d17000000", "No Sensor"), ("0d17001400", "Invalid Reading"), ("0d1704d800", "good")]
)
def test_an_ldds75_says_when_it_has_no_reading(payload: str, status: str) -> None:
    """A fault is never a distance."""
    (part,) = DECODERS["dragino-ldds75"](bytes.fromhex(payload))
    assert part.status == status
    assert ("Distance" in part.values) == (status == "good")


@pytest.mark.parametrize("settings", [{"decoder": "unknown"}, {"layout": 5}, {"layout": "x"}])
def test_settings_that_cannot_be_are_refused(settings: dict[str, object]) -> None:
    """When the device is provisioned, not when it sends."""
    with pytest.raises(BadMeasure):
        unpacker(settings)


@pytest.mark.parametrize("name", DECODERS)
@given(payload=st.binary(max_size=30))
def test_no_bytes_make_a_decoder_fail_otherwise_than_by_its_own_error(name: str, payload: bytes) -> None:
    """Any bytes are readings or a BadPayload."""
    with suppress(BadPayload):
        DECODERS[name](payload)
