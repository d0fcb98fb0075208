"""Metrics of single subscriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest

from tests.unit.subscriptions.rig import value
from tsunagu.subscriptions import standing
from tsunagu.subscriptions.standing import SubscriptionMetrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import pytest

    from tests.unit.subscriptions.receiver import Receiver
    from tests.unit.subscriptions.rig import Rig


def metrics_of(rig: Rig, *, limit: int) -> SubscriptionMetrics:
    return SubscriptionMetrics(rig.dispatcher.store, rig.dispatcher.tallies, rig.parked, limit=limit)


async def text_of(metrics: SubscriptionMetrics) -> str:
    """Return what Prometheus is told."""
    await metrics.refresh()
    registry = CollectorRegistry()
    registry.register(metrics)
    return generate_latest(registry).decode()


async def test_every_worker_tells_how_a_subscription_stands(
    rigs: Callable[..., Awaitable[Rig]], receiver: Receiver
) -> None:
    """Attempts, failures, what waits, what was given up and the age of the last success, alike at all processes."""
    one, other = await rigs(), await rigs()
    subscribed = await one.subscribe(receiver.url())
    failed = False

    async def answer(request: web.Request, body: object) -> web.StreamResponse:
        nonlocal failed
        status, failed = (204 if failed else 500), True
        return web.Response(status=status)

    receiver.answer = answer
    await one.create("a", level=value(1))
    await receiver.wait(1)
    for rig in (one, other):
        await rig.dispatcher.written()
    label = f'{{subscription="{subscribed}",tenant=""}}'
    other.dispatcher.store.put("", await other.subscriptions.entry("", subscribed))
    for rig in (one, other):
        text = await text_of(metrics_of(rig, limit=10))
        for name, number in (("sent_total", 2), ("failed_total", 1), ("waiting", 0), ("dead_letters", 0)):
            assert f"tsunagu_subscription_{name}{label} {number}.0" in text
        assert f"tsunagu_subscription_last_success_age_seconds{label}" in text


async def test_what_is_parked_and_dead_is_counted(rig: Rig) -> None:
    """Notifications of a paused subscription wait in the store and are counted there."""
    subscribed = await rig.subscribe("http://127.0.0.1:9/", isActive=False)
    await rig.create("a", level=value(1))
    span = (0, 1 << 60)
    assert await rig.dispatcher.replay("", subscribed, *span) == 1
    await rig.dispatcher.outbox.parking.flushed()
    assert f'tsunagu_subscription_waiting{{subscription="{subscribed}",tenant=""}} 1.0' in await text_of(
        metrics_of(rig, limit=10)
    )


async def test_the_number_of_series_is_bounded(rig: Rig) -> None:
    """Only the oldest subscriptions have series of their own; the others are counted."""
    names = [await rig.subscribe("http://127.0.0.1:9/") for _ in range(4)]
    text = await text_of(metrics_of(rig, limit=2))
    assert sum(name in text for name in names) == 2
    assert "tsunagu_subscriptions_unmeasured 2.0" in text
    none = await text_of(metrics_of(rig, limit=0))
    assert not any(name in none for name in names)


async def test_an_absent_store_leaves_what_was_known(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the store does not answer in time the metrics are those read last, and nobody waits longer."""
    monkeypatch.setattr(standing, "FRESH_SECONDS", 0.0)
    subscribed = await rig.subscribe("http://127.0.0.1:9/")
    metrics = metrics_of(rig, limit=10)
    assert subscribed in await text_of(metrics)
    monkeypatch.setattr(standing, "PATIENCE", 0.0)
    assert subscribed in await text_of(metrics)
