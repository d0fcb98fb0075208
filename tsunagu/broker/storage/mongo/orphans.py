"""Transactions that a killed process left open: MongoDB keeps them, and what they hold, for a minute; we end them.

An orphan makes every other writer of its entities wait, and whoever needs a collection for itself. MongoDB tells of
each open transaction that is between two commands which connection it came over (`$currentOp`). When that connection is
gone, so is the process. A machine that vanished leaves its connections standing: there the silence tells. Ending a
transaction that was alive after all costs its process another attempt, nothing else.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog
from pymongo.errors import OperationFailure, PyMongoError

if TYPE_CHECKING:
    from pymongo import AsyncMongoClient

log = structlog.get_logger(__name__)

EVERY_SECONDS = 1.0
GONE_SECONDS = 1.0  # of silence, when the connection is gone: longer than MongoDB takes to list both
SILENT_SECONDS = 10.0  # of silence, whatever the connection
UNAUTHORIZED = 13

OWN_OPERATIONS = [{"$currentOp": {"allUsers": False, "idleSessions": True, "idleConnections": True}}]


def orphaned(operations: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Return the sessions, as `{"id": …}`, whose open transactions were left by processes with the application name.

    `operations` is what `$currentOp` tells with idle sessions and idle connections.
    """
    connected = {row.get("connectionId") for row in operations if row.get("type") == "op"}
    found = []
    for row in operations:
        if row.get("type") != "idleSession" or row.get("appName") != name or "transaction" not in row:
            continue
        silent = row["transaction"].get("timeInactiveMicros", 0) / 1e6
        if silent > (SILENT_SECONDS if row.get("connectionId") in connected else GONE_SECONDS):
            found.append({"id": row["lsid"]["id"]})
    return found


class Orphans:
    """Looks for orphaned transactions of processes that share this client's application name, and ends them."""

    def __init__(self, client: AsyncMongoClient[dict[str, Any]], name: str) -> None:
        self._client = client
        self._name = name

    async def end_all(self) -> int:
        """End the orphaned transactions there are now; returns how many. Raises the driver's errors."""
        admin = self._client.admin
        operations = await (await admin.aggregate(OWN_OPERATIONS)).to_list(None)
        sessions = orphaned(operations, self._name)
        if sessions:
            await admin.command({"killSessions": sessions})
            log.warning("orphaned_transactions_ended", count=len(sessions))
        return len(sessions)

    async def run(self) -> None:
        """Look every second until cancelled; or until MongoDB says that this user may not."""
        while True:
            try:
                await self.end_all()
            except OperationFailure as error:
                if error.code == UNAUTHORIZED:
                    log.warning("orphaned_transactions_not_ended", effect="MongoDB ends them after a minute")
                    return
                log.info("orphaned_transactions_not_looked_for", reason=str(error))
            except PyMongoError as error:
                log.info("orphaned_transactions_not_looked_for", reason=str(error))
            await asyncio.sleep(EVERY_SECONDS)
