"""Transactions of killed processes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import AsyncMongoClient

from tsunagu.broker.storage.mongo.indexes import ENTITIES
from tsunagu.broker.storage.mongo.orphans import GONE_SECONDS, SILENT_SECONDS, Orphans, orphaned

if TYPE_CHECKING:
    from tests.unit.broker.storage.mongo.conftest import Store

OPENS_AND_DIES = """
import os, sys
from pymongo import MongoClient
uri, database, name = sys.argv[1:]
client = MongoClient(uri, appname=name)
session = client.start_session()
session.start_transaction()
client[database]["entities"].update_one({"_id": "urn:a"}, {"$set": {"n": 1}}, session=session)
os.kill(os.getpid(), 9)
"""


def session(number: int, *, connection: int, silent: float, name: str = "tsunagu:here") -> dict[str, Any]:
    """Return what `$currentOp` tells of an open transaction that has been silent for so many seconds."""
    transaction = {"timeInactiveMicros": int(silent * 1e6)}
    return {
        "type": "idleSession",
        "appName": name,
        "connectionId": connection,
        "lsid": {"id": number},
        "transaction": transaction,
    }


CONNECTION = {"type": "op", "connectionId": 1}
SHORT, LONG, LONGER = GONE_SECONDS / 2, GONE_SECONDS * 2, SILENT_SECONDS * 2


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (session(7, connection=1, silent=SHORT), False),
        (session(7, connection=1, silent=LONG), False),
        (session(7, connection=1, silent=LONGER), True),
        (session(7, connection=2, silent=SHORT), False),
        (session(7, connection=2, silent=LONG), True),
        (session(7, connection=2, silent=LONGER, name="another program"), False),
        ({**session(7, connection=2, silent=LONGER), "transaction": {}}, False),
    ],
)
def test_what_is_an_orphan(row: dict[str, Any], *, found: bool) -> None:
    """A transaction of ours is an orphan when its connection is gone, or when it has been silent for long."""
    assert orphaned([CONNECTION, row], "tsunagu:here") == ([{"id": 7}] if found else [])


def test_a_session_without_a_transaction_is_none() -> None:
    """A session that merely waits in a pool is left alone."""
    row = session(7, connection=2, silent=LONGER)
    del row["transaction"]
    assert orphaned([row], "tsunagu:here") == []


async def test_what_a_killed_process_left_open_is_ended(store: Store, mongo_uri: str) -> None:
    """An entity that a killed process was writing can be written again once its transaction is ended."""
    database = await store.databases.ready("")
    await database[ENTITIES].insert_one({"_id": "urn:a", "n": 0})
    name = database.name  # as the application's name too: other tests' processes are none of ours
    dying = [sys.executable, "-c", OPENS_AND_DIES, mongo_uri, database.name, name]
    assert (await asyncio.to_thread(subprocess.run, dying, check=False)).returncode == -9
    orphans = Orphans(store.databases.client, name)
    async with asyncio.timeout(30):
        while not await orphans.end_all():
            await asyncio.sleep(0.1)
        await database[ENTITIES].update_one({"_id": "urn:a"}, {"$set": {"n": 2}})
    assert (await database[ENTITIES].find_one({"_id": "urn:a"}) or {})["n"] == 2
    assert await orphans.end_all() == 0


async def test_a_living_transaction_is_left_alone(store: Store, mongo_uri: str) -> None:
    """A transaction that is between two commands is not ended."""
    database = await store.databases.ready("")
    name = database.name  # of its own: other tests leave orphans on purpose
    async with (
        AsyncMongoClient[dict[str, Any]](mongo_uri, appname=name) as client,
        client.start_session() as living,
        await living.start_transaction(),
    ):
        await client[name][ENTITIES].insert_one({"_id": "urn:b"}, session=living)
        assert await Orphans(client, name).end_all() == 0
    assert await database[ENTITIES].find_one({"_id": "urn:b"}) is not None
