"""Counting requests for /metrics, cheaply enough for the hot path."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Traffic(Collector):
    """Requests by operation and status, and how long they took by operation. Register it with a Prometheus registry."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, int], int] = {}
        self._buckets: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}

    def record(self, operation: str, status: int, seconds: float) -> None:
        """Count one request."""
        key = (operation, status)
        self._requests[key] = self._requests.get(key, 0) + 1
        buckets = self._buckets.get(operation)
        if buckets is None:
            buckets = self._buckets[operation] = [0] * (len(BOUNDS) + 1)
            self._seconds[operation] = 0.0
        buckets[bisect_left(BOUNDS, seconds)] += 1
        self._seconds[operation] += seconds

    def collect(self) -> Iterable[Metric]:
        """Return the counts as Prometheus metrics."""
        requests = CounterMetricFamily(
            "tsunagu_http_requests", "NGSI-LD requests by operation and status", labels=("operation", "status")
        )
        for (operation, status), count in sorted(self._requests.items()):
            requests.add_metric((operation, str(status)), count)
        durations = HistogramMetricFamily(
            "tsunagu_http_request_seconds", "Time to answer an NGSI-LD request", labels=("operation",)
        )
        for operation, buckets in sorted(self._buckets.items()):
            total = 0
            cumulative: list[tuple[str, float]] = []
            for bound, count in zip((*map(str, BOUNDS), "+Inf"), buckets, strict=True):
                total += count
                cumulative.append((bound, total))
            durations.add_metric((operation,), cumulative, self._seconds[operation])
        return [requests, durations]
