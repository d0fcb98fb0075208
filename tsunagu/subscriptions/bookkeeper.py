"""The record of every attempt to deliver: gathered in memory, written in batches, never in the way of a delivery."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import structlog

from tsunagu.background import end
from tsunagu.broker.errors import NgsiError

if TYPE_CHECKING:
    from tsunagu.broker.operations.tallies import Tallies
    from tsunagu.broker.storage.deliveries import Attempt, DeliveryRecords

log = structlog.get_logger(__name__)

KEPT_AT_MOST = 20_000


class Bookkeeper:
    """Writes tallies and attempts every `interval` seconds, while there are any. Attempts may be lost, tallies not."""

    def __init__(self, records: DeliveryRecords, tallies: Tallies, *, interval: float) -> None:
        self._records = records
        self._tallies = tallies
        self._interval = interval
        self._attempts: deque[tuple[str, Attempt]] = deque(maxlen=KEPT_AT_MOST)
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    def start(self) -> None:
        """Start writing."""
        self._task = asyncio.create_task(self._run(), name="bookkeeping")

    def note(self, tenant: str, attempt: Attempt) -> None:
        """Note an attempt; the oldest is forgotten when too many wait."""
        self._attempts.append((tenant, attempt))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self.write()
            except NgsiError as error:
                log.warning("deliveries_not_recorded", reason=error.detail)

    async def write(self) -> None:
        """Write everything now. Raises Unavailable."""
        async with self._lock:
            await self._write()

    async def _write(self) -> None:
        if self._tallies:
            await self._tallies.write()
        by_tenant: dict[str, list[Attempt]] = {}
        while self._attempts:
            tenant, attempt = self._attempts.popleft()
            by_tenant.setdefault(tenant, []).append(attempt)
        for tenant, attempts in by_tenant.items():
            await self._records.note(tenant, attempts)

    async def close(self) -> None:
        """Stop writing."""
        if self._task is not None:
            await end(self._task)
