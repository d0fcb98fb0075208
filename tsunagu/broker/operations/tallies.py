"""How often, and when last, each subscription's notifications were sent: counted in memory, written now and then."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tsunagu.broker.storage.deliveries import Tally, later

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tsunagu.broker.storage.deliveries import DeliveryRecords


class Tallies:
    """The tallies of this process on top of those in the store."""

    def __init__(self, records: DeliveryRecords) -> None:
        self._records = records
        self._fresh: dict[str, dict[str, Tally]] = {}
        self._lock = asyncio.Lock()

    def _of(self, tenant: str, subscription: str) -> Tally:
        kept = self._fresh.setdefault(tenant, {})
        tally = kept.get(subscription)
        if tally is None:
            tally = kept[subscription] = Tally()
        return tally

    def sent(self, tenant: str, subscription: str, now: int) -> None:
        """Count a notification that is being sent at `now` (epoch ms)."""
        tally = self._of(tenant, subscription)
        tally.sent += 1
        tally.last_notification = later(tally.last_notification, now)

    def arrived(self, tenant: str, subscription: str, now: int) -> None:
        """Note that one arrived."""
        tally = self._of(tenant, subscription)
        tally.last_success = later(tally.last_success, now)

    def failed(self, tenant: str, subscription: str, now: int) -> None:
        """Count one that failed."""
        tally = self._of(tenant, subscription)
        tally.failed += 1
        tally.last_failure = later(tally.last_failure, now)

    async def read(self, tenant: str, subscriptions: Sequence[str]) -> dict[str, Tally]:
        """Return the whole tally of each subscription, where there is any. Raises Unavailable."""
        async with self._lock:
            kept = await self._records.tallies(tenant, subscriptions)
            fresh = self._fresh.get(tenant, {})
            return {
                one: kept.get(one, Tally()).plus(fresh.get(one, Tally()))
                for one in subscriptions
                if one in kept or one in fresh
            }

    async def write(self) -> None:
        """Write what was counted. Raises Unavailable; what was not written is kept then."""
        async with self._lock:
            for tenant in list(self._fresh):
                taken = self._fresh.pop(tenant)
                try:
                    await self._records.add(tenant, taken)
                except BaseException:
                    newer = self._fresh.setdefault(tenant, {})
                    for subscription, tally in taken.items():
                        newer[subscription] = tally.plus(newer.get(subscription, Tally()))
                    raise

    async def forget(self, tenant: str, subscription: str) -> None:
        """Remove everything counted for a subscription."""
        async with self._lock:
            self._fresh.get(tenant, {}).pop(subscription, None)
            await self._records.forget(tenant, subscription)

    def __bool__(self) -> bool:
        return bool(self._fresh)
