"""Reading and writing times: whatever form a device uses → epoch milliseconds UTC → ISO 8601 with Z."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tsunagu.adapters.errors import BadTimestamp

COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)")
CANONICAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z")
EARLIEST = 0
LATEST = 4_102_444_800_000  # the year 2100

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

    Takes ISO 8601 (also with a space for the T), YYYYMMDDhhmmss, and epoch seconds, ms, µs or ns as digits.
    """
    text = text.strip()
    match = COMPACT.fullmatch(text)
    try:
        if match:
            moment = datetime(*(int(part) for part in match.groups()))  # type: ignore[arg-type]  # noqa: DTZ001
        elif text.replace(".", "", 1).isdigit():
            return read_number(float(text))
        else:
            moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadTimestamp(
            f"time {text[:40]!r} cannot be read; right would be e.g. '2026-07-19T04:10:00+09:00'"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=local)
    return in_range(round(moment.timestamp() * 1000), text)


def read_number(number: float) -> int:
    """Return an epoch time in s, ms, µs or ns, told apart by magnitude, in ms. Raises BadTimestamp."""
    for low, high, factor in UNITS:
        if low <= number < high:
            return in_range(round(number * factor), number)
    raise BadTimestamp(f"time {number!r} is no epoch time in seconds, milliseconds, microseconds or nanoseconds")


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
        return read_number(value)
    raise BadTimestamp(f"time must be text or a number and not {type(value).__name__}")
