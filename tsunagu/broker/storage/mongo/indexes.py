"""The collections of a tenant and their indexes. Each index costs 10–30 % of the writes: there are few.

Once an update touches one indexed member of an entity, MongoDB asks its catalog of each index whether it is valid in
the transaction's snapshot, and reads the descriptions of all of them to know: what that costs grows with the square of
their number. So one index serves all but ids and places (`keys`, docs/decisions/0028).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from pymongo import ASCENDING, GEOSPHERE, IndexModel

from tsunagu.broker.storage.mongo.areas import AREAS, look_through
from tsunagu.broker.storage.mongo.keys import FORMER, IN_MONGODB, KEYS

if TYPE_CHECKING:
    from pymongo.asynchronous.database import AsyncDatabase

log = structlog.get_logger(__name__)

ENTITIES = "entities"
CHANGES = "changes"
EVOLUTIONS = "evolutions"
RECEIPTS = "receipts"
WATERMARKS = "watermarks"

PLACE = "geo"
RECEIPT_SECONDS = 7 * 24 * 3600

INDEXES: dict[str, tuple[IndexModel, ...]] = {
    ENTITIES: (
        IndexModel([(KEYS, ASCENDING), ("_id", ASCENDING)], name=KEYS),
        IndexModel([("geo", GEOSPHERE)], name=PLACE),
    ),
    CHANGES: (
        IndexModel([("e", ASCENDING), ("h", ASCENDING), ("at", ASCENDING), ("v", ASCENDING)], name="history"),
        IndexModel([("e", ASCENDING)], name="scopes", partialFilterExpression={"s": True}),
        IndexModel([("x", ASCENDING)], name="outboxOnly", sparse=True),
    ),
    EVOLUTIONS: (IndexModel([("type", ASCENDING), ("_id", ASCENDING)], name="type"),),
    RECEIPTS: (IndexModel([("at", ASCENDING)], name="forget", expireAfterSeconds=RECEIPT_SECONDS),),
}


OBSOLETE = {
    ENTITIES: frozenset({"type", "scope", "modifiedAt", "due", "members"}),
    CHANGES: frozenset({"entity"}),
}
INDEX_NOT_FOUND = 27


async def ensure_indexes(database: AsyncDatabase[dict[str, Any]]) -> None:
    """Create the collections of a tenant and their indexes, drop those of earlier versions."""
    existing = set(await database.list_collection_names())
    for name in (ENTITIES, CHANGES, EVOLUTIONS, RECEIPTS, WATERMARKS, AREAS):
        if name not in existing:
            await database.command({"create": name}, check=True, allowable_errors=[48])
    await _give_keys(database)
    await look_through(database, ENTITIES)
    for name, models in INDEXES.items():
        await database[name].create_indexes(list(models))
    for name, obsolete in OBSOLETE.items():
        for index in obsolete & (await database[name].index_information()).keys():
            await _drop(database, name, index)


async def _drop(database: AsyncDatabase[dict[str, Any]], collection: str, index: str) -> None:
    """Drop an index, which waits for every open transaction; another process may have done so already."""
    command = {"dropIndexes": collection, "index": index}
    await database.command(command, check=True, allowable_errors=[INDEX_NOT_FOUND])


async def _give_keys(database: AsyncDatabase[dict[str, Any]]) -> None:
    """Bring the entities of a data folder from before there were keys up to date, and the indexes on attributes.

    A process that ends in between leaves what the next one completes: the new indexes come before the old ones go.
    """
    entities = database[ENTITIES]
    indexes = await entities.index_information()
    if KEYS not in indexes:
        steps: list[dict[str, Any]] = [{"$set": {KEYS: IN_MONGODB}}, {"$unset": FORMER}]
        given = await entities.update_many({KEYS: {"$exists": False}}, steps)
        if given.modified_count:
            log.info("entities_brought_up_to_date", database=database.name, entities=given.modified_count)
    for name, index in indexes.items():
        type_iri = index.get("partialFilterExpression", {}).get("type")
        if type_iri is not None:
            partial = {KEYS: type_iri}
            renewed = ".".join(name.rsplit("_", 1))  # `attribute_indexes.index_name`
            await entities.create_index(index["key"], name=renewed, partialFilterExpression=partial)
            await _drop(database, ENTITIES, name)
