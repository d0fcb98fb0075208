"""The temporal query language (4.11): timerel, timeAt, endTimeAt, timeproperty.

Grammar::

    timerel      = "before" / "after" / "between"
    timeAt       = a DateTime of 4.6.3
    endTimeAt    = a DateTime, with "between" only
    timeproperty = "observedAt" (default) / "createdAt" / "modifiedAt" / "deletedAt"

before excludes timeAt, after includes it, between includes timeAt and excludes endTimeAt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.query.ast import TemporalQuery
from tsunagu.schemas.times import parse_ms

if TYPE_CHECKING:
    from typing import Literal

MEMBERS: dict[object, Literal["o", "c", "m", "d"]] = {
    "observedAt": "o",
    "createdAt": "c",
    "modifiedAt": "m",
    "deletedAt": "d",
}


def parse_temporal(
    timerel: object, time_at: object, end_time_at: object = None, timeproperty: object = None
) -> TemporalQuery:
    """Return the temporal query. None stands for an absent parameter. Raises BadRequestData naming the parameter."""
    member = MEMBERS.get("observedAt" if timeproperty is None else _text(timeproperty, "timeproperty"))
    if member is None:
        raise BadRequestData(f"timeproperty: {timeproperty!r} is none of {', '.join(map(str, MEMBERS))}")
    if timerel not in ("before", "after", "between"):
        raise BadRequestData(f"timerel: before, after or between is expected, not {timerel!r}")
    start = _time(time_at, "timeAt")
    if timerel != "between":
        if end_time_at is not None:
            raise BadRequestData("endTimeAt: only timerel between has an end")
        return (
            TemporalQuery("before", member, None, start)
            if timerel == "before"
            else TemporalQuery("after", member, start, None)
        )
    end = _time(end_time_at, "endTimeAt")
    if end < start:
        raise BadRequestData("endTimeAt: a time that is not before timeAt is expected")
    return TemporalQuery("between", member, start, end)


def _text(value: object, parameter: str) -> str:
    if not isinstance(value, str):
        raise BadRequestData(f"{parameter}: a string is expected")
    return value


def _time(value: object, parameter: str) -> int:
    try:
        return parse_ms(value)
    except ValueError as error:
        raise BadRequestData(f"{parameter}: {error}") from None
