"""The time policy: which time an observation counts as, and what is said about it.

`observedAt` is the device's own time; without one, the time of receipt. A time in the future beyond `max_ahead`
cannot be true: the time of receipt takes its place, and the attribute says so in `timeQuality` and keeps
`deviceTime`; so with the time of a clock that was never set and counts from its zero (`clock.ZEROS`). A clock that is
ahead by just the offset of a zone is named: local time sent as UTC. When device time and receipt differ by more than
`keep_received`, `receivedAt` is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tsunagu.adapters import clock
from tsunagu.adapters.errors import BadTimestamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

QUARTER = 15 * 60 * 1000
HOUR = 60 * 60 * 1000
ZONE_TOLERANCE = 3 * 60 * 1000


DEFAULT_AHEAD = 5 * 60 * 1000
DEFAULT_KEEP = 10 * 1000


@dataclass(frozen=True, slots=True)
class TimePolicy:
    """Limits in ms: how far ahead a device's clock may be, and the difference from which on receivedAt is kept.

    A reading older than `late` at its receipt is backfill, which notifies nobody; None: every reading is told of.
    """

    max_ahead: int = DEFAULT_AHEAD
    keep_received: int = DEFAULT_KEEP
    late: int | None = None


def policy_of(settings: Mapping[str, Any]) -> TimePolicy | None:
    """Return the policy of a group or device, None if it has none of its own. Raises BadTimestamp naming the member.

    `internal_attributes.time`: {"maxAhead": seconds, "keepReceived": seconds, "late": seconds}; keepReceived 0 keeps
    receivedAt always.
    """
    given = settings.get("time")
    if given is None:
        return None
    if not isinstance(given, dict) or not given.keys() <= {"maxAhead", "keepReceived", "late"}:
        raise BadTimestamp("internal_attributes.time must have maxAhead, keepReceived and late alone, in seconds")
    limits = {}
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise BadTimestamp(f"internal_attributes.time.{name} must be a number of seconds")
        limits[name] = round(value * 1000)
    keep = limits.get("keepReceived", DEFAULT_KEEP)
    return TimePolicy(limits.get("maxAhead", DEFAULT_AHEAD), keep or -1, limits.get("late"))


@dataclass(slots=True)
class Stamp:
    """The time of an observation: epoch ms, as text, whether the device knew one, and sub-attributes that tell more.

    `late` says that it is too old to be told of.
    """

    observed: int
    text: str
    dated: bool
    extra: dict[str, Any] | None = None
    late: bool = False


def stamp(given: Any, received: int, local: tzinfo = UTC, *, policy: TimePolicy) -> Stamp:
    """Return the time that an observation counts as. Raises BadTimestamp if the device's time cannot be read."""
    if given is None:
        return Stamp(received, clock.iso(received), dated=False)
    if type(given) is str and len(given) <= clock.LONGEST_DATE and clock.is_date(given):
        raise BadTimestamp(
            f"time {given!r} has no time of day; an attribute TimeInstant with an expression such as "
            f"date + 'T00:00:00+09:00' may say which is meant"
        )
    observed = clock.read_time(given, local)
    if observed < clock.SET_SINCE and clock.is_unset(observed):
        return Stamp(received, clock.iso(received), dated=False, extra=_not_true("clockNotSet", observed, received))
    ahead = observed - received
    if ahead > policy.max_ahead:
        quality = describe_skew(ahead, local, received)
        return Stamp(received, clock.iso(received), dated=True, extra=_not_true(quality, observed, received))
    text = given if type(given) is str and clock.CANONICAL.fullmatch(given) else clock.iso(observed)
    late = policy.late is not None and -ahead > policy.late
    extra = {"receivedAt": _time_property(received)} if abs(ahead) > policy.keep_received else None
    return Stamp(observed, text, dated=True, extra=extra, late=late)


def _not_true(quality: str, observed: int, received: int) -> dict[str, Any]:
    """Return what is said of a device's time that cannot be true, and why."""
    return {
        "timeQuality": {"type": "Property", "value": quality},
        "deviceTime": _time_property(observed),
        "receivedAt": _time_property(received),
    }


def _time_property(milliseconds: int) -> dict[str, Any]:
    return {"type": "Property", "value": {"@type": "DateTime", "@value": clock.iso(milliseconds)}}


def describe_skew(ahead: int, local: tzinfo, received: int) -> str:
    """Name a clock that is `ahead` ms ahead: "localTimeSentAsUtc +09:00" for a zone offset, else "clockAhead 42 s"."""
    offset = datetime.fromtimestamp(received / 1000, local).utcoffset()
    zones = {round(offset.total_seconds() * 1000)} if offset else set()
    nearest = round(ahead / QUARTER) * QUARTER
    is_zone = abs(ahead - nearest) <= ZONE_TOLERANCE and HOUR <= nearest <= 14 * HOUR
    if is_zone and (nearest in zones or nearest % HOUR == 0):
        return f"localTimeSentAsUtc +{nearest // HOUR:02d}:{nearest % HOUR // 60_000:02d}"
    return f"clockAhead {ahead // 1000} s"
