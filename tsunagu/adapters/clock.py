"""Reading and writing times: whatever form a device uses → epoch milliseconds UTC → ISO 8601 with Z."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tsunagu.adapters.errors import BadTimestamp

COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?")
DATE = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2}|\d{4}-?W\d\d(?:-?\d)?|\d{4}-\d{3}")
DATE_AND_TIME = re.compile(
    r"(\d{4})([-/])(\d{1,2})\2(\d{1,2})[T ](\d{1,2}):(\d\d)(?::(\d\d)((?:\.\d+)?))? ?(Z|[+-]\d\d:?\d\d)?"
)
LOST_PLUS = re.compile(r"(.+T\d\d:\d\d\S*) (\d\d:?\d\d)")
CANONICAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z")
EARLIEST = -86_400_000
LATEST = 4_102_444_800_000  # the year 2100

# Where clocks begin that nobody has set, and how long they are believed to run so: Unix and most real-time clocks, GPS.
# Each a day earlier, for a zone that is ahead of UTC.
DAY = 86_400_000
ZEROS = ((-DAY, 367 * DAY), (315_964_800_000 - DAY, 8 * DAY), (946_684_800_000 - DAY, 2 * DAY))
SET_SINCE = sum(ZEROS[-1])
LONGEST_DATE = len("2026-07-19")

# Epoch units by magnitude; the ranges do not meet for any date between 1973 and 2100.
UNITS = ((1e8, 1e10, 1000.0), (1e11, 1e13, 1.0), (1e14, 1e16, 1e-3), (1e17, 1e19, 1e-6))


def now() -> int:
    """Return the time in epoch ms UTC."""
    return time.time_ns() // 1_000_000


@lru_cache(maxsize=4096)
def iso(milliseconds: int) -> str:
    """Return epoch ms UTC as ISO 8601 with Z, with milliseconds only if there are any."""
    seconds, rest = divmod(milliseconds, 1000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:03d}Z" if rest else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


@lru_cache(maxsize=256)
def zone(name: str) -> tzinfo:
    """Return the time zone of an IANA name ("Asia/Tokyo"). Raises BadTimestamp if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise BadTimestamp(f"timezone: {name!r} is no IANA time zone; right would be e.g. 'Asia/Tokyo'") from None


@lru_cache(maxsize=8192)
def read_text(text: str, local: tzinfo = UTC) -> int:
    """Return a written time in epoch ms UTC; one without offset is in the zone `local`. Raises BadTimestamp.

    Takes ISO 8601 (also with a space for the T, hours of one digit, slashes in the date, or the + of its offset turned
    into a space, as in an address that nobody encoded), YYYYMMDDhhmm[ss], and epoch seconds, ms, µs or ns as digits.
    """
    text = text.strip()
    try:
        moment = _compact(text)
        if moment is None:
            if text.replace(".", "", 1).isdigit():
                return read_number(float(text))
            moment = datetime.fromisoformat(_regular(text))
    except ValueError:
        raise BadTimestamp(
            f"time {text[:40]!r} cannot be read; right would be e.g. '2026-07-19T04:10:00+09:00'"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=local)
    return in_range(round(moment.timestamp() * 1000), text)


def _compact(digits: str) -> datetime | None:
    """Return the time that YYYYMMDDhhmm[ss] writes; None for other digits. Raises ValueError.

    Twelve digits could be epoch ms as well: of a day before September 2001, when no device wrote such.
    """
    match = COMPACT.fullmatch(digits)
    if match is None:
        return None
    try:
        return datetime(*(int(part) for part in match.groups(default="0")))  # type: ignore[arg-type]  # noqa: DTZ001
    except ValueError:
        if match[6] is not None:
            raise
        return None


def _regular(text: str) -> str:
    """Return a written time as ISO 8601 has it."""
    match = DATE_AND_TIME.fullmatch(text)
    if match is not None:
        year, _, month, day, hour, minute, second, part, offset = match.groups(default="")
        return f"{year}-{month:0>2}-{day:0>2}T{hour:0>2}:{minute}:{second or '00'}{part}{offset}"
    return LOST_PLUS.sub(r"\1+\2", text)


def read_number(number: float) -> int:
    """Return an epoch time in s, ms, µs or ns, told apart by magnitude, in ms. Raises BadTimestamp.

    Digits that write YYYYMMDDhhmm[ss] are no epoch time and have no zone: they are text, see `read_time`.
    """
    for low, high, factor in UNITS:
        if low <= number < high:
            return in_range(round(number * factor), number)
    raise BadTimestamp(f"time {number!r} is no epoch time in seconds, milliseconds, microseconds or nanoseconds")


def is_unset(milliseconds: int) -> bool:
    """Tell whether a time is that of a clock that was never set: soon after 1970, 1980-01-06 (GPS) or 2000-01-01."""
    return any(0 <= milliseconds - zero < span for zero, span in ZEROS)


def is_date(text: str) -> bool:
    """Tell whether a text is a date alone, without a time of day."""
    return DATE.fullmatch(text.strip()) is not None


def in_range(milliseconds: int, given: object) -> int:
    """Return the time if it lies between 1970 and 2100. Raises BadTimestamp."""
    if not EARLIEST <= milliseconds < LATEST:
        raise BadTimestamp(f"time {given!r} lies outside of 1970 to 2100")
    return milliseconds


def read_time(value: Any, local: tzinfo = UTC) -> int:
    """Return a device's time, text or number, in epoch ms UTC. Raises BadTimestamp."""
    if isinstance(value, str):
        return read_text(value, local)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if isinstance(value, int) and COMPACT.fullmatch(str(value)):
            return read_text(str(value), local)
        return read_number(value)
    raise BadTimestamp(f"time must be text or a number and not {type(value).__name__}")
