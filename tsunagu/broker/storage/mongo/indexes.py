"""The collections of a tenant and their indexes. Each index costs 10–30 % of the writes: there are few."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, GEOSPHERE, IndexModel

if TYPE_CHECKING:
    from pymongo.asynchronous.database import AsyncDatabase

ENTITIES = "entities"
CHANGES = "changes"
RECEIPTS = "receipts"
WATERMARKS = "watermarks"

RECEIPT_SECONDS = 7 * 24 * 3600

INDEXES: dict[str, tuple[IndexModel, ...]] = {
    ENTITIES: (
        IndexModel([("type", ASCENDING), ("_id", ASCENDING)], name="type"),
        IndexModel([("scope", ASCENDING)], name="scope", sparse=True),
        IndexModel([("modified", ASCENDING)], name="modifiedAt"),
        IndexModel([("due", ASCENDING)], name="due", sparse=True),
        IndexModel([("geo", GEOSPHERE)], name="geo"),
    ),
    CHANGES: (
        IndexModel([("e", ASCENDING), ("v", ASCENDING)], name="entity"),
        IndexModel([("x", ASCENDING)], name="outboxOnly", sparse=True),
    ),
    RECEIPTS: (IndexModel([("at", ASCENDING)], name="forget", expireAfterSeconds=RECEIPT_SECONDS),),
}


async def ensure_indexes(database: AsyncDatabase[dict[str, Any]]) -> None:
    """Create the collections of a tenant and their indexes; does nothing where they are there."""
    existing = set(await database.list_collection_names())
    for name in (ENTITIES, CHANGES, RECEIPTS, WATERMARKS):
        if name not in existing:
            await database.command({"create": name}, check=True, allowable_errors=[48])
    for name, models in INDEXES.items():
        await database[name].create_indexes(list(models))
