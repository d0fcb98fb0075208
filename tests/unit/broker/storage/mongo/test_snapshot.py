"""Several readings that see one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pymongo.errors import PyMongoError

from tsunagu.broker.storage.mongo.faults import is_transient
from tsunagu.broker.storage.mongo.indexes import CHANGES
from tsunagu.broker.storage.mongo.snapshot import snapshot

if TYPE_CHECKING:
    from tests.unit.broker.storage.mongo.conftest import Store

PAGE = 2


async def fill(store: Store, count: int) -> list[dict[str, Any]]:
    """Put documents with n = 0 into the log of the default tenant, and return them."""
    rows = [{"_id": number, "n": 0} for number in range(count)]
    await (await store.databases.ready(""))[CHANGES].insert_many(rows)
    return rows


async def test_all_finds_see_the_moment_of_the_first(store: Store) -> None:
    """What others write meanwhile, again and again, neither shows in a later find nor on a later page of one."""
    rows = await fill(store, 6)
    database = store.databases.of("")
    log = database[CHANGES]
    async with snapshot(database) as session:
        cursor = log.find({}, session=session).sort("_id", 1).batch_size(PAGE)
        seen = await cursor.to_list(PAGE)
        for _ in range(20):
            await log.update_many({}, {"$inc": {"n": 1}})
        await log.insert_one({"_id": 6, "n": 0})
        seen += await cursor.to_list(None)
        again = await log.find({}, session=session).sort("_id", 1).to_list(None)
    assert seen == rows
    assert again == rows
    assert [row["n"] for row in await log.find({}).sort("_id", 1).to_list(None)] == [20] * 6 + [0]


async def test_a_reader_that_is_too_slow_hears_of_it(store: Store) -> None:
    """Once MongoDB has ended the transaction, the next page raises what is told apart as worth another attempt."""
    await fill(store, 6)
    database = store.databases.of("")
    async with snapshot(database) as session:
        cursor = database[CHANGES].find({}, session=session).batch_size(PAGE)
        await cursor.to_list(PAGE)
        await database.client.admin.command({"killSessions": [session.session_id]})
        with pytest.raises(PyMongoError) as raised:
            await cursor.to_list(None)
    assert is_transient(raised.value)
