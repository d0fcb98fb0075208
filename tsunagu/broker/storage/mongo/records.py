"""The log record of a change: only what it touched, before and after. For the way back see `states.py`.

A record::

    {"_id": {"w": writer, "n": number}, "e": entity id, "k": "created" | "updated" | "deleted",
     "at": epoch ms, "v": version after the change (for a deletion: one more than the deleted one),
     "h": the time in the history, epoch ms, "o": true if that is an observedAt, absent if it is "at",
     "s": true if the scope is another one after the change, absent otherwise,
     "t": [attribute | [attribute, deed, dataset id or None], ...], of a deleted instance also its kind,
     "b": parts of the document before, "a": parts of the document after, or "p": true in the place of "b" (below),
     "m": meta, only if there is any; "x": writer, only where the change is kept out of the history}

An attribute's name alone in "t" stands for the usual entry, see `entries_of`.

What belongs to the history alone, and no state follows from it, is a record of kind "late": what a device reported too
late for the current state, what was provided to the temporal evolution, and what a change did at times too far from its
"h" (below). It has the version that the entity has then, and in "a" "attrs" and "sys" with a list for each attribute,
in the order of "t"; "scope" may be one of them.

A record tells instances observed at "h", or without observedAt where "h" is "at"; so an index serves any stretch of the
history. Where a change touches instances of several times that lie within SPREAD_MS of each other, its record tells
them all: "h" is the latest time then, "l" the earliest, "o" true if any is an observedAt, and an entry of "t" goes on
with its kind (None if it is not deleted), its time, and true if that is an observedAt. An entry without time is told by
a further record, of kind "late": those of other times. SPREAD_MS may grow, never shrink: readers count on it.

Parts of an update hold the touched attributes under "attrs" and "sys" and those other members that differ. A creation
has the whole document in "a", a deletion in "b"; whole ones may be as MongoDB holds them, with members of their own. In
MongoDB "a" of a creation, or of a whole update, may lack the times that attributes share (`usual_times`).

An update is *whole* if it touched all attributes, before and after it, and there is no scope, nor is another member
there that was not there before. Then "b" is the whole document; or, with "p": true, there is no "b": all that was
before is what the record of the version below has after it, a creation or a whole update, too.

From a document and the records above its version, every earlier state follows by undoing them, newest first.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from tsunagu.schemas.entity import instances

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tsunagu.broker.changes import Change, Document, Touch
    from tsunagu.broker.storage.writes import Late

Record = dict[str, Any]
Told = tuple[int, bool]  # a time in the history, epoch ms, and whether it is an observedAt
LATE = "late"
ERASED = "erased"
SCOPE = "scope"
LARGEST_LATE = 100
SPREAD_MS = 600_000
_attribute = itemgetter(0)  # of a touch
WHOLE = "whole"
"""A member of what MongoDB holds of an entity: the version whose record tells all attributes, if it is in the log."""
TIME = 4  # the place of the time in an entry of "t"
MAY_DIFFER = ("type", "expires", "due", "geo")  # of entities without scope
MEMBERS = (*MAY_DIFFER, "scope", "created")
OTHERS = (*MEMBERS, "modified", "v")


def difference(before: Document, after: Document, names: set[str]) -> tuple[Document, Document]:
    """Return the parts of two states of an entity: these attributes, and what else differs."""
    old: Document = {"modified": before["modified"], "v": before["v"]}
    new: Document = {"modified": after["modified"], "v": after["v"]}
    for member in MEMBERS:
        one, other = before.get(member), after.get(member)
        if one is other or one == other:
            continue
        if member in before:
            old[member] = one
        if member in after:
            new[member] = other
    for document, part in ((before, old), (after, new)):
        attrs, sys = document["attrs"], document["sys"]
        if attrs.keys() <= names:
            part["attrs"], part["sys"] = attrs, sys
        else:
            found = names & attrs.keys()
            part["attrs"] = {name: attrs[name] for name in found}
            part["sys"] = {name: sys[name] for name in found}
    return old, new


def is_whole(record: Record) -> bool:
    """Return whether the record of an update is of all attributes, before and after it."""
    return "p" in record or "created" in record["b"]


def entries_of(record: Record) -> list[list[Any]]:
    """Return the entries of a record's "t" in full.

    A name alone is a default instance that the change created or updated, as it did the entity. In a record that tells
    several times it is told at "at", without an observedAt.
    """
    rest = [_usual(record["k"]), None]
    if "l" in record:
        rest += [None, record["at"]]
    return [[entry, *rest] if type(entry) is str else entry for entry in record["t"]]


def _usual(kind: str) -> str:
    """Return the deed of a usual entry in the record of a change of this kind."""
    return "created" if kind == "created" else "updated"


def records_of(change: Change, *, history: bool = True) -> list[Record]:
    """Return the log records of a change: its own, and those of what it did at other times of the history.

    They are numbered from the change's number on.
    """
    entries, times = _told(change)
    own = _record_of(change, entries)
    if not history:
        own["x"] = change.writer
        return [own]
    if not times:
        return [own]
    different = set(times.values())
    if len(times) < len(entries):
        different.add((change.at, False))
    ordered = sorted(different)
    if len(ordered) == 1:
        _tell(own, ordered)
        return [own]
    if ordered[-1][0] - ordered[0][0] <= SPREAD_MS:
        for position, told in times.items():
            entries[position] = timed_entry(_full(entries[position], change), told)
        _tell(own, ordered)
        return [own]
    return _in_stretches(change, own, [times.get(position, (change.at, False)) for position in range(len(entries))])


def _in_stretches(change: Change, own: Record, times: Sequence[Told]) -> list[Record]:
    """Return the records of a change whose times lie too far apart for one: its own tells those of most instances."""
    own["t"] = entries = [_full(entry, change) for entry in own["t"]]
    stretches = _stretches([time for time, _ in times])
    most = max(reversed(stretches), key=len)
    for position in most:
        entries[position] = timed_entry(entries[position], times[position])
    _tell(own, sorted({times[position] for position in most}), several=True)
    others = enumerate((stretch for stretch in stretches if stretch is not most), change.number + 1)
    return [own, *(_told_apart(change, number, entries, stretch) for number, stretch in others)]


def _record_of(change: Change, entries: list[Any]) -> Record:
    """Return the record of a change with these entries, without what concerns the history."""
    before, after = change.before, change.after
    record: Record = {
        "_id": {"w": change.writer, "n": change.number},
        "e": change.entity_id,
        "k": change.kind,
        "at": change.at,
        "v": change.version if after is None else after["v"],
        "h": change.at,
        "t": entries,
    }
    if before is not None and after is not None:
        names = set(map(_attribute, change.touched))
        every = before["attrs"].keys() <= names and after["attrs"].keys() <= names
        if every and before.keys() == after.keys() and SCOPE not in before:
            record["b"] = before
            record["a"] = new = {
                "modified": after["modified"],
                "v": after["v"],
                "attrs": after["attrs"],
                "sys": after["sys"],
            }
            for member in MAY_DIFFER:
                if member in after and after[member] != before[member]:
                    new[member] = after[member]
        else:
            record["b"], record["a"] = old, new = difference(before, after, names)
            if SCOPE in old or SCOPE in new:
                record["s"] = True
    else:
        for document, part in ((before, "b"), (after, "a")):
            if document is not None:
                record[part] = document
                if SCOPE in document:
                    record["s"] = True
    if change.meta:
        record["m"] = change.meta
    return record


def _told(change: Change) -> tuple[list[Any], dict[int, Told]]:
    """Return an entry for each touch, and by its place the time of each that is not a name alone, told at "at"."""
    before, after, at = change.before, change.after, change.at
    if after is None:
        gone = [_entry(touch, before) for touch in change.touched]
        return gone, dict.fromkeys(range(len(gone)), (at, False))
    usual = _usual(change.kind)
    entries: list[Any] = []
    told: dict[int, Told] = {}
    attrs, sys = after["attrs"], after["sys"]
    for touch in change.touched:
        name, deed, dataset_id = touch
        times = sys.get(name)
        if type(times) is dict and deed == usual and dataset_id is None and "datasetId" not in attrs[name]:
            if "o" in times:
                told[len(entries)] = (times["o"], True)
            entries.append(name)
        else:
            times = instance_of(after, name, dataset_id)[1]
            told[len(entries)] = (at, False) if times is None or "o" not in times else (times["o"], True)
            entries.append(_entry(touch, before))
    return entries, told


def _entry(touch: Touch, before: Document | None) -> list[Any]:
    return list(touch) if touch.deed != "deleted" or before is None else _deleted(touch, before)


def _full(entry: Any, change: Change) -> list[Any]:
    return [entry, _usual(change.kind), None] if type(entry) is str else entry


def _deleted(touch: Touch, before: Document) -> list[Any]:
    """Return the entry of a deletion: it has the kind of what is deleted, which is nowhere else then."""
    for instance in instances(before["attrs"].get(touch.attribute, [])):
        if instance.get("datasetId") == touch.dataset_id:
            return [*touch, instance["type"]]
    return list(touch)


def _stretches(moments: Sequence[int]) -> list[list[int]]:
    """Return the positions of times in groups that one record may tell, those of a group in the order of the times."""
    found: list[list[int]] = []
    for position in sorted(range(len(moments)), key=moments.__getitem__):
        if found and moments[position] - moments[found[-1][0]] <= SPREAD_MS:
            found[-1].append(position)
        else:
            found.append([position])
    return found


def _tell(record: Record, times: Sequence[Told], *, several: bool = False) -> None:
    """Say in a record which times it tells, given in order; `several`: its entries have times even if it is one."""
    if several or len(times) > 1:
        record["l"] = times[0][0]
    record["h"] = times[-1][0]
    for _, observed in times:
        if observed:
            record["o"] = True


def timed_entry(entry: list[Any], told: Told) -> list[Any]:
    """Return a full entry with its time, for a record that tells several."""
    timed = [*entry, told[0]] if len(entry) == TIME else [*entry, None, told[0]]
    return [*timed, True] if told[1] else timed


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
    if len(set(told)) > 1:
        record["t"] = [timed_entry(entry, time) for entry, time in zip(record["t"], told, strict=True)]
    _tell(record, sorted(set(told)))
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
    return {entry[0] for entry in entries_of(record) if entry[1] != ERASED}
