"""Receptions and frames of network servers; sensors' own quirks are shown by the recordings."""

from __future__ import annotations

import pytest

from tsunagu.adapters.device_objects import normalize, reception, sequence
from tsunagu.adapters.errors import BadPayload


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        ([{"rssi": -90, "snr": 1}, {"rssi": -40, "snr": 9}], {"rssi": -40, "snr": 9}),
        ([{"rssi": None, "snr": 1}, {"rssi": "-4"}, {"rssi": True}, {"rssi": -100.5}], {"rssi": -100.5}),
        ([{"snr": 3}], {"snr": 3}),
        ([1, None], {}),
        ([], {}),
        (None, {}),
        ("x", {}),
        ({"rssi": -1}, {}),
    ],
)
def test_the_strongest_reception_counts(heard: object, expected: dict[str, object]) -> None:
    """A strength that is no number is none."""
    assert reception(heard, ("rssi", "snr")) == expected


@pytest.mark.parametrize(("given", "expected"), [(None, 0), (0, 0), (7, 7)])
def test_a_counter_that_is_left_out_is_zero(given: object, expected: int) -> None:
    """Protobuf's JSON leaves zeros out."""
    assert sequence(given) == expected


@pytest.mark.parametrize("given", ["7", 1.0, True, -1, [1]])
def test_a_counter_that_is_none_is_refused(given: object) -> None:
    """It would count frames as lost."""
    with pytest.raises(BadPayload):
        sequence(given)


def test_a_reading_that_is_null_has_no_status() -> None:
    """A sensor that says nothing is not good."""
    assert [(part.values, part.status) for part in normalize({"depth": None, "battery": 3})] == [
        ({"depth": None, "battery": 3}, None)
    ]
