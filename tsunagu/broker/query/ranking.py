"""Ordering entities in memory (4.23): values of mixed types, texts by a collation, distances.

An entity is ranked by the first instance of the attribute, the default instance if there is one. The datatypes order
as 4.23.2 has it; where the order is by distance, entities with the GeoProperty come before those without. Descending
order is the reverse, except that null, and after it what is absent, come last in both. Objects among
themselves, and arrays, have no order. Entities that tie are in the order of their ids.
"""

from __future__ import annotations

from enum import IntEnum
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from tsunagu.broker.query.geometry import distance_from
from tsunagu.broker.query.moments import kind_of, moment_key
from tsunagu.schemas.entity import instances
from tsunagu.schemas.geo import is_geometry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tsunagu.broker.query.ast import OrderKey, Path
    from tsunagu.schemas.entity import Document

    Ranked = tuple[int, Any]
    Row = tuple[str, tuple[Ranked, ...]]


class Rank(IntEnum):
    """The order of datatypes (4.23.2)."""

    DISTANCE = 0
    NUMBER = 1
    TEXT = 2
    OBJECT = 3
    ARRAY = 4
    TRUTH = 5
    TIME = 6
    DATE = 7
    DATE_TIME = 8
    NULL = 9
    ABSENT = 10


_MOMENTS = {"Time": Rank.TIME, "Date": Rank.DATE, "DateTime": Rank.DATE_TIME}
_MEMBERS = ("value", "object", "languageMap", "vocab", "json", "valueList", "objectList")
_ABSENT = object()


def compile_ranker(order: Sequence[OrderKey]) -> Callable[[Document], Row]:
    """Return a function that gives a document's id and, for each ordering key, the rank and the value to compare."""
    keys = tuple(_key(key) for key in order)
    return lambda document: (document["_id"], tuple(key(document) for key in keys))


def texts_of(rows: Sequence[Row]) -> set[str]:
    """Return the texts that a collation has to put in order."""
    return {value for _, ranked in rows for rank, value in ranked if rank == Rank.TEXT}


def ordered_ids(rows: list[Row], order: Sequence[OrderKey], places: Mapping[str, int]) -> list[str]:
    """Return the ids in order. `places`: of each text in the collation; texts that are equal in it share one."""
    rows = sorted(rows, key=itemgetter(0))
    for position in reversed(range(len(order))):
        rows.sort(key=lambda row: _comparable(row[1][position], places), reverse=order[position].descending)
        rows.sort(key=lambda row: _last(row[1][position]))
    return [entity_id for entity_id, _ in rows]


def _comparable(ranked: Ranked, places: Mapping[str, int]) -> Ranked:
    return (ranked[0], places[ranked[1]]) if ranked[0] == Rank.TEXT else ranked


def _last(ranked: Ranked) -> int:
    return ranked[0] if ranked[0] in (Rank.NULL, Rank.ABSENT) else 0


def _key(key: OrderKey) -> Callable[[Document], Ranked]:
    path = key.path
    if key.distance_from is not None:
        return _distance(path, distance_from(key.distance_from))
    if path.is_time:
        return lambda document: _time(_system_time(document, path))
    return lambda document: _rank(_value(document, path))


def _distance(path: Path, distance: Callable[[Mapping[str, Any]], float]) -> Callable[[Document], Ranked]:
    def rank(document: Document) -> Ranked:
        value = _value(document, path)
        return (Rank.DISTANCE, distance(value)) if is_geometry(value) else _rank(value)

    return rank


def _time(milliseconds: int | None) -> Ranked:
    return (Rank.ABSENT, 0) if milliseconds is None else (Rank.DATE_TIME, milliseconds)


def _system_time(document: Document, path: Path) -> int | None:
    if not path.names:
        found: int | None = document.get(str(path.member))
        return found
    times = document.get("sys", {})
    for name in path.names:
        if name not in times:
            return None
        first = instances(times[name])[0]
        times = first.get("s", {})
    time: int | None = first.get(str(path.member))
    return time


def _value(document: Document, path: Path) -> Any:
    if not path.names:
        return document.get("_id" if path.member == "id" else str(path.member), _ABSENT)
    holder = document["attrs"]
    for name in path.names:
        if name not in holder:
            return _ABSENT
        holder = instances(holder[name])[0]
    if path.member:
        return holder.get(path.member, _ABSENT)
    value = next((holder[member] for member in _MEMBERS if member in holder), _ABSENT)
    for key in path.keys:
        if not isinstance(value, dict) or key not in value:
            return _ABSENT
        value = value[key]
    return value


def _rank(value: Any) -> Ranked:
    """Return the rank of a value and what is compared within it; only values of one rank are compared."""
    if isinstance(value, dict) and isinstance(value.get("@value"), str):
        value = value["@value"]
    if isinstance(value, str):
        kind = kind_of(value)
        return (Rank.TEXT, value) if kind is None else (_MOMENTS[kind], moment_key(kind, value))
    if isinstance(value, bool):
        return Rank.TRUTH, value
    if isinstance(value, int | float):
        return Rank.NUMBER, value
    if isinstance(value, list):
        return _rank(value[0]) if len(value) == 1 else (Rank.ARRAY, 0)
    if isinstance(value, dict):
        return Rank.OBJECT, 0
    return (Rank.NULL, 0) if value is None else (Rank.ABSENT, 0)
