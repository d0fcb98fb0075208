"""The log record of a change: only what it touched, before and after; and back again.

A record::

    {"_id": {"w": writer, "n": number}, "e": entity id, "k": "created" | "updated" | "deleted",
     "at": epoch ms, "v": version after the change (for a deletion: one more than the deleted one),
     "t": [[attribute, deed, dataset id or None], ...],
     "b": parts of the document before, "a": parts of the document after,
     "m": meta, only if there is any; "x": writer, only where the change is kept out of the history}

What a device reported too late for the current state is a record of kind "late", with the version that the entity has
then and the instances in "a"; it belongs to the history alone, and no state follows from it.

Parts of an update hold the touched attributes under "attrs" and "sys" and those other members that differ; a creation
has the whole document in "a", a deletion in "b". From a document and the records above its version, every
earlier state follows by undoing them, newest first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.broker.changes import Change, Document, Touch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tsunagu.schemas.entity import Instance

Record = dict[str, Any]
LATE = "late"
OTHERS = ("type", "scope", "expires", "due", "geo", "created", "modified", "v")


def parts(document: Document | None, names: set[str] | None, members: tuple[str, ...]) -> Document | None:
    """Return the named attributes and members of a document; the whole without its id if `names` is None."""
    if document is None:
        return None
    if names is None:
        return {key: value for key, value in document.items() if key != "_id"}
    found: Document = {member: document[member] for member in members if member in document}
    attrs, times = document["attrs"], document["sys"]
    found["attrs"] = {name: attrs[name] for name in names if name in attrs}
    found["sys"] = {name: times[name] for name in names if name in times}
    return found


def record_of(change: Change, *, history: bool = True) -> Record:
    """Return the log record of a change."""
    before, after = change.before, change.after
    names: set[str] | None = None
    differing: tuple[str, ...] = ()
    if before is not None and after is not None:
        names = {touch.attribute for touch in change.touched}
        differing = tuple(member for member in OTHERS if before.get(member) != after.get(member))
    version = after["v"] if after is not None else before["v"] + 1 if before is not None else 0
    record: Record = {
        "_id": {"w": change.writer, "n": change.number},
        "e": change.entity_id,
        "k": change.kind,
        "at": change.at,
        "v": version,
        "t": [[touch.attribute, touch.deed, touch.dataset_id] for touch in change.touched],
    }
    if before is not None:
        record["b"] = parts(before, names, differing)
    if after is not None:
        record["a"] = parts(after, names, differing)
    if change.meta:
        record["m"] = change.meta
    if not history:
        record["x"] = change.writer
    return record


def late_record(writer: str, number: int, document: Document, at: int, late: Iterable[tuple[str, Instance]]) -> Record:
    """Return the record of attribute instances that were observed before those of the current state."""
    attrs: dict[str, Any] = {}
    for name, instance in late:
        attrs.setdefault(name, []).append(instance)
    return {
        "_id": {"w": writer, "n": number},
        "e": document["_id"],
        "k": LATE,
        "at": at,
        "v": document["v"],
        "t": [[name, "late", one.get("datasetId")] for name, found in attrs.items() for one in found],
        "a": {"type": document["type"], "attrs": attrs},
    }


def _step(document: Document, names: set[str], source: Document, other: Document) -> Document:
    """Return the document with its touched attributes and differing members as in `source`."""
    result = dict(document)
    for member in OTHERS:
        if member in source:
            result[member] = source[member]
        elif member in other:
            result.pop(member, None)
    for tree in ("attrs", "sys"):
        branch = {name: value for name, value in document[tree].items() if name not in names}
        branch.update(source[tree])
        result[tree] = branch
    return result


def undo(record: Record, after: Document | None) -> Document | None:
    """Return the document before the change of a record, given the one after it."""
    if record["k"] == "created":
        return None
    if record["k"] == "deleted":
        return {"_id": record["e"], **record["b"]}
    if after is None:
        raise ValueError(f"record {record['_id']} changes an entity that is not there")
    return _step(after, {touch[0] for touch in record["t"]}, record["b"], record["a"])


def redo(record: Record, before: Document | None) -> Document | None:
    """Return the document after the change of a record, given the one before it."""
    if record["k"] == "deleted":
        return None
    if record["k"] == "created":
        return {"_id": record["e"], **record["a"]}
    if before is None:
        raise ValueError(f"record {record['_id']} changes an entity that is not there")
    return _step(before, {touch[0] for touch in record["t"]}, record["a"], record["b"])


def change_of(record: Record, tenant: str, before: Document | None, after: Document | None) -> Change:
    """Return the change that a record tells of, with the documents around it."""
    return Change(
        tenant=tenant,
        writer=record["_id"]["w"],
        number=record["_id"]["n"],
        entity_id=record["e"],
        kind=record["k"],
        at=record["at"],
        before=before,
        after=after,
        touched=tuple(Touch(name, deed, dataset) for name, deed, dataset in record["t"]),
        meta=record.get("m"),
    )
