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
late for the current state, what was provided to the temporal evolution, and what a change did at times too far from its
"h" (below). It has the version that the entity has then, and in "a" "attrs" and "sys" with a list for each attribute,
in the order of "t"; "scope" may be one of them.

A record tells instances observed at "h", or without observedAt where "h" is "at"; so an index serves any stretch of the
history. Where a change touches instances of several times that lie within SPREAD_MS of each other, its record tells
them all: "h" is the latest time then, "l" the earliest, "o" true if any is an observedAt, and an entry of "t" goes on
with its kind (None if it is not deleted), its time, and true if that is an observedAt. An entry without time is told by
a further record, of kind "late": those of other times. SPREAD_MS may grow, never shrink: readers count on it.

Parts of an update hold the touched attributes under "attrs" and "sys" and those other members that differ; a creation
has the whole document in "a", a deletion in "b". From a document and the records above its version, every
earlier state follows by undoing them, newest first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.broker.changes import Change, Document, Touch
from tsunagu.schemas.entity import instances

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tsunagu.broker.storage.writes import Late

Record = dict[str, Any]
Told = tuple[int, bool]  # a time in the history, epoch ms, and whether it is an observedAt
LATE = "late"
ERASED = "erased"
SCOPE = "scope"
LARGEST_LATE = 100
SPREAD_MS = 600_000
TIME = 4  # the place of the time in an entry of "t"
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
    for tree in ("attrs", "sys"):
        branch = document[tree]
        found[tree] = branch if branch.keys() <= names else {name: branch[name] for name in names if name in branch}
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
    if times.count(times[0]) == len(times):
        own["h"] = times[0][0]
        if times[0][1]:
            own["o"] = True
        return [own]
    entries = own["t"]
    moments = [time for time, _ in times]
    earliest, latest = min(moments), max(moments)
    if latest - earliest <= SPREAD_MS:
        _tell_several(own, entries, times, (earliest, latest))
        return [own]
    stretches = _stretches(moments)
    most = max(reversed(stretches), key=len)
    told = [times[position] for position in most]
    _tell_several(own, [entries[position] for position in most], told, (moments[most[0]], moments[most[-1]]))
    others = enumerate((stretch for stretch in stretches if stretch is not most), change.number + 1)
    return [own, *(_told_apart(change, number, entries, stretch) for number, stretch in others)]


