"""The write statement for one entity: from its state as it was read to that after a group; and the records between.

What a statement and a record have in common is encoded once: encoding is a quarter of what a batch costs the broker.
Such parts of a record become RawBSONDocuments here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bson
from bson.raw_bson import RawBSONDocument

from tsunagu.broker.storage.mongo.keys import KEYS, held, keys_differ, keys_of
from tsunagu.broker.storage.mongo.records import WHOLE, difference, is_whole, touched_names
from tsunagu.broker.storage.mongo.usual_times import leave_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tsunagu.broker.changes import Document
    from tsunagu.broker.storage.mongo.records import Record

Statement = dict[str, Any]


def insertion(new: Document, records: Sequence[Record]) -> Document | RawBSONDocument:
    """Return the document to insert for a new entity; the record of its creation, if that is all, shares its bytes.

    Raises what `bson.encode` raises.
    """
    if len(records) > 1:
        return held(new)
    return _shared(held(new), records[0])


def update(old: Document, new: Document, records: Sequence[Record], *, whole: int | None = None) -> Statement:
    """Return the update from `old`: only what differs, so that other indexes stay alone.

    `whole` is the version whose record tells all attributes, see WHOLE. Raises what `bson.encode` raises.
    """
    if new["created"] != old["created"]:
        return held(new)
    if len(records) > 1:
        return _of_parts(old, new, *difference(old, new, set().union(*map(touched_names, records))))
    record = records[0]
    if not is_whole(record):
        return _of_parts(old, new, record["b"], record["a"])
    values = record["a"]
    if keys_differ(old, new, values, values):
        values[KEYS] = keys_of(new)
    shared = _shared(values, record)
    if whole == old["v"] and "type" not in values and "expires" not in values:
        del record["b"]
        record["p"] = True
    return {"$set": shared}


def _shared(part: Document, record: Record) -> RawBSONDocument:
    """Return the part after a whole change as MongoDB holds it, and give it to the record, too.

    It says that its record tells all, if that stays in the log. Raises what `bson.encode` raises.
    """
    if "x" not in record:
        part[WHOLE] = part["v"]
    leave_out(part)
    record["a"] = shared = RawBSONDocument(bson.encode(part))
    return shared


def _of_parts(old: Document, new: Document, left: Document, right: Document) -> Statement:
    """Return the update that puts the parts `right` in the place of the parts `left`."""
    attrs, touched = new["attrs"], right["attrs"]
    gone = {member: "" for member in left if member not in right}
    values = {member: value for member, value in right.items() if member not in ("attrs", "sys")}
    if 2 * len(touched) > len(attrs) + 1:
        values["attrs"], values["sys"] = attrs, new["sys"]
    else:
        for name, value in touched.items():
            values["attrs." + name] = value
            values["sys." + name] = right["sys"][name]
        for name in left["attrs"]:
            if name not in touched:
                gone["attrs." + name] = ""
                gone["sys." + name] = ""
    if keys_differ(old, new, left, right):
        values[KEYS] = keys_of(new)
    return {"$set": values, "$unset": gone} if gone else {"$set": values}
