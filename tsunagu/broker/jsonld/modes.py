"""In which operation a body is read: what may be left out of it, and where an NGSI-LD Null may stand (5.4, 5.5.4)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mode:
    """How to read attributes.

    `nulls`: an attribute may be Null, which deletes it. `inside`: its members and sub-attributes may be Null too, and
    that is kept for the patch (else they are left out). `deep`: Nulls within values are kept as well. `partial`: type
    and value may be missing. `simplified`: the simplified representation is read (4.5.4). `inner` is the mode for
    sub-attributes, None if it is the same.
    """

    nulls: bool = False
    inside: bool = False
    deep: bool = False
    partial: bool = False
    simplified: bool = False
    inner: Mode | None = None


WHOLE = Mode()
UPDATE = Mode(nulls=True)
MERGE = Mode(nulls=True, inside=True, deep=True, partial=True)
SIMPLIFIED_MERGE = Mode(nulls=True, inside=True, deep=True, partial=True, simplified=True)
PARTIAL = Mode(partial=True, inner=WHOLE)
PARTIAL_WITH_NULLS = Mode(nulls=True, inside=True, partial=True, inner=UPDATE)
