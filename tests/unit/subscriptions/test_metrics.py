"""Metrics of delivery."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest

from tests.unit.subscriptions.rig import value

if TYPE_CHECKING:
    from tests.unit.subscriptions.receiver import Receiver
    from tests.unit.subscriptions.rig import Rig


async def test_attempts_and_queues_are_counted(rig: Rig, receiver: Receiver) -> None:
    """Attempts are counted by result, with their durations; no entity, tenant or subscription is named."""
    asked = 0

    async def answer(request: web.Request, body: dict[str, object]) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return web.Response(status={1: 500, 2: 400}.get(asked, 200))

    receiver.answer = answer
    registry = CollectorRegistry()
    registry.register(rig.dispatcher.metrics)
    subscription = await rig.subscribe(receiver.url())
    await rig.create("a", level=value(1))
    await receiver.wait(1)
    await asyncio.sleep(0.05)
    text = generate_latest(registry).decode()
    assert 'tsunagu_notifications_total{result="delivered"} 1.0' in text
    assert 'tsunagu_notifications_total{result="failed"} 1.0' in text
    assert 'tsunagu_notifications_total{result="refused"} 1.0' in text
    assert "tsunagu_notification_seconds_count 3.0" in text
    assert "tsunagu_subscriptions 1.0" in text
    assert "tsunagu_notifications_waiting 0.0" in text
    assert subscription not in text
