"""Small algebra of MongoDB conditions: and, or, not, nothing, and conditions on one instance of an attribute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Condition = dict[str, Any]

NOTHING: dict[str, Any] = {"_id": {"$in": []}}
"""Matches no document, and MongoDB knows that without looking at any."""


def all_of(parts: Iterable[Condition]) -> Condition:
    """Return the conjunction; conditions on different paths share one object."""
    merged: Condition = {}
    rest: list[Condition] = []
    for part in parts:
        if merged.keys().isdisjoint(part):
            merged.update(part)
        elif part not in (merged, *rest):
            rest.append(part)
    if rest:
        return {"$and": [merged, *rest]}
    return merged


def any_of(parts: Iterable[Condition]) -> Condition:
    """Return the disjunction; of nothing, NOTHING."""
    flat: list[Condition] = []
    for part in parts:
        inner = part["$or"] if part.keys() == {"$or"} else [part]
        flat.extend(each for each in inner if each != NOTHING and each not in flat)
    if not flat:
        return NOTHING
    return flat[0] if len(flat) == 1 else {"$or": flat}


def on_one_instance(segments: Sequence[str], make: Callable[[str], Condition], prefix: str = "") -> list[Condition]:
    """Return the alternatives that one and the same instance meets a condition, wherever there may be several.

    Each of the `segments` leads to an instance or to a list of instances. MongoDB's dotted paths go through lists, but
    then each part of a condition may hold of another instance. `make` gets the path that leads to the instance, with a
    dot at the end ("" within $elemMatch), and returns the condition on it.
    """
    here = prefix + segments[0]
    single: Condition = {here: {"$exists": True, "$not": {"$type": "array"}}}
    if len(segments) == 1:
        return [all_of([single, make(f"{here}.")]), {here: {"$elemMatch": make("")}}]
    inside = on_one_instance(segments[1:], make, f"{here}.")
    within = on_one_instance(segments[1:], make)
    return [*(all_of([single, each]) for each in inside), *({here: {"$elemMatch": each}} for each in within)]
