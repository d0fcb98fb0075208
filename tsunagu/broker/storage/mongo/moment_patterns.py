r"""Comparing DateTimes, Dates and Times in strings by regular expressions.

MongoDB cannot compare "2026-07-18T19:10:00.5Z" and "2026-07-18T19:10:00Z" by time: "." sorts before "Z". And two
conditions on one path need not hold of the same element of an array. So the whole comparison is one expression over
the digits; a plain bound beside it gives an index something to search by. For the keys of moments see
`tsunagu.broker.query.moments`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bson.regex import Regex

if TYPE_CHECKING:
    from tsunagu.broker.query.ast import Moment, MomentKind

_DAY = r"\d{4}-\d\d-\d\d"
_CLOCK = r"\d\d:\d\d:\d\d(?:[.,]\d{1,6})?Z"
_FORMS: dict[MomentKind, str] = {"DateTime": f"{_DAY}T{_CLOCK}", "Date": _DAY, "Time": _CLOCK}
_ZEROS = "(?:[.,]0+)?Z"


def comparison(moment: Moment, operator: str) -> dict[str, Any]:
    """Return the condition on a path that a string there is a moment of the kind and compares (==, >, >=, <, <=)."""
    base, _, _ = moment.key.partition(".")
    end = base if moment.kind == "Date" else f"{base}Z"
    bounds = {
        ">": {"$gte": base},
        ">=": {"$gte": base},
        "<": {"$lte": end},
        "<=": {"$lte": end},
        "==": {"$gte": base, "$lte": end},
    }
    return {"$regex": expression(moment, operator), **bounds[operator]}


def between(low: Moment, high: Moment) -> dict[str, Any] | None:
    """Return the condition that a string is a moment of the closed interval; None if the kinds differ."""
    if low.kind != high.kind:
        return None
    pattern = f"^(?={_FORMS[low.kind]}\\z)(?={_alternatives(low, '>=')})(?={_alternatives(high, '<=')})"
    return {"$regex": pattern, "$gte": low.key.partition(".")[0], "$lte": high.key.partition(".")[0] + "Z"}


def equality(moment: Moment) -> Regex[str]:
    """Return the expression that equal moments match, for $in."""
    return Regex(expression(moment, "=="))


def expression(moment: Moment, operator: str) -> str:
    """Return the regular expression of the texts that compare to the moment."""
    return f"^(?={_FORMS[moment.kind]}\\z)(?:{_alternatives(moment, operator)})"


def _alternatives(moment: Moment, operator: str) -> str:
    base, _, fraction = moment.key.partition(".")
    parts = []
    if operator != "==" and (beyond := _digits(base, operator[0])):
        parts.append(beyond)
    same = re.escape(base)
    if moment.kind == "Date":
        if "=" in operator:
            parts.append(same)
    else:
        tails = []
        if "=" in operator:
            tails.append(f"[.,]{fraction}0*Z" if fraction else _ZEROS)
        if operator != "==":
            tails += _tails(fraction, operator[0])
        if tails:
            parts.append(f"{same}(?:{'|'.join(tails)})")
    return f"(?:{'|'.join(parts)})" if parts else r"[^\s\S]"


def _digits(text: str, direction: str) -> str:
    """Return what the texts of the same form start with that are greater (">") or less than the text."""
    starts = []
    for at, character in enumerate(text):
        choice = _beyond(character, direction)
        if choice:
            starts.append(re.escape(text[:at]) + choice)
    return "|".join(starts)


def _beyond(character: str, direction: str) -> str:
    if not character.isdigit():
        return ""
    digit = int(character)
    if direction == ">":
        return f"[{digit + 1}-9]" if digit < 9 else ""  # noqa: PLR2004 - the last digit
    return f"[0-{digit - 1}]" if digit else ""


def _tails(fraction: str, direction: str) -> list[str]:
    """Return what follows the same seconds in texts with a greater or lesser fraction."""
    tails = [
        f"[.,]{fraction[:at]}{choice}" for at, digit in enumerate(fraction) if (choice := _beyond(digit, direction))
    ]
    if direction == ">":
        return [*tails, rf"[.,]{fraction}0*[1-9]"]
    if not fraction:
        return []
    return [*tails, "Z", *(f"[.,]{fraction[:at]}Z" for at in range(1, len(fraction)))]
