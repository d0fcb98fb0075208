"""Attribute names of a database of before 2026-11-26, brought into their present stored form (docs/decisions/0026).

They were whole IRIs with U+FF0E for each dot. `bring_up_to_date` runs at start, once for all databases; it may be
ended and begin again, and run in several processes at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from pymongo import ReplaceOne

from tsunagu.broker.storage.mongo.attribute_indexes import KIND, build, index_id
from tsunagu.broker.storage.mongo.faults import translated
from tsunagu.broker.storage.mongo.indexes import CHANGES, ENTITIES, EVOLUTIONS
from tsunagu.broker.storage.mongo.parked import DEAD, PARKED
from tsunagu.schemas.entity import stored_name
from tsunagu.schemas.kinds import MEMBERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tsunagu.broker.storage.mongo.client import Database, Databases

    Document = dict[str, Any]

log = structlog.get_logger(__name__)

FORMER_DOT = "\uff0e"
SUBSCRIPTIONS = "subscriptions"
FORMAT = "format"
AT_ONCE = 500


def renamed(name: str) -> str:
    """Return the stored name of an attribute, given its former one."""
    return stored_name(name.replace(FORMER_DOT, ".")) if FORMER_DOT in name else name


async def bring_up_to_date(databases: Databases) -> None:
    """Rename what is stored under former names in all tenants' databases. Raises Unavailable."""
    marks = databases.system[FORMAT]
    with translated():
        if await marks.find_one({"_id": "names"}) is not None:
            return
        for tenant in await databases.tenants():
            database = databases.of(tenant)
            count = 0
            for name, step in _STEPS.items():
                count += await _rewrite(database, name, step)
            count += await _rename_indexes(database)
            if count:
                log.info("attribute_names_brought_up_to_date", tenant=tenant, documents=count)
        await marks.update_one({"_id": "names"}, {"$set": {"form": 2}}, upsert=True)


async def _rewrite(database: Database, collection: str, step: Callable[[Document], Document]) -> int:
    """Put what `step` makes of each document in its place, unless it was changed meanwhile; return how many differ."""
    members = ("_id", "v") if collection == ENTITIES else ("_id",)
    count = 0
    cursor = database[collection].find({}, batch_size=AT_ONCE)
    while rows := await cursor.to_list(AT_ONCE):
        pairs = [(row, new) for row in rows if (new := step(row)) != row]
        if pairs:
            statements = [ReplaceOne({member: row[member] for member in members}, new) for row, new in pairs]
            await database[collection].bulk_write(statements, ordered=False)
            count += len(pairs)
    return count


async def _rename_indexes(database: Database) -> int:
    """Build the declared indexes under the present names, and drop those under the former ones."""
    count = 0
    for row in await database[KIND].find({}).to_list(None):
        entry = {**row["d"], "attribute": renamed(row["d"]["attribute"])}
        if entry == row["d"]:
            continue
        await build(database, entry)
        entities = database[ENTITIES]
        for name in await entities.index_information():
            if row["_id"] in name:
                await entities.drop_index(name)
        new = index_id(entry["type"], entry["attribute"])
        await database[KIND].replace_one({"_id": new}, {"_id": new, "d": entry}, upsert=True)
        await database[KIND].delete_one({"_id": row["_id"]})
        count += 1
    return count


def _instance(instance: Any) -> Any:
    """Return an attribute instance with its sub-attributes renamed; their values stay as they are."""
    if type(instance) is not dict:
        return instance
    return {
        (key if key in MEMBERS else renamed(key)): (value if key in MEMBERS else _each(_instance, value))
        for key, value in instance.items()
    }


def _times(times: Any) -> Any:
    if type(times) is not dict or "s" not in times:
        return times
    return {**times, "s": {renamed(name): _each(_times, value) for name, value in times["s"].items()}}


def _each(step: Callable[[Any], Any], value: Any) -> Any:
    return [step(one) for one in value] if type(value) is list else step(value)


def entity(document: Document) -> Document:
    """Return an entity, or the part of one that a record holds, with the names of its attributes renamed."""
    result = dict(document)
    for tree, step in (("attrs", _instance), ("sys", _times)):
        if tree in document:
            result[tree] = {renamed(name): _each(step, value) for name, value in document[tree].items()}
    return result


def record(row: Document) -> Document:
    """Return a record of the log, or a change that waits to be delivered, with the names of its attributes renamed."""
    result = dict(row)
    if "t" in row:
        result["t"] = [renamed(one) if type(one) is str else [renamed(one[0]), *one[1:]] for one in row["t"]]
    for part in ("b", "a"):
        if part in row:
            result[part] = entity(row[part])
    return result


def note(row: Document) -> Document:
    """Return what is noted of an evolution with the names of its attributes renamed."""
    return {**row, "attrs": [renamed(name) for name in row["attrs"]]} if "attrs" in row else row


def parked(row: Document) -> Document:
    """Return a parked notification with the names in its changes renamed."""
    return {**row, "c": [record(change) for change in row["c"]]}


def subscription(row: Document) -> Document:
    """Return a subscription with the names renamed that its @context made of terms; texts stay as they were sent."""
    return {**row, "d": {**row["d"], "parts": _named(row["d"].get("parts", {}))}}


def _named(part: Any) -> Any:
    if type(part) is str:
        return renamed(part)
    if type(part) is list:
        return [_named(one) for one in part]
    if type(part) is dict:
        return {key: value if key == "text" else _named(value) for key, value in part.items()}
    return part


_STEPS: dict[str, Callable[[Document], Document]] = {
    ENTITIES: entity,
    CHANGES: record,
    EVOLUTIONS: note,
    PARKED: parked,
    DEAD: parked,
    SUBSCRIPTIONS: subscription,
}
