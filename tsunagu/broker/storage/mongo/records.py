"""The log record of a change: only what it touched, before and after; and back again.

A record::

    {"_id": {"w": writer, "n": number}, "e": entity id, "k": "created" | "updated" | "deleted",
     "at": epoch ms, "v": version after the change (for a deletion: one more than the deleted one),
     "h": the time in the history, epoch ms, "o": true if that is an observedAt, absent if it is "at",
     "s": true if the scope is another one after the change, absent otherwise,
     "t": [[attribute, deed, dataset id or None], ...], of a deleted instance also its kind,
     "b": parts of the document before, "a": parts of the document after,
     "m": meta, only if there is any; "x": writer, only where the change is kept out of the history}

What belongs to the history alone, and no state follows from it, is a record of kind "late": what a device reported too
late for the current state, what was provided to the temporal evolution, and what a change did at other times than its
"h" (below). It has the version that the entity has then, and in "a" "attrs" and "sys" with a list for each attribute,
in the order of "t"; "scope" may be one of them.

A record tells the history of one time only, so that an index serves any stretch of it: an instance observed at "h", or
without observedAt where "h" is "at". If a change touches instances of several times, its own record has the time of
most of them, and a further late record tells the others.

Parts of an update hold the touched attributes under "attrs" and "sys" and those other members that differ; a creation
has the whole document in "a", a deletion in "b". From a document and the records above its version, every
earlier state follows by undoing them, newest first.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from tsunagu.broker.changes import Change, Document, Touch
from tsunagu.schemas.entity import instances

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tsunagu.broker.storage.writes import Late

Record = dict[str, Any]
LATE = "late"
ERASED = "erased"
SCOPE = "scope"
LARGEST_LATE = 100
OTHERS = ("type", "scope", "expires", "due", "geo", "created", "modified", "v")


def parts(document: Document | None, names: set[str] | None, members: Sequence[str]) -> Document | None:
    """Return the named attributes and members of a document; the whole without its id if `names` is None."""
    if document is None:
        return None
    if names is None:
        whole = dict(document)
        whole.pop("_id", None)
        return whole
    found: Document = {member: document[member] for member in members if member in document}
    attrs, times = document["attrs"], document["sys"]
    found["attrs"] = {name: attrs[name] for name in names if name in attrs}
    found["sys"] = {name: times[name] for name in names if name in times}
    return found


def records_of(change: Change, *, history: bool = True) -> list[Record]:
    """Return the log records of a change: its own, and those of what it did at other times of the history.

    They are numbered from the change's number on.
    """
    own = _record_of(change)
    if not history:
        own["x"] = change.writer
        return [own]
    times = _history_times(change)
    if not times:
        return [own]
    counts = Counter(times) if len(times) > 1 else {times[0]: 1}
    most = times[0] if len(counts) == 1 else max(counts, key=counts.__getitem__)
    own["h"] = most[0]
    if most[1]:
        own["o"] = True
    if len(counts) == 1:
        return [own]
    others = enumerate((time for time in counts if time != most), change.number + 1)
    return [own, *(_told_apart(change, number, time, times) for number, time in others)]


def _record_of(change: Change) -> Record:
    """Return the record of a change, without what concerns the history."""
    before, after = change.before, change.after
    names: set[str] | None = None
    differing: Sequence[str] = ()
    if before is not None and after is not None:
        names = {touch.attribute for touch in change.touched}
        differing = [member for member in OTHERS if before.get(member) != after.get(member)]
    version = after["v"] if after is not None else before["v"] + 1 if before is not None else 0
    record: Record = {
        "_id": {"w": change.writer, "n": change.number},
        "e": change.entity_id,
        "k": change.kind,
        "at": change.at,
        "v": version,
        "h": change.at,
        "t": [_entry(touch, before) for touch in change.touched],
    }
    if (before or {}).get("scope") != (after or {}).get("scope"):
        record["s"] = True
    if before is not None:
        record["b"] = parts(before, names, differing)
    if after is not None:
        record["a"] = parts(after, names, differing)
    if change.meta:
        record["m"] = change.meta
    return record


def _entry(touch: Touch, before: Document | None) -> list[Any]:
    """Return a touch as it stands in a record; what is deleted has its kind, which is nowhere else then."""
    if touch.deed == "deleted" and before is not None:
        for instance in instances(before["attrs"].get(touch.attribute, [])):
            if instance.get("datasetId") == touch.dataset_id:
                return [touch.attribute, touch.deed, touch.dataset_id, instance["type"]]
    return list(touch)


def _history_times(change: Change) -> list[tuple[int, bool]]:
    """Return for each touch its time in the history, and whether that is an observedAt."""
    after, unobserved = change.after, (change.at, False)
    if after is None:
        return [unobserved] * len(change.touched)
    found = []
    for name, _, dataset_id in change.touched:
        times = instance_of(after, name, dataset_id)[1]
        found.append((times["o"], True) if times is not None and "o" in times else unobserved)
    return found


def instance_of(document: Document, name: str, dataset_id: str | None) -> tuple[Any, Any]:
    """Return an instance of an attribute and its TIMES; (None, None) if there is none."""
    value = document["attrs"].get(name)
    if value is None:
        return None, None
    times = document["sys"][name]
    if type(value) is dict:
        return (value, times) if value.get("datasetId") == dataset_id else (None, None)
    for instance, time in zip(value, times, strict=True):
        if instance.get("datasetId") == dataset_id:
            return instance, time
    return None, None


def _told_apart(change: Change, number: int, time: tuple[int, bool], times_of: list[tuple[int, bool]]) -> Record:
    """Return the late record of what a change did at another time than most of it; `times_of` its touches."""
    late: list[Late] = []
    entries = []
    for touch, own in zip(change.touched, times_of, strict=True):
        if own != time:
            continue
        instance, times = (None, None)
        if change.after is not None and touch.deed != "deleted":
            instance, times = instance_of(change.after, touch.attribute, touch.dataset_id)
        late.append((touch.attribute, instance, times))
        entries.append(_entry(touch, change.before))
    record = _late_record(change.writer, number, change.after or change.before or {}, change.at, late)
    record["t"] = entries
    return record


def late_records(writer: str, number: int, document: Document, at: int, late: Iterable[Late]) -> list[Record]:
    """Return the records, numbered from `number` on, of attribute instances that belong to the history alone.

    `document` gives the entity's id, types and version.
    """
    by_time: dict[tuple[int, bool], list[Late]] = {}
    for one in late:
        by_time.setdefault(_late_time(one[2], at), []).append(one)
    groups = [
        found[start : start + LARGEST_LATE]
        for found in by_time.values()
        for start in range(0, len(found), LARGEST_LATE)
    ]
    return [_late_record(writer, number + index, document, at, group) for index, group in enumerate(groups)]


def _late_record(writer: str, number: int, document: Document, at: int, late: Sequence[Late]) -> Record:
    """Return one late record; its instances are all of one time."""
    attrs: dict[str, list[Any]] = {}
    sys: dict[str, list[Any]] = {}
    entries: list[list[Any]] = []
    for name, instance, times in late:
        attrs.setdefault(name, []).append(instance)
        sys.setdefault(name, []).append(times)
        dataset_id = None if instance is None else instance.get("datasetId")
        if instance is not None and times is not None and "d" in times:
            entries.append([name, "deleted", dataset_id, instance["type"]])
        else:
            entries.append([name, LATE, dataset_id])
    time, observed = _late_time(late[0][2], at)
    record: Record = {
        "_id": {"w": writer, "n": number},
        "e": document["_id"],
        "k": LATE,
        "at": at,
        "v": document["v"],
        "h": time,
        "t": entries,
        "a": {"type": document["type"], "attrs": attrs, "sys": sys},
    }
    if observed:
        record["o"] = True
    if SCOPE in attrs:
        record["s"] = True
    return record


def _late_time(times: dict[str, Any] | None, at: int) -> tuple[int, bool]:
    """Return the time in the history of an instance with these TIMES, and whether that is an observedAt."""
    if times is None:
        return at, False
    return (times["o"], True) if "o" in times else (times.get("d", at), False)


def touched_names(record: Record) -> set[str]:
    """Return the attributes that a record tells of."""
    return {entry[0] for entry in record["t"] if entry[1] != ERASED}


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
    return _step(after, touched_names(record), record["b"], record["a"])


def redo(record: Record, before: Document | None) -> Document | None:
    """Return the document after the change of a record, given the one before it."""
    if record["k"] == "deleted":
        return None
    if record["k"] == "created":
        return {"_id": record["e"], **record["a"]}
    if before is None:
        raise ValueError(f"record {record['_id']} changes an entity that is not there")
    return _step(before, touched_names(record), record["a"], record["b"])


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
        touched=tuple(Touch(*entry[:3]) for entry in record["t"] if entry[1] != ERASED),
        meta=record.get("m"),
    )
