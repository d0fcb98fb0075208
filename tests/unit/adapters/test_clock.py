"""Reading device times in all the forms that devices use."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from tsunagu.adapters import clock
from tsunagu.adapters.errors import BadTimestamp

MOMENT = 1784401800000  # 2026-07-18T19:10:00Z
TOKYO = ZoneInfo("Asia/Tokyo")


@pytest.mark.parametrize(
    "given",
    [
        "2026-07-18T19:10:00Z",
        "2026-07-18T19:10:00.000Z",
        "2026-07-19T04:10:00+09:00",
        "2026-07-18T19:10:00.000+00:00",
        "2026-07-19T04:10:00",
        "2026-07-19 04:10:00",
        "20260719041000",
        "20260718T191000Z",
        "2026/07/19 4:10",
        "2026-7-19 04:10:00 +09:00",
        "2026-07-18T19:10:00 00:00",
        "202607190410",
        202607190410,
        20260719041000,
        "1784401800",
        1784401800,
        1784401800.0,
        1784401800000,
        1784401800000000,
        1784401800000000000,
    ],
)
def test_one_moment_in_many_forms(given: object) -> None:
    """Offsets count, times without one are in the device's zone, epoch units are told apart by magnitude."""
    assert clock.read_time(given, TOKYO) == MOMENT


@pytest.mark.parametrize(
    "given", ["yesterday", "", "12:30", "2026-13-01T00:00:00Z", 12, -5, True, None, [], "1850-01-01T00:00:00Z", 1e30]
)
def test_what_is_no_time_is_refused(given: object) -> None:
    """Nothing takes the place of a time that cannot be read."""
    with pytest.raises(BadTimestamp):
        clock.read_time(given)


def test_times_are_written_with_milliseconds_only_if_there_are_any() -> None:
    """The written form is the shortest."""
    assert clock.iso(MOMENT) == "2026-07-18T19:10:00Z"
    assert clock.iso(MOMENT + 5) == "2026-07-18T19:10:00.005Z"


def test_a_zone_that_does_not_exist_is_refused() -> None:
    """The error names the member."""
    with pytest.raises(BadTimestamp, match="timezone"):
        clock.zone("Asia/Kakogawa")


@pytest.mark.parametrize(
    ("text", "unset"),
    [
        ("1970-01-01T00:07:12Z", True),
        ("1969-12-31T15:00:30Z", True),
        ("1980-01-06T00:00:30Z", True),
        ("2000-01-01T00:00:00+09:00", True),
        ("1972-01-01T00:00:00Z", False),
        ("1998-07-19T00:00:00Z", False),
        ("2008-10-10T12:24:57.321Z", False),
    ],
)
def test_a_clock_that_nobody_has_set_shows_its_zero(text: str, unset: bool) -> None:
    """Soon after 1970, GPS's zero, or 2000, in any zone."""
    assert clock.is_unset(clock.read_text(text)) is unset


@pytest.mark.parametrize("text", ["2026-07-19", "2026/7/19", "2026-W29-7", "2026-200"])
def test_a_date_alone_is_told(text: str) -> None:
    """It has no time of day."""
    assert clock.is_date(text)
    assert not clock.is_date(f"{text}T00:00")
