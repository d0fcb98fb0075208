"""From a log record to the instances of the temporal evolution that it tells. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.broker.storage.history import SCOPE, Fact
from tsunagu.broker.storage.mongo.records import ERASED, LATE, TIME, entries_of, instance_of, tells, told_at
from tsunagu.schemas.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tsunagu.broker.storage.mongo.records import Record

PREFIX = "urn:ngsi-ld:instance:"
SCOPE_PLACE = "scope"
KIND = 3  # the place of the kind in an entry of "t"
LONGEST = 18  # digits that fit into 64 bits


def instance_id(record: Record, place: int | str) -> str:
    """Return the instanceId of what stands at a place of a record's "t", or of the scope that it set."""
    kept: str | None = record.get("ids", {}).get(str(place))
    return kept or f"{PREFIX}{record['_id']['w']}-{record['_id']['n']}-{place}"


def parse_instance_id(text: str) -> tuple[dict[str, Any], int | str] | None:
    """Return the id of the record and the place that an instanceId names; None if it cannot be one of ours."""
    writer, _, rest = text.removeprefix(PREFIX).partition("-")
    number, _, place = rest.partition("-")
    if not text.startswith(PREFIX) or not (number.isascii() and number.isdigit() and len(number) <= LONGEST):
        return None
    if place == SCOPE_PLACE:
        return {"w": writer, "n": int(number)}, place
    if not (place.isascii() and place.isdigit() and len(place) <= LONGEST):
        return None
    return {"w": writer, "n": int(number)}, int(place)


def facts_of(record: Record) -> Iterator[Fact]:
    """Yield the attribute instances that a record tells, as far as "a" has them; the scope is not among them."""
    late = record["k"] == LATE
    after = {"attrs": {}, "sys": {}, **record.get("a", {})}
    positions: dict[str, int] = {}
    for place, entry in enumerate(entries_of(record)):
        name, deed, dataset_id = entry[:3]
        position = positions[name] = positions.get(name, -1) + 1
        if deed == ERASED or name == SCOPE:
            continue
        instance, times = _found(after, name, position if late else dataset_id, late=late)
        if deed == "deleted":
            given = times or {}
            times = {"d": given.get("d", record["at"]), **({"o": given["o"]} if "o" in given else {})}
            kind = entry[KIND] if len(entry) > KIND else None
            instance = instance or _null(kind or "Property", dataset_id)
        elif instance is None:
            continue
        if late or _is_told(record, entry, times):
            yield Fact(name, instance, times, instance_id(record, place), record["at"])


def _is_told(record: Record, entry: list[Any], times: dict[str, Any]) -> bool:
    """Return whether the record of a change tells an instance itself, and does not leave it to a late record."""
    if "l" in record:
        return len(entry) > TIME
    return tells(record, told_at(times, record["at"]))


def _found(after: dict[str, Any], name: str, where: Any, *, late: bool) -> tuple[Any, Any]:
    if not late:
        return instance_of(after, name, where)
    if name not in after["attrs"]:
        return None, None
    return after["attrs"][name][where], after["sys"][name][where]


def _null(kind_name: str, dataset_id: str | None) -> dict[str, Any]:
    """Return the instance that stands for a deletion (4.5.7)."""
    kind = KINDS[kind_name]
    instance: dict[str, Any] = {"type": kind.name, kind.member: kind.null}
    if dataset_id is not None:
        instance["datasetId"] = dataset_id
    return instance


def scopes_of(record: Record) -> Iterator[Fact]:
    """Yield the instances of the scope that a record tells; their value is a list of scopes, empty for a deletion.

    What a change set has the time of the change for its observedAt (4.5.6).
    """
    after = record.get("a", {})
    at = record["at"]
    if record["k"] != LATE:
        value = after.get(SCOPE, [])
        times = {"c": at, "m": at, "o": at} if value else {"d": at}
        yield Fact(SCOPE, {"type": "Property", "value": value}, times, instance_id(record, SCOPE_PLACE), at)
        return
    position = 0
    for place, (name, deed, *_) in enumerate(entries_of(record)):
        if name != SCOPE:
            continue
        if deed != ERASED:
            instance, times = after["attrs"][SCOPE][position], after["sys"][SCOPE][position]
            yield Fact(SCOPE, instance, times, instance_id(record, place), at)
        position += 1
