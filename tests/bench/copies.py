"""Fills a database with many entities and subscriptions out of those that it has, past the broker: it is quicker.

Entities that are copies have an id, a name, a level and a place of their own, and no record in the change log.
Subscriptions that are copies have an id and a threshold of their own; the broker reads them when it starts.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

from pymongo import AsyncMongoClient

from tsunagu.broker.jsonld.context import CORE
from tsunagu.schemas.geo_cover import place_of

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
    entity_id = f"urn:ngsi-ld:WaterLevelObserved:{number:06d}"
    return {**document, "_id": entity_id, "attrs": attrs, "geo": place_of([place])}


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


async def multiply_subscriptions(uri: str, database: str, originals: int, *, beginning: int, end: int) -> None:
    """Store copies of the subscriptions with numbers below `originals` (`growth.subscription`) under further ones."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(uri)
    rows = client[database]["subscriptions"]
    entries = {threshold(row["d"]): row["d"] async for row in rows.find() if threshold(row["d"]) < originals}
    for start in range(beginning, end, CHUNK):
        numbers = range(start, min(start + CHUNK, end))
        copies = [subscription_copy(entries[number % originals], number) for number in numbers]
        await rows.insert_many([{"_id": entry["id"], "d": entry} for entry in copies], ordered=False)
    await client.close()


def threshold(entry: dict[str, Any]) -> int:
    """Return the number of a stored subscription, which its threshold tells."""
    return int(entry["body"]["q"].partition(">")[2]) - 1000


def subscription_copy(entry: dict[str, Any], number: int) -> dict[str, Any]:
    """Return a stored subscription as that with another number."""
    text = f"waterLevel>{1000 + number}"
    body = {**entry["body"], "q": text}
    parts = {**entry["parts"], "q": {**entry["parts"]["q"], "text": text}}
    return {**entry, "id": f"urn:ngsi-ld:Subscription:{number:06d}", "body": body, "parts": parts}


async def set_cache(uri: str, gigabytes: float) -> None:
    """Set the cache of MongoDB's storage engine, until it is started again."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(uri)
    setting = f"cache_size={round(gigabytes * 1024)}MB"
    await client.admin.command({"setParameter": 1, "wiredTigerEngineRuntimeConfig": setting})
    await client.close()
