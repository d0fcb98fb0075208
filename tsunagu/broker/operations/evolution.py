"""What is told to a temporal evolution, as a change of the entity and its history (5.6.11, 5.6.12). Pure.

History and current state are one (docs/decisions/0020): of what is told, the newest instance of each attribute up to
now becomes the current state where that is older, as with a late device; all the rest belongs to the history alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.broker.operations import patch
from tsunagu.broker.operations.draft import Draft
from tsunagu.broker.storage.history import SCOPE
from tsunagu.broker.storage.writes import Outcome
from tsunagu.schemas.kinds.fitting import is_deletion
from tsunagu.schemas.system_times import system_times
from tsunagu.schemas.times import parse_ms

if TYPE_CHECKING:
    from tsunagu.broker.changes import Document
    from tsunagu.broker.storage.writes import Late
    from tsunagu.schemas.entity import Expanded, Instance

Newest = dict[tuple[str, str | None], "Instance"]


def tell(before: Document | None, evolution: Expanded, now: int, *, known: bool) -> Outcome:
    """Return what an evolution makes of an entity; `known`: there is an evolution of it already.

    An entity that was deleted is not brought back by what is told of its past.
    """
    newest = {} if before is None and known else _newest(evolution, now)
    if before is None and not known:
        outcome = _created(evolution, newest, now)
    elif before is None:
        outcome = Outcome(None, types=evolution.get("type", []))
    else:
        outcome = _updated(before, evolution, newest, now)
    current = {id(instance) for instance in newest.values()}
    late: list[Late] = [
        (name, instance, times_of(instance, deleted, now))
        for name, told in evolution["attrs"].items()
        for instance, deleted in told
        if id(instance) not in current
    ]
    if outcome.after is not None and len(evolution["scopes"]) == 1 and "observedAt" not in evolution["scopes"][0]:
        scopes: list[Instance] = []  # the change of the entity tells it
    else:
        scopes = evolution["scopes"]
    late += [(SCOPE, scope, _scope_times(scope, now)) for scope in scopes]
    outcome.late = tuple(late)
    return outcome


def _newest(evolution: Expanded, now: int) -> Newest:
    """Return the newest instance of each attribute and datasetId that is not a deletion and not yet to come."""
    found: dict[tuple[str, str | None], tuple[int, Instance]] = {}
    for name, told in evolution["attrs"].items():
        for instance, deleted in told:
            moment = parse_ms(instance["observedAt"]) if "observedAt" in instance else now
            if deleted is not None or is_deletion(instance) or moment > now:
                continue
            key = (name, instance.get("datasetId"))
            if key not in found or moment >= found[key][0]:
                found[key] = (moment, instance)
    return {key: instance for key, (_, instance) in found.items()}


def _created(evolution: Expanded, newest: Newest, now: int) -> Outcome:
    attrs: dict[str, Any] = {}
    for (name, _), instance in newest.items():
        attrs.setdefault(name, []).append(instance)
    entity = {
        "id": evolution["id"],
        "type": evolution["type"],
        "attrs": {
            name: found[0] if len(found) == 1 else sorted(found, key=lambda one: "datasetId" in one)
            for name, found in attrs.items()
        },
    }
    scope = _current_scope(evolution, now)
    if scope:
        entity["scope"] = scope
    return patch.create(None, entity, now)


def _updated(before: Document, evolution: Expanded, newest: Newest, now: int) -> Outcome:
    """Put into the current state what is newer, and take the rest out of `newest`."""
    draft = Draft(before, now)
    for (name, dataset_id), instance in list(newest.items()):
        observed = draft.observed(name, dataset_id)
        there = draft.instance(name, dataset_id) is not None
        moment = parse_ms(instance["observedAt"]) if "observedAt" in instance else now
        if there and moment < (before["modified"] if observed is None else observed):
            del newest[name, dataset_id]
        else:
            draft.put(name, instance)
    draft.add_types(evolution.get("type", []))
    scope = _current_scope(evolution, now)
    if scope and (SCOPE not in draft.members or "observedAt" not in evolution["scopes"][-1]):
        draft.set_member(SCOPE, scope)
    return draft.finish()


def correct_current(before: Document | None, told: list[tuple[str, Instance]], now: int) -> Outcome:
    """Put corrected instances into the current state, where that is of the very time that was corrected."""
    if before is None:
        return Outcome(None)
    draft = Draft(before, now)
    for name, instance in told:
        dataset_id = instance.get("datasetId")
        if draft.observed(name, dataset_id) == parse_ms(instance["observedAt"]) and not is_deletion(instance):
            draft.put(name, instance)
    return draft.finish()


def _current_scope(evolution: Expanded, now: int) -> list[str]:
    """Return the scopes that hold now, according to an evolution; none if it does not say."""
    moments = [(_scope_times(scope, now)["o"], scope["value"]) for scope in evolution["scopes"]]
    past = [(moment, value) for moment, value in moments if moment <= now]
    return list(max(past, key=lambda one: one[0])[1]) if past else []


def times_of(instance: Instance, deleted: int | None, now: int) -> dict[str, Any]:
    """Return the TIMES of an instance told at `now`, and of a deletion "d"; `deleted` is its deletedAt if given."""
    times = system_times(instance, now)
    if deleted is not None or is_deletion(instance):
        times["d"] = times.get("o", now) if deleted is None else deleted
    return times


def _scope_times(scope: Instance, now: int) -> dict[str, Any]:
    moment = parse_ms(scope["observedAt"]) if "observedAt" in scope else now
    if scope["value"]:
        return {"c": now, "m": now, "o": moment}
    return {"c": now, "m": now, "o": moment, "d": moment}
