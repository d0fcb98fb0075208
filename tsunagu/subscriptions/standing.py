"""Metrics of single subscriptions for Prometheus: sent, failed, waiting, dead, and how long ago the last success was.

They come from what the store keeps, so that they go on over a restart and every worker tells the same; they are read
when somebody asks for the metrics, not more often than every few seconds. Only so many subscriptions have them, the
oldest: the number of series is bounded. Labels are the tenant and the subscription's id, nothing of any entity.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from tsunagu.broker.errors import NgsiError
from tsunagu.broker.storage.deliveries import Tally

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric

    from tsunagu.broker.operations.tallies import Tallies
    from tsunagu.broker.storage.parked import ParkedDeliveries
    from tsunagu.subscriptions.store import SubscriptionStore

log = structlog.get_logger(__name__)

FRESH_SECONDS = 5.0
PATIENCE = 2.0
LABELS = ("tenant", "subscription")

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a subscription stands: its tally, and how many notifications are parked and given up."""

    tally: Tally
    parked: int
    dead: int


class SubscriptionMetrics(Collector):
    """See the module's docstring. `refresh` before the registry collects; of `limit` subscriptions at most."""

    def __init__(self, store: SubscriptionStore, tallies: Tallies, parked: ParkedDeliveries, *, limit: int) -> None:
        self._store = store
        self._tallies = tallies
        self._parked = parked
        self._limit = limit
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()
        self._standing: dict[Key, Standing] = {}

    async def refresh(self) -> None:
        """Read how the subscriptions stand. When the store does not answer, what was read last stays."""
        async with self._lock:
            if not self._limit or time.monotonic() - self._read_at < FRESH_SECONDS:
                return
            try:
                async with asyncio.timeout(PATIENCE):
                    self._standing = await self._read()
            except (NgsiError, TimeoutError) as error:
                log.warning("subscriptions_not_measured", reason=str(error) or "the store did not answer in time")
            self._read_at = time.monotonic()

    async def _read(self) -> dict[Key, Standing]:
        chosen = heapq.nsmallest(self._limit, self._store.all(), key=lambda one: (one.created, one.key))
        by_tenant: dict[str, list[str]] = {}
        for subscription in chosen:
            by_tenant.setdefault(subscription.tenant, []).append(subscription.id)
        found: dict[Key, Standing] = {}
        for tenant, ids in by_tenant.items():
            tallies = await self._tallies.read(tenant, ids)
            parked, dead = await self._parked.counts(tenant, ids)
            for one in ids:
                found[tenant, one] = Standing(tallies.get(one, Tally()), parked.get(one, 0), dead.get(one, 0))
        return found

    def collect(self) -> Iterable[Metric]:
        """Return the metrics."""
        now = time.time()
        sent = CounterMetricFamily("tsunagu_subscription_sent", "Attempts to notify", labels=LABELS)
        failed = CounterMetricFamily("tsunagu_subscription_failed", "Attempts that failed", labels=LABELS)
        parked = GaugeMetricFamily("tsunagu_subscription_waiting", "Notifications waiting in the store", labels=LABELS)
        dead = GaugeMetricFamily("tsunagu_subscription_dead_letters", "Notifications given up", labels=LABELS)
        age = GaugeMetricFamily(
            "tsunagu_subscription_last_success_age_seconds", "Since a notification arrived last", labels=LABELS
        )
        for key, standing in self._standing.items():
            sent.add_metric(key, standing.tally.sent)
            failed.add_metric(key, standing.tally.failed)
            parked.add_metric(key, standing.parked)
            dead.add_metric(key, standing.dead)
            if standing.tally.last_success is not None:
                age.add_metric(key, max(now - standing.tally.last_success / 1000, 0.0))
        yield from (sent, failed, parked, dead, age)
        unmeasured = max(len(self._store) - self._limit, 0)
        yield GaugeMetricFamily(
            "tsunagu_subscriptions_unmeasured", "Subscriptions beyond TSUNAGU_SUBSCRIPTION_METRICS", value=unmeasured
        )
