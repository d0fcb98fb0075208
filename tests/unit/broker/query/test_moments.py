"""DateTimes, Dates and Times as texts that order by time (4.6.3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsunagu.broker.query.ast import Moment
from tsunagu.broker.query.moments import kind_of, moment_key, read_moment


def write(moment: datetime, digits: int, mark: str) -> str:
    """Return the text of a DateTime with a fraction of so many digits."""
    fraction = f"{moment.microsecond:06}"[:digits]
    return f"{moment:%Y-%m-%dT%H:%M:%S}{mark + fraction if fraction else ''}Z"


datetimes = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))  # noqa: DTZ001


@given(datetimes, st.timedeltas(timedelta(0), timedelta(days=400)), st.sampled_from(".,"))
def test_keys_order_by_time(early: datetime, later: timedelta, mark: str) -> None:
    """Keys of DateTimes compare as the points in time do, whatever the number of digits."""
    late = early + later
    keys = [moment_key("DateTime", write(moment, 6, mark)) for moment in (early, late)]
    assert all(keys)
    assert (keys[0] < keys[1]) == (early < late)
    assert (keys[0] == keys[1]) == (early == late)


def test_equal_moments_have_equal_keys() -> None:
    """A fraction of zeros, a comma and missing digits make no difference."""
    texts = ["19:10:00Z", "19:10:00.0Z", "19:10:00,000Z"]
    assert len({moment_key("Time", text) for text in texts}) == 1


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("2026-07-18T19:10:00Z", "DateTime"),
        ("2026-07-18T19:10:00.123456Z", "DateTime"),
        ("2026-07-18", "Date"),
        ("19:10:00Z", "Time"),
        ("2026-07-18T19:10Z", None),
        ("2026-07-18T19:10:00+09:00", None),
        ("2026-07-18T19:10:00.1234567Z", None),
        ("2026-07-18T19:10:00Z\n", None),
        ("２０２６-07-18", None),
        ("", None),
    ],
)
def test_kinds(text: str, kind: str | None) -> None:
    """Only the complete forms of 4.6.3 are moments."""
    assert kind_of(text) == kind


def test_read() -> None:
    """A moment of a query has its milliseconds; a Date those of its midnight, a Time none."""
    assert read_moment("1970-01-01T00:00:01.5Z") == Moment("DateTime", "1970-01-01T00:00:01.5", 1500)
    assert read_moment("1970-01-02") == Moment("Date", "1970-01-02", 86_400_000)
    assert read_moment("10:00:00Z") == Moment("Time", "10:00:00.", None)
    assert read_moment("tomorrow") is None


@pytest.mark.parametrize("text", ["2026-02-30", "2026-02-28T24:30:00Z", "25:00:00Z"])
def test_no_calendar(text: str) -> None:
    """A moment of a query has to exist."""
    with pytest.raises(ValueError, match="no such date or time"):
        read_moment(text)
