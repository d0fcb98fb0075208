"""DateTime strings and epoch milliseconds (ETSI GS CIM 009, 4.6.3).

Inside the broker a time is an int: milliseconds since 1970-01-01T00:00:00Z, UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

_UTC_TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,6})?Z", re.ASCII)
_OFFSET_TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)", re.ASCII | re.IGNORECASE)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORM = "a UTC time such as 2026-07-18T19:10:00Z is expected, with at most six digits after the seconds"
_LATEST = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z


def parse_ms(text: object) -> int:
    """Return the epoch milliseconds of a DateTime of 4.6.3: 'YYYY-MM-DDThh:mm:ss[.ffffff]Z', comma allowed.

    Digits beyond milliseconds are cut off. Raises ValueError for anything else, a numeric offset included.
    """
    if type(text) is not str:
        raise ValueError(_FORM)
    return _parse(text)


@lru_cache(maxsize=8192)
def _parse(text: str) -> int:
    if _UTC_TEXT.fullmatch(text) is None:
        raise ValueError(_FORM)
    return _milliseconds(text)


def parse_offset_ms(text: object) -> int:
    """Return the epoch milliseconds of an ISO 8601 date and time with 'Z' or a numeric offset, as devices send it.

    Any number of fractional digits is read; those beyond milliseconds are cut off. Raises ValueError.
    """
    if type(text) is not str or _OFFSET_TEXT.fullmatch(text) is None:
        raise ValueError("a time with Z or an offset is expected, such as 2026-07-18T19:10:00+09:00")
    return _milliseconds(text.upper())


def _milliseconds(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        elapsed = moment - _EPOCH
    except (ValueError, OverflowError) as error:
        raise ValueError(f"no such date or time: {error}") from None
    return elapsed.days * 86_400_000 + elapsed.seconds * 1000 + elapsed.microseconds // 1000


@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19] + "."


@lru_cache(maxsize=4096)
def format_ms(moment: int) -> str:
    """Return epoch milliseconds as 'YYYY-MM-DDTHH:MM:SS.mmmZ'. Raises ValueError outside the years 1 to 9999."""
    if moment > _LATEST:
        raise ValueError("the time lies after the year 9999")
    return f"{_second(moment // 1000)}{moment % 1000:03d}Z"


def short_text(moment: int) -> str:
    """Return epoch milliseconds as text, without a fraction of zeros, as clients mostly write a time."""
    return format_ms(moment).replace(".000Z", "Z")


def utc_text(text: str) -> str:
    """Return a checked DateTime as the broker keeps and shows it: as given, with a point before the fraction."""
    return text.replace(",", ".") if "," in text else text
