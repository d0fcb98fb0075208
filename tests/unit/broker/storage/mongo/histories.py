"""Random histories of an entity, as its writes make them: for the tests of records and of what reads them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tsunagu.broker.changes import Change, ChangeKind
from tsunagu.broker.operations import patch
from tsunagu.broker.storage.mongo.usual_times import leave_out
from tsunagu.schemas.entity import NULL
from tsunagu.schemas.times import format_ms

NOW = 1_795_000_000_000
MINUTE = 60_000
NAMES = ("a", "b", "c", "d")
# How long before (or after) a change something was observed, ms; None: without observedAt; GONE: it is deleted.
GONE = "gone"
AGES = (None, None, 0, 1, 2 * MINUTE, 9 * MINUTE, 10 * MINUTE, 11 * MINUTE, 300 * MINUTE, -MINUTE, GONE)

steps = st.lists(
    st.tuples(st.integers(0, 6 * MINUTE), st.dictionaries(st.sampled_from(NAMES), st.sampled_from(AGES), min_size=1)),
    min_size=1,
    max_size=12,
)


def entity(attrs: dict[str, Any]) -> dict[str, Any]:
    """Return an expanded entity with these attributes."""
    return {"id": "urn:e", "type": ["T"], "attrs": attrs}


def instance(value: int, at: int, age: Any) -> dict[str, Any]:
    """Return an instance that was observed `age` before `at`, or what asks for a deletion."""
    if age == GONE:
        return {"value": NULL}
    observed = {} if age is None else {"observedAt": format_ms(at - age)}
    return {"type": "Property", "value": value, **observed}


def without_usual_times(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document, or a part of one, without the times that its attributes share, which stays as it is."""
    result = dict(document)
    leave_out(result)
    return result


def changes() -> st.SearchStrategy[list[Change]]:
    """Return a strategy for the changes of one entity from its creation on; the last one may be its deletion."""
    return st.builds(changes_of, steps, st.booleans())


def changes_of(plan: list[tuple[int, dict[str, Any]]], deleted: bool = False) -> list[Change]:
    """Return the changes of an entity by a plan of (pause, age of what each attribute gets), deleted at last if so."""
    before, at, found = None, NOW, []
    for number, (pause, ages) in enumerate(plan):
        at += pause
        attrs = {name: instance(number, at, age) for name, age in ages.items() if before is not None or age != GONE}
        outcome = (
            patch.create(None, entity(attrs), at)
            if before is None
            else patch.update(before, "urn:e", entity(attrs), at)
        )
        kind: ChangeKind = "created" if before is None else "updated"
        if outcome.after is not before and outcome.after is not None:
            outcome.after["v"] = NOW if before is None else before["v"] + 1
            found.append(_change(len(found), kind, at, before, outcome))
            before = outcome.after
    if deleted and before is not None:
        found.append(_change(len(found), "deleted", at, before, patch.delete(before, "urn:e")))
    return found


def _change(position: int, kind: ChangeKind, at: int, before: Any, outcome: Any) -> Change:
    return Change("", "w", 10 * position + 1, "urn:e", kind, at, before, outcome.after, outcome.touched)
