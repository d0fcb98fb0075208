"""Metrics of delivery for Prometheus: totals and queues, without names of entities, tenants or subscriptions."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric

    from tsunagu.subscriptions.dispatcher import Dispatcher

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class DeliveryMetrics(Collector):
    """Counts attempts by result, and looks at a dispatcher's queues when asked. Register it with a registry."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._results = {"delivered": 0, "failed": 0, "refused": 0, "given_up": 0}
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0

    def attempt(self, result: str, seconds: float) -> None:
        """Count an attempt: "delivered", "failed" or "refused"."""
        self._results[result] += 1
        self._buckets[bisect_left(BOUNDS, seconds)] += 1
        self._seconds += seconds

    def gave_up(self, count: int) -> None:
        """Count notifications that became dead letters."""
        self._results["given_up"] += count

    def collect(self) -> Iterable[Metric]:
        """Return the metrics."""
        results = CounterMetricFamily("tsunagu_notifications", "Attempts to notify, by result", labels=("result",))
        for result, count in self._results.items():
            results.add_metric((result,), count)
        total = 0
        cumulative: list[tuple[str, float]] = []
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), self._buckets, strict=True):
            total += count
            cumulative.append((bound, total))
        durations = HistogramMetricFamily("tsunagu_notification_seconds", "Time until an endpoint answered")
        durations.add_metric((), cumulative, self._seconds)
        dispatcher = self._dispatcher
        gauges = {
            "tsunagu_subscriptions": ("Subscriptions of all tenants", len(dispatcher.store)),
            "tsunagu_notifications_waiting": ("Notifications in memory", dispatcher.outbox.waiting),
            "tsunagu_subscriptions_parked": (
                "Subscriptions with notifications in the store",
                len(dispatcher.outbox.parking),
            ),
            "tsunagu_endpoints_failing": ("Endpoints whose last notification failed", dispatcher.outbox.failing),
        }
        yield results
        yield durations
        for name, (text, number) in gauges.items():
            yield GaugeMetricFamily(name, text, value=number)
