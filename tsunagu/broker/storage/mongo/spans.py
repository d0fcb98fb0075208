"""The span of ten minutes in which an entity was last modified: what the index holds of modifiedAt.

An index on modifiedAt itself would change with every write, and MongoDB works out the keys of all indexes of an entity
again as soon as one of them changes: half of what an update costs it. The span changes at most once in ten minutes.
It is one of an entity's `keys`; filters on modifiedAt name it, too.
"""

from __future__ import annotations

from typing import Any

SPAN_MS = 600_000
_WIDER = {"$gt": "$gte", "$lt": "$lte"}


def span_of(moment: int) -> int:
    """Return the number of the span that a time (epoch ms) lies in."""
    return moment // SPAN_MS


def span_operators(operators: dict[str, Any]) -> dict[str, Any]:
    """Return the operators on the span that follow from operators ($gt, $gte, $lt, $lte, $in) on modifiedAt."""
    return {
        _WIDER.get(operator, operator): sorted(set(map(span_of, value))) if operator == "$in" else span_of(value)
        for operator, value in operators.items()
    }
