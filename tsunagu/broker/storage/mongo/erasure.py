"""Log records without what was taken out of the history, and with what was corrected there. Pure.

A record keeps the places in its "t", so that the instanceIds of the others stay: an erased entry becomes [name,
"erased", datasetId], followed by the id of the record that holds the instance now if it was only moved. Values go for
good, also out of what was before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.broker.storage.mongo.facts import instance_id
from tsunagu.broker.storage.mongo.records import (
    ERASED,
    LATE,
    entries_of,
    instance_of,
    late_records,
    timed_entry,
    told_at,
)
from tsunagu.schemas.entity import instances

PLACES = 100_000

if TYPE_CHECKING:
    from collections.abc import Callable

    from tsunagu.broker.changes import Document
    from tsunagu.broker.storage.mongo.records import Record
    from tsunagu.schemas.entity import Instance

    Wanted = Callable[[int, str, str | None], bool]


def erased(record: Record, wanted: Wanted) -> Record:
    """Return the record without the instances that are `wanted`, given place, attribute and datasetId."""
    entries = entries_of(record)
    result = {**record, "t": entries}
    for side in ("a", "b"):
        if side in record:
            result[side] = {**record[side], "attrs": dict(record[side]["attrs"]), "sys": dict(record[side]["sys"])}
    positions: dict[str, int] = {}
    for place, (name, deed, dataset_id, *_) in enumerate(entries):
        position = positions[name] = positions.get(name, -1) + 1
        if deed == ERASED or not wanted(place, name, dataset_id):
            continue
        entries[place] = [name, ERASED, dataset_id]
        if record["k"] == LATE:
            for tree in ("attrs", "sys"):
                values = list(result["a"][tree][name])
                values[position] = None
                result["a"][tree][name] = values
        else:
            for side in ("a", "b"):
                drop(result.get(side), name, dataset_id)
    if all(entry[1] == ERASED for entry in entries) and "s" not in result:
        result["x"] = record["_id"]["w"]
    return result


def drop(part: Document | None, name: str, dataset_id: str | None, like: Instance | None = None) -> None:
    """Take an instance of an attribute out of a part of a document; with `like`, only if it equals that."""
    if part is None or name not in part["attrs"]:
        return
    kept = [
        (instance, times)
        for instance, times in zip(instances(part["attrs"][name]), instances(part["sys"][name]), strict=True)
        if instance.get("datasetId") != dataset_id or (like is not None and instance != like)
    ]
    if not kept:
        del part["attrs"][name], part["sys"][name]
    else:
        part["attrs"][name] = kept[0][0] if len(kept) == 1 else [instance for instance, _ in kept]
        part["sys"][name] = kept[0][1] if len(kept) == 1 else [times for _, times in kept]


def found_at(record: Record, place: int, name: str) -> tuple[Instance, dict[str, Any]] | None:
    """Return the instance of an attribute at a place of a record, and its TIMES; both empty for a deletion.

    None if something else stands there, or nothing any more.
    """
    entries = entries_of(record)
    if place >= len(entries) or entries[place][0] != name or entries[place][1] == ERASED:
        return None
    part: Document = record.get("a", {"attrs": {}, "sys": {}})
    if record["k"] == LATE:
        position = sum(entry[0] == name for entry in entries[:place])
        return part["attrs"][name][position] or {}, part["sys"][name][position] or {}
    instance, times = instance_of(part, name, entries[place][2])
    return instance or {}, times or {}


def corrected(record: Record, place: int, instance: Instance, times: dict[str, Any]) -> Record:
    """Return the record with another instance at a place, of the same attribute and datasetId, and TIMES."""
    entries = entries_of(record)
    name, _, dataset_id, *_ = entries[place]
    result = {**record, "t": entries}
    part = result["a"] = {"attrs": {}, "sys": {}, **record.get("a", {})}
    part["attrs"], part["sys"] = dict(part["attrs"]), dict(part["sys"])
    deed = "deleted" if "d" in times else LATE if record["k"] == LATE else "updated"
    entry = [name, deed, dataset_id, instance["type"]] if deed == "deleted" else [name, deed, dataset_id]
    if "l" in record:
        time = told_at(times, record["at"])
        entry = timed_entry(entry, time)
        if time[1]:
            result["o"] = True
    entries[place] = entry
    if record["k"] == LATE:
        position = sum(entry[0] == name for entry in entries[:place])
    else:
        known = [one.get("datasetId") for one in instances(part["attrs"].get(name, []))]
        position = known.index(dataset_id) if dataset_id in known else len(known)
    for tree, value in (("attrs", instance), ("sys", times)):
        values = list(instances(part[tree].get(name, [])))
        values[position : position + 1] = [value]
        part[tree][name] = values[0] if len(values) == 1 and record["k"] != LATE else values
    return result


def moved(record: Record, place: int, instance: Instance, times: dict[str, Any]) -> Record:
    """Return a late record that holds, under its old instanceId, what stood at a place of a record.

    Its id follows from that of the record, of a pseudo-writer: a correction has no number of its own in the log.
    """
    name = entries_of(record)[place][0]
    own = record["_id"]
    part: Document = record["a"] if "a" in record else record["b"]
    document = {"_id": record["e"], "v": record["v"], "type": part.get("type", [])}
    (result,) = late_records("", 0, document, record["at"], [(name, instance, times)])
    result["_id"] = {"w": f"{own['w']}~", "n": own["n"] * PLACES + place}
    result["ids"] = {"0": instance_id(record, place)}
    return result