def _record_of(change: Change) -> Record:
    """Return the record of a change, without what concerns the history."""
    before, after = change.before, change.after
    names: set[str] | None = None
    differing: Sequence[str] = ()
    if before is not None and after is not None:
        names = {name for name, _, _ in change.touched}
        differing = [member for member in OTHERS if before.get(member) != after.get(member)]
    version = after["v"] if after is not None else before["v"] + 1 if before is not None else 0
    record: Record = {
        "_id": {"w": change.writer, "n": change.number},
        "e": change.entity_id,
        "k": change.kind,
        "at": change.at,
        "v": version,
        "h": change.at,
        "t": [
            list(touch) if touch.deed != "deleted" or before is None else _deleted(touch, before)
            for touch in change.touched
        ],
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


def _deleted(touch: Touch, before: Document) -> list[Any]:
    """Return the entry of a deletion: it has the kind of what is deleted, which is nowhere else then."""
    for instance in instances(before["attrs"].get(touch.attribute, [])):
        if instance.get("datasetId") == touch.dataset_id:
            return [*touch, instance["type"]]
    return list(touch)


def _history_times(change: Change) -> list[Told]:
    """Return for each touch its time in the history, and whether that is an observedAt."""
    after, unobserved = change.after, (change.at, False)
    if after is None:
        return [unobserved] * len(change.touched)
    found = []
    attrs, sys = after["attrs"], after["sys"]
    for name, _, dataset_id in change.touched:
        times = sys.get(name)
        if type(times) is not dict:
            times = instance_of(after, name, dataset_id)[1]
        elif attrs[name].get("datasetId") != dataset_id:
            times = None
        found.append((times["o"], True) if times is not None and "o" in times else unobserved)
    return found


def _stretches(moments: Sequence[int]) -> list[list[int]]:
    """Return the positions of times in groups that one record may tell, those of a group in the order of the times."""
    found: list[list[int]] = []
    for position in sorted(range(len(moments)), key=moments.__getitem__):
        if found and moments[position] - moments[found[-1][0]] <= SPREAD_MS:
            found[-1].append(position)
        else:
            found.append([position])
    return found


def _tell_several(record: Record, entries: Sequence[list[Any]], times: Sequence[Told], span: tuple[int, int]) -> None:
    """Make a record tell these entries of its "t" at their times, in parallel, which lie in `span`."""
    observed = False
    for entry, told in zip(entries, times, strict=True):
        give_time(entry, told)
        observed = observed or told[1]
    record["l"], record["h"] = span
    if observed:
        record["o"] = True


def give_time(entry: list[Any], told: Told) -> None:
    """Add its time to an entry of "t" of a record that tells several times."""
    if len(entry) < TIME:
        entry.append(None)
    entry.append(told[0])
    if told[1]:
        entry.append(True)


def tells(record: Record, time: Told) -> bool:
    """Return whether an instance of this time may stand in a record, without changing the record's times."""
    if "l" in record:
        return bool(record["l"] <= time[0] <= record["h"])
    return time == (record["h"], record.get("o", False))


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


def _told_apart(change: Change, number: int, entries: Sequence[list[Any]], positions: Sequence[int]) -> Record:
    """Return the late record of what a change did at other times than its own record tells: the entries there."""
    late: list[Late] = []
    for position in positions:
        touch = change.touched[position]
        instance, times = (None, None)
        if change.after is not None and touch.deed != "deleted":
            instance, times = instance_of(change.after, touch.attribute, touch.dataset_id)
        late.append((touch.attribute, instance, times))
    told = [list(entries[position]) for position in positions]
    return _late_record(change.writer, number, change.after or change.before or {}, change.at, late, entries=told)


def late_records(writer: str, number: int, document: Document, at: int, late: Sequence[Late]) -> list[Record]:
    """Return the records, numbered from `number` on, of attribute instances that belong to the history alone.

    `document` gives the entity's id, types and version.
    """
    groups = [
        [late[position] for position in stretch[start : start + LARGEST_LATE]]
        for stretch in _stretches([told_at(times, at)[0] for _, _, times in late])
        for start in range(0, len(stretch), LARGEST_LATE)
    ]
    return [_late_record(writer, number + index, document, at, group) for index, group in enumerate(groups)]


def _late_record(
    writer: str,
    number: int,
    document: Document,
    at: int,
    late: Sequence[Late],
    *,
    entries: list[list[Any]] | None = None,
) -> Record:
    """Return one late record; `entries` are those of "t", where they do not follow from the instances."""
    attrs: dict[str, list[Any]] = {}
    sys: dict[str, list[Any]] = {}
    for name, instance, times in late:
        attrs.setdefault(name, []).append(instance)
        sys.setdefault(name, []).append(times)
    record: Record = {
        "_id": {"w": writer, "n": number},
        "e": document["_id"],
        "k": LATE,
        "at": at,
        "v": document["v"],
        "h": at,
        "t": [_late_entry(*one) for one in late] if entries is None else entries,
        "a": {"type": document["type"], "attrs": attrs, "sys": sys},
    }
    told = [told_at(times, at) for _, _, times in late]
    if told.count(told[0]) == len(told):
        record["h"] = told[0][0]
        if told[0][1]:
            record["o"] = True
    else:
        moments = [time for time, _ in told]
        _tell_several(record, record["t"], told, (min(moments), max(moments)))
    if SCOPE in attrs:
        record["s"] = True
    return record


def _late_entry(name: str, instance: Any, times: dict[str, Any] | None) -> list[Any]:
    dataset_id = None if instance is None else instance.get("datasetId")
    if instance is not None and times is not None and "d" in times:
        return [name, "deleted", dataset_id, instance["type"]]
    return [name, LATE, dataset_id]


def told_at(times: dict[str, Any] | None, at: int) -> Told:
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
