"""Several readings that see the log and the entities as they are at one moment.

They are a transaction of their own, which MongoDB holds the moment for; a driver's "snapshot session" would count on
MongoDB to keep what was overwritten for minutes, which costs every write (docs/decisions/0025).
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pymongo import WriteConcern

from tsunagu.broker.storage.mongo.transactions import SNAPSHOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pymongo.asynchronous.client_session import AsyncClientSession
    from pymongo.asynchronous.database import AsyncDatabase


@asynccontextmanager
async def snapshot(database: AsyncDatabase[dict[str, Any]]) -> AsyncIterator[AsyncClientSession]:
    """Enter a session in which all finds see one moment, that of the first.

    MongoDB ends it after `transactionLifetimeLimitSeconds` (60 unless the operator set it); the next find, or the next
    page of one, raises a PyMongoError then that `faults.is_transient` knows.
    """
    async with database.client.start_session() as session:
        await session.start_transaction(read_concern=SNAPSHOT, write_concern=WriteConcern(w=1))
        try:
            yield session
        finally:
            await session.abort_transaction()  # nothing was written: there is nothing to wait for
