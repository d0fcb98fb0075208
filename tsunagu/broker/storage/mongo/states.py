"""From log records back to the states of entities and to changes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsunagu.broker.changes import Change, Touch
from tsunagu.broker.storage.mongo.keys import FORMER, KEYS
from tsunagu.broker.storage.mongo.records import ERASED, OTHERS, WHOLE, entries_of, is_whole, touched_names
from tsunagu.broker.storage.mongo.usual_times import fill_in
from tsunagu.schemas.derived import complete

if TYPE_CHECKING:
    from tsunagu.broker.changes import Document
    from tsunagu.broker.storage.mongo.records import Record


def _step(document: Document, names: set[str], source: Document, other: Document) -> Document:
    """Return the document with its touched attributes and differing members as in `source`; `other` is what was."""
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


def bare(document: Document) -> Document:
    """Give a document as MongoDB has it the stored form that the rest of the broker reads, in place; return it."""
    document.pop(KEYS, None)
    document.pop(WHOLE, None)
    document.pop(FORMER, None)
    return fill_in(document)


def undo(record: Record, after: Document | None, below: Record | None = None) -> Document | None:
    """Return the document before the change of a record, given the one after it.

    `below` is the record of the version before, if there is one; only a record with "p" needs it. What was before is
    empty if its history was erased meanwhile. Raises ValueError if `after` is lacking.
    """
    if record["k"] == "created":
        return None
    if record["k"] == "deleted":
        return bare({**record["b"], "_id": record["e"]})
    if after is None:
        raise ValueError(f"record {record['_id']} changes an entity that is not there")
    if "p" not in record:
        return _step(after, touched_names(record), record["b"], record["a"])
    known: Document = {"attrs": {}, "sys": {}} if below is None else below["a"]
    before = {**after, "attrs": known["attrs"], "sys": known["sys"], "v": record["v"] - 1}
    before["modified"] = known.get("modified", after["modified"])
    for member in ("geo", "due"):
        before.pop(member, None)
    complete(before)
    return before


def redo(record: Record, before: Document | None) -> Document | None:
    """Return the document after the change of a record, given the one before it."""
    if record["k"] == "deleted":
        return None
    if record["k"] == "created":
        return bare({**record["a"], "_id": record["e"]})
    if before is None:
        raise ValueError(f"record {record['_id']} changes an entity that is not there")
    vanished = {} if is_whole(record) else record["b"]
    return _step(before, touched_names(record), record["a"], vanished)


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
        touched=tuple(Touch(*entry[:3]) for entry in entries_of(record) if entry[1] != ERASED),
        meta=record.get("m"),
    )
