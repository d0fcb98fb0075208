"""The patch algebra: what each provision operation makes of a document (5.5.8, 5.5.12, 5.6). Pure.

Each function takes the document before (None: there is no such entity), what the client sent in expanded form, and the
time; it returns an Outcome or raises an NgsiError. Documents and fragments are never altered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tsunagu.broker.changes import Document, Touch, all_touched
from tsunagu.broker.errors import AlreadyExists, BadRequestData, PreconditionFailed, ResourceNotFound
from tsunagu.broker.operations.draft import Draft, expired
from tsunagu.broker.operations.merging import merged_instance, typed
from tsunagu.broker.storage.writes import Outcome
from tsunagu.schemas.derived import complete
from tsunagu.schemas.entity import NULL, Expanded, Instance, instances, iri_of
from tsunagu.schemas.kinds import MEMBERS
from tsunagu.schemas.kinds.fitting import any_deletion, is_deletion
from tsunagu.schemas.system_times import system_times
from tsunagu.schemas.times import parse_ms

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


@dataclass(slots=True)
class UpdateResult:
    """What an append, update or merge did (5.2.18), in stored names; `not_updated` has pairs (name, reason)."""

    updated: list[str] = field(default_factory=list)
    not_updated: list[tuple[str, str]] = field(default_factory=list)


def existing(before: Document | None, entity_id: str, if_match: int | None = None) -> Document:
    """Return the document. Raises ResourceNotFound, or PreconditionFailed when it has another version than asked."""
    if before is None:
        raise ResourceNotFound(f"there is no entity {entity_id}")
    if if_match is not None and before["v"] != if_match:
        raise PreconditionFailed(f"entity {entity_id} has version {before['v']} now, not {if_match}; read it again")
    return before


def fresh(entity: Expanded, now: int, created: int) -> Document:
    """Return a new document of a whole expanded entity."""
    attrs = entity["attrs"]
    times = {
        name: system_times(value, now, None)
        if isinstance(value, dict)
        else [system_times(one, now, None) for one in value]
        for name, value in attrs.items()
    }
    document: Document = {"_id": entity["id"], "type": entity["type"]}
    if entity.get("scope"):
        document["scope"] = entity["scope"]
    if "expires" in entity:
        document["expires"] = entity["expires"]
    document |= {"attrs": attrs, "sys": times, "created": created, "modified": now, "v": 0}
    complete(document)
    return document


def create(before: Document | None, entity: Expanded, now: int) -> Outcome:
    """Create an entity (5.6.1). Raises AlreadyExists."""
    if before is not None:
        raise AlreadyExists(f"entity {entity['id']} exists already; use PATCH, PUT or a batch upsert to change it")
    after = fresh(entity, now, now)
    return Outcome(after, all_touched(after, "created"))


def delete(before: Document | None, entity_id: str, *, if_match: int | None = None) -> Outcome:
    """Delete an entity (5.6.6). Raises ResourceNotFound."""
    document = existing(before, entity_id, if_match)
    return Outcome(None, all_touched(document, "deleted"))


def replace(
    before: Document | None, entity_id: str, entity: Expanded, now: int, *, if_match: int | None = None
) -> Outcome:
    """Replace an entity whole, createdAt of the entity apart (5.6.18). Raises ResourceNotFound."""
    document = existing(before, entity_id, if_match)
    whole = {**entity, "id": entity_id, "type": entity.get("type") or document["type"]}
    after = fresh(whole, now, document["created"])
    old = {(touch.attribute, touch.dataset_id) for touch in all_touched(document, "deleted")}
    touched = [
        Touch(touch.attribute, "updated" if (touch.attribute, touch.dataset_id) in old else "created", touch.dataset_id)
        for touch in all_touched(after, "created")
    ]
    new = {(touch.attribute, touch.dataset_id) for touch in touched}
    touched += [Touch(name, "deleted", dataset_id) for name, dataset_id in old - new]
    return Outcome(after, tuple(touched))


def append(
    before: Document | None,
    entity_id: str,
    fragment: Expanded,
    now: int,
    *,
    overwrite: bool = True,
    if_match: int | None = None,
) -> Outcome:
    """Append attributes, overwriting those that are there or leaving them (5.6.3); answers an UpdateResult."""
    draft = Draft(existing(before, entity_id, if_match), now)
    result = UpdateResult()
    for name, value in fragment["attrs"].items():
        for instance in instances(value):
            if not overwrite and draft.instance(name, instance.get("datasetId")) is not None:
                result.not_updated.append((name, "the attribute exists already and noOverwrite was asked for"))
            else:
                draft.put(name, instance)
                if name not in result.updated:
                    result.updated.append(name)
    draft.add_types(fragment.get("type", []))
    _scope_in(draft, fragment, overwrite=overwrite)
    return draft.finish(result)


def update(
    before: Document | None,
    entity_id: str,
    fragment: Expanded,
    now: int,
    *,
    if_match: int | None = None,
    nulls: bool = True,
) -> Outcome:
    """Update attributes: each given instance is replaced, appended or, by an NGSI-LD null, deleted (5.6.2, 5.5.8).

    `nulls` False says that there is no null.
    """
    draft = Draft(existing(before, entity_id, if_match), now)
    given = fragment["attrs"]
    if nulls and any_deletion(given):
        result = _update_or_delete(draft, given)
    else:
        draft.put_all(given)
        result = UpdateResult(list(given))
    draft.add_types(fragment.get("type", []))
    if "scope" in fragment:
        if "scope" in draft.members:
            draft.set_member("scope", fragment["scope"])
        else:
            result.not_updated.append(("scope", "the entity has no scope to replace; append one instead"))
    if "expires" in fragment:
        draft.set_member("expires", fragment["expires"])
    return draft.finish(result)


def _update_or_delete(draft: Draft, given: Mapping[str, Instance | list[Instance]]) -> UpdateResult:
    """Put instances in, or take out those that they ask to be deleted."""
    result = UpdateResult()
    for name, value in given.items():
        done = False
        for instance in instances(value):
            if not is_deletion(instance):
                draft.put(name, instance)
            elif not draft.remove(name, instance.get("datasetId")):
                result.not_updated.append((name, "there is no such attribute instance to delete"))
                continue
            done = True
        if done:
            result.updated.append(name)
    return result


def merge(
    before: Document | None,
    entity_id: str,
    fragment: Expanded,
    now: int,
    *,
    observed_at: str | None = None,
    lang: str | None = None,
    if_match: int | None = None,
) -> Outcome:
    """Merge a fragment into an entity to any depth (5.6.17, 5.5.12); answers an UpdateResult.

    `observed_at` is the common time for attributes that had an observedAt and bring none, `lang` the language of
    plain strings for LanguageProperties.
    """
    draft = Draft(existing(before, entity_id, if_match), now)
    result = UpdateResult()
    for name, value in fragment["attrs"].items():
        for instance in instances(value):
            old = draft.instance(name, instance.get("datasetId"))
            if is_deletion(instance):
                if not draft.remove(name, instance.get("datasetId")):
                    result.not_updated.append((name, "there is no such attribute instance to delete"))
                    continue
            else:
                draft.put(name, merged_instance(old, instance, observed_at=observed_at, lang=lang))
            if name not in result.updated:
                result.updated.append(name)
    draft.add_types(fragment.get("type", []))
    _scope_in(draft, fragment, overwrite=True)
    return draft.finish(result)


def _scope_in(draft: Draft, fragment: Expanded, *, overwrite: bool) -> None:
    """Take the scope and the expiry of a fragment in (5.6.3.4, 5.6.17.4)."""
    if "scope" in fragment:
        if overwrite or not draft.members.get("scope"):
            draft.set_member("scope", fragment["scope"])
        else:
            draft.members["scope"] = list(dict.fromkeys([*draft.members["scope"], *fragment["scope"]]))
    if "expires" in fragment and (overwrite or "expires" not in draft.members):
        draft.set_member("expires", fragment["expires"])


def _target(draft: Draft, name: str, dataset_id: str | None) -> Instance:
    """Return the instance that an operation on one attribute aims at. Raises ResourceNotFound."""
    old = draft.instance(name, dataset_id)
    if old is None:
        which = f"instance with datasetId {dataset_id}" if dataset_id else "default instance"
        raise ResourceNotFound(f"entity {draft.before['_id']} has no {which} of attribute {iri_of(name)}")
    return old


def partial_update(
    before: Document | None,
    entity_id: str,
    name: str,
    value: Instance | list[Instance],
    now: int,
    *,
    if_match: int | None = None,
) -> Outcome:
    """Update members of one attribute, leaving the others (5.6.4). Raises ResourceNotFound and BadRequestData."""
    draft = Draft(existing(before, entity_id, if_match), now)
    for fragment in instances(value):
        dataset_id = fragment.get("datasetId")
        old = _target(draft, name, dataset_id)
        if is_deletion(fragment):
            draft.remove(name, dataset_id)
            continue
        if fragment.get("type", old["type"]) != old["type"]:
            raise BadRequestData(
                f"type: the attribute is a {old['type']} and cannot become a {fragment['type']} in a partial update"
            )
        new = dict(old)
        for key, member in (fragment if "type" in fragment else typed(fragment, old)).items():
            if member == NULL or (key not in MEMBERS and isinstance(member, dict) and is_deletion(member)):
                new.pop(key, None)
            else:
                new[key] = member
        draft.put(name, new)
    return draft.finish()


def replace_attribute(
    before: Document | None,
    entity_id: str,
    name: str,
    value: Instance | list[Instance],
    now: int,
    *,
    if_match: int | None = None,
) -> Outcome:
    """Replace one attribute instance whole (5.6.19). Raises ResourceNotFound."""
    draft = Draft(existing(before, entity_id, if_match), now)
    for instance in instances(value):
        _target(draft, name, instance.get("datasetId"))
        draft.put(name, instance)
    return draft.finish()


def delete_attribute(
    before: Document | None,
    entity_id: str,
    name: str,
    now: int,
    *,
    dataset_id: str | None = None,
    delete_all: bool = False,
    if_match: int | None = None,
) -> Outcome:
    """Delete one instance of an attribute, or all of them (5.6.5); `name` "scope" deletes the scope."""
    draft = Draft(existing(before, entity_id, if_match), now)
    if name == "scope":
        if "scope" not in draft.members:
            raise ResourceNotFound(f"entity {entity_id} has no scope")
        draft.set_member("scope", NULL)
    elif delete_all:
        if not draft.remove_all(name):
            raise ResourceNotFound(f"entity {entity_id} has no attribute {iri_of(name)}")
    else:
        _target(draft, name, dataset_id)
        draft.remove(name, dataset_id)
    return draft.finish()


def purge(before: Document | None, now: int, *, keep: Collection[str] | None, drop: Collection[str] | None) -> Outcome:
    """Delete an entity, or the attributes to drop, or all but those to keep (5.6.21); "scope" may be among them."""
    if before is None:
        return Outcome(None)
    if keep is None and drop is None:
        return Outcome(None, all_touched(before, "deleted"))
    draft = Draft(before, now)
    for name in before["attrs"]:
        if (drop is not None and name in drop) or (keep is not None and name not in keep):
            draft.remove_all(name)
    if (drop is not None and "scope" in drop) or (keep is not None and "scope" not in keep):
        draft.set_member("scope", NULL)
    return draft.finish()


def expire(before: Document | None, now: int) -> Outcome:
    """Delete what has expired: the entity, or instances of its attributes (4.22)."""
    if before is None:
        return Outcome(None)
    if before.get("expires", now + 1) <= now:
        return Outcome(None, all_touched(before, "deleted"))
    draft = Draft(before, now)
    for name, dataset_id in list(expired(before, now)):
        draft.remove(name, dataset_id)
    return draft.finish()


def report(before: Document | None, entity: Expanded, now: int, *, static: Expanded | None = None) -> Outcome:
    """Take a device's report in: create the entity or put its attributes in, but never move the state backwards.

    An attribute that was observed before the one that is there stays out of the current state; the answer is the list
    of such (name, instance) pairs. An attribute without observedAt always counts as new. Attributes of `static` are
    put in where they differ from what is there.
    """
    if before is None:
        whole = entity if static is None else {**entity, "attrs": {**static["attrs"], **entity["attrs"]}}
        outcome = create(None, whole, now)
        outcome.answer = []
        return outcome
    draft = Draft(before, now)
    late: list[tuple[str, Instance]] = []
    if static is not None:
        for name, value in static["attrs"].items():
            if before["attrs"].get(name) != value and name not in entity["attrs"]:
                for instance in instances(value):
                    draft.put(name, instance)
    newer: dict[str, Instance | list[Instance]] = {}
    for name, value in entity["attrs"].items():
        kept = []
        for instance in instances(value):
            newest = draft.observed(name, instance.get("datasetId"))
            if newest is not None and "observedAt" in instance and parse_ms(instance["observedAt"]) < newest:
                late.append((name, instance))
            else:
                kept.append(instance)
        if kept:
            newer[name] = kept[0] if len(kept) == 1 else kept
    draft.put_all(newer)
    draft.add_types(entity.get("type", []))
    outcome = draft.finish(late)
    outcome.late = tuple((name, instance, system_times(instance, now)) for name, instance in late)
    return outcome
