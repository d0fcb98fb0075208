"""What the tests of subscriptions share: a database of their own, brokers on it, and receivers."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import MongoClient

from tests.unit.subscriptions.receiver import Receiver
from tests.unit.subscriptions.rig import Rig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator


@pytest.fixture(scope="session")
def databases_prefix(mongo_uri: str) -> Iterator[str]:
    """Give the prefix of the databases of these tests, which are dropped in the end."""
    name = f"sub{secrets.token_hex(4)}"
    yield name
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        for database in client.list_database_names():
            if database.startswith(name):
                client.drop_database(database)


@pytest.fixture
def prefix(mongo_uri: str, databases_prefix: str) -> str:
    """Give the prefix of databases in which there are no documents: emptied, which is faster than making new ones."""
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        for database in client.list_database_names():
            if database.startswith(databases_prefix):
                for collection in client[database].list_collection_names():
                    client[database][collection].delete_many({})
    return databases_prefix


@pytest.fixture
async def rigs(mongo_uri: str, prefix: str) -> AsyncIterator[Callable[..., Awaitable[Rig]]]:
    """Give a function that starts a broker on the test's database."""
    started: list[Rig] = []

    async def start(**options: Any) -> Rig:
        rig = Rig(mongo_uri, prefix, **options)
        started.append(rig)
        return await rig.start()

    yield start
    for rig in started:
        await rig.stop(drain=False)


@pytest.fixture
async def rig(rigs: Callable[..., Awaitable[Rig]]) -> Rig:
    """Give a running broker."""
    return await rigs()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Give a listening endpoint."""
    one = Receiver()
    await one.start()
    yield one
    await one.stop()
