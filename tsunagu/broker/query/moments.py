"""DateTime, Date and Time values (4.6.3) as texts that order by time.

The *key* of a moment is its text without what does not matter: the fraction without trailing zeros, always behind a
point; no Z. Keys of one kind compare as their moments do: "2026-07-18T19:10:00." < "2026-07-18T19:10:00.5".
A text counts as a moment by its form only: "2026-02-31" is a Date that no calendar has, and orders as it reads.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tsunagu.broker.query.ast import Moment
from tsunagu.schemas.times import parse_ms

if TYPE_CHECKING:
    from tsunagu.broker.query.ast import MomentKind

_DAY = r"\d{4}-\d\d-\d\d"
_CLOCK = r"\d\d:\d\d:\d\d"
_FRACTION = r"(?:[.,](\d{1,6}))?"

FORMS: dict[MomentKind, re.Pattern[str]] = {
    "DateTime": re.compile(rf"({_DAY}T{_CLOCK}){_FRACTION}Z", re.ASCII),
    "Date": re.compile(rf"({_DAY})", re.ASCII),
    "Time": re.compile(rf"({_CLOCK}){_FRACTION}Z", re.ASCII),
}


def moment_key(kind: MomentKind, text: str) -> str | None:
    """Return the key of a text that has the form of the kind, None for any other text."""
    found = FORMS[kind].fullmatch(text)
    if found is None:
        return None
    if kind == "Date":
        return text
    return f"{found[1]}.{(found[2] or '').rstrip('0')}"


def kind_of(text: str) -> MomentKind | None:
    """Return which kind of moment a text has the form of, None for other texts."""
    for kind, form in FORMS.items():
        if form.fullmatch(text):
            return kind
    return None


def read_moment(text: str) -> Moment | None:
    """Return the moment of a text, None for a text of another form. Raises ValueError if no calendar has it."""
    kind = kind_of(text)
    if kind is None:
        return None
    key = moment_key(kind, text)
    assert key is not None
    if kind == "DateTime":
        return Moment(kind, key, parse_ms(text))
    if kind == "Date":
        return Moment(kind, key, parse_ms(f"{text}T00:00:00Z"))
    parse_ms(f"1970-01-01T{text}")
    return Moment(kind, key, None)
