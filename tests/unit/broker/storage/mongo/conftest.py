"""A committer on the real MongoDB, with a listener that keeps what it hears."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest

from tsunagu.broker.changes import Change
from tsunagu.broker.settings import Settings
from tsunagu.broker.storage.mongo.changes import MongoChangeLog
from tsunagu.broker.storage.mongo.client import Databases
from tsunagu.broker.storage.mongo.committer import Committer


@dataclass
class Heard:
    """A listener that keeps the changes it hears of."""

    changes: list[Change] = field(default_factory=list)

    def committed(self, changes: Sequence[Change]) -> None:
        self.changes.extend(changes)


@dataclass
class Store:
    """The parts of a store that the tests look at."""

    databases: Databases
    committer: Committer
    log: MongoChangeLog
    heard: Heard
    settings: Settings


@pytest.fixture
async def store(mongo_uri: str) -> AsyncIterator[Store]:
    """Give a store in databases of its own, dropped afterwards."""
    prefix = "t" + secrets.token_hex(5)
    settings = Settings.from_environment({"MONGODB_URI": mongo_uri}, database_prefix=prefix)
    databases = Databases(settings)
    heard = Heard()
    committer = Committer(databases, settings, writer="w1", listener=heard)
    log = MongoChangeLog(databases, writer="w1", open_number=committer.open_number)
    try:
        yield Store(databases, committer, log, heard, settings)
    finally:
        await committer.close()
        for name in await databases.client.list_database_names():
            if name.startswith(prefix):
                await databases.client.drop_database(name)
        await databases.close()
