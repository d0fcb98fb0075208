"""DateTime strings to epoch milliseconds and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsunagu.schemas.times import format_ms, parse_ms, parse_offset_ms, utc_text

MOMENTS = st.integers(min_value=-62_135_596_800_000, max_value=253_402_300_799_999)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-07-18T19:10:00Z", 1_784_401_800_000),
        ("2026-07-18T19:10:00.5Z", 1_784_401_800_500),
        ("2026-07-18T19:10:00,123Z", 1_784_401_800_123),
        ("2026-07-18T19:10:00.123999Z", 1_784_401_800_123),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_a_utc_date_time_is_read_to_the_millisecond(text, expected):
    """4.6.3: a DateTime ends in Z and may have up to six digits after a point or comma."""
    assert parse_ms(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026-07-18T19:10:00+09:00",
        "2026-07-18T19:10:00",
        "2026-07-18 19:10:00Z",
        "2026-07-18T19:10Z",
        "2026-07-18",
        "2026-07-18T19:10:00.1234567Z",
        "2026-07-18T19:10:00.Z",
        "2026-02-30T00:00:00Z",
        "2026-07-18T24:10:00Z",
        "0000-07-18T10:10:00Z",
        "20260718T191000Z",
        "2026-07-18t19:10:00z",
        "٢٠٢٦-07-18T19:10:00Z",
        "2026-07-18T19:10:00Z\n",
        "",
        "now",
        1_784_401_800_000,
        None,
        ["2026-07-18T19:10:00Z"],
        {},
    ],
)
def test_what_is_no_utc_date_time_is_refused(text):
    """4.6.3: reduced forms, offsets and impossible dates are no DateTime."""
    with pytest.raises(ValueError, match=r"2026-07-18T19:10:00Z|no such date"):
        parse_ms(text)


@given(MOMENTS)
def test_a_written_time_reads_as_itself(moment):
    """Every moment of the years 1 to 9999 survives being written and read."""
    assert parse_ms(format_ms(moment)) == moment


@given(MOMENTS)
def test_times_are_written_as_the_calendar_has_them(moment):
    """The written form is ISO 8601 with exactly three digits of milliseconds."""
    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment)
    assert format_ms(moment) == expected.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_a_time_after_the_year_9999_cannot_be_written():
    """A moment that DateTime cannot express raises instead of being cut."""
    with pytest.raises(ValueError, match="9999"):
        format_ms(253_402_300_800_000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-07-19T04:10:00+09:00", 1_784_401_800_000),
        ("2026-07-19T04:10:00.250+0900", 1_784_401_800_250),
        ("2026-07-18T19:10:00.123456789Z", 1_784_401_800_123),
        ("2026-07-18t19:10:00z", 1_784_401_800_000),
    ],
)
def test_a_device_time_may_have_an_offset(text, expected):
    """What devices send, offsets and nanoseconds included, is read as UTC."""
    assert parse_offset_ms(text) == expected


@pytest.mark.parametrize("text", ["2026-07-18T19:10:00", "19:10:00Z", "2026-13-18T19:10:00+09:00", 5, None])
def test_a_device_time_without_zone_is_refused(text):
    """A local time of unknown zone, or no time at all, is an error."""
    with pytest.raises(ValueError, match=r"offset|no such date"):
        parse_offset_ms(text)


def test_a_comma_before_the_fraction_becomes_a_point():
    """4.6.3 allows the comma in requests only, so that answers have a point."""
    assert utc_text("2026-07-18T19:10:00,5Z") == "2026-07-18T19:10:00.5Z"


def test_a_time_is_kept_as_it_was_given():
    """A time that needs no change is the very text of the client."""
    assert utc_text("2026-07-18T19:10:00.120Z") == "2026-07-18T19:10:00.120Z"
