"""Fills a broker's database with many entities out of those that it has, past the broker, which would take long.

Copies have an id, a name, a level and a place of their own; they have no record in the change log, as if made long ago.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

from pymongo import AsyncMongoClient

from tsunagu.broker.jsonld.context import CORE

CHUNK = 10_000
WIDE, HIGH = 0.22, 0.18  # degrees, as `stations` and the load have them


def copy(document: dict[str, Any], number: int, dice: random.Random) -> dict[str, Any]:
    """Return a stored station as that with another number, somewhere else in the same city."""
    place = {"type": "Point", "coordinates": [134.6 + dice.random() * WIDE, 34.6 + dice.random() * HIGH]}
    attrs = dict(document["attrs"])
    for name, member, value in (
        ("name", "value", f"Station {number:06d}"),
        ("waterLevel", "value", round(dice.random() * 5, 3)),
        ("refDevice", "object", f"urn:ngsi-ld:Device:{number:06d}"),
        ("location", "value", place),
    ):
        attrs[CORE.attribute(name)] = {**attrs[CORE.attribute(name)], member: value}
    return {**document, "_id": f"urn:ngsi-ld:WaterLevelObserved:{number:06d}", "attrs": attrs, "geo": place}


async def multiply(uri: str, database: str, *, beginning: int, end: int) -> None:
    """Store copies of the stations with numbers up to CHUNK under all numbers from `beginning` + 1 to `end`."""
    dice = random.Random(beginning)
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(uri)
    entities = client[database]["entities"]
    originals = await entities.find({"_id": {"$regex": "^urn:ngsi-ld:WaterLevelObserved:"}}).limit(CHUNK).to_list()
    for start in range(beginning, end, CHUNK):
        numbers = range(start + 1, min(start + CHUNK, end) + 1)
        rows = [copy(originals[number % len(originals)], number, dice) for number in numbers]
        await entities.insert_many(rows, ordered=False)
        await asyncio.sleep(0)
    await client.close()


async def set_cache(uri: str, gigabytes: float) -> None:
    """Set the cache of MongoDB's storage engine, until it is started again."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(uri)
    setting = f"cache_size={round(gigabytes * 1024)}MB"
    await client.admin.command({"setParameter": 1, "wiredTigerEngineRuntimeConfig": setting})
    await client.close()
