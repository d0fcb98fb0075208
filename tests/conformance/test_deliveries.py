"""What became of a subscription's notifications, seen and steered over /tsunagu/v1/subscriptions (ours)."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from tests.drills.harness import eventually, sink

OURS = "http://broker/tsunagu/v1/subscriptions"


def gauge(level: int) -> dict[str, Any]:
    return {"id": "urn:ngsi-ld:Gauge:1", "type": "Gauge", "level": {"type": "Property", "value": level}}


async def subscribed(client: httpx.AsyncClient, endpoint: str) -> str:
    body = {
        "id": "urn:ngsi-ld:Subscription:1",
        "type": "Subscription",
        "entities": [{"type": "Gauge"}],
        "notification": {"endpoint": {"uri": endpoint, "accept": "application/json"}},
    }
    answer = await client.post("/subscriptions", json=body)
    assert answer.status_code == 201, answer.text
    return f"{OURS}/urn:ngsi-ld:Subscription:1"


async def test_attempts_replay_and_preview_tell_the_same_story(client: httpx.AsyncClient) -> None:
    """Each attempt is on record; a replay sends the changes again in order; a preview shows them and sends nothing."""
    async with sink() as target:
        path = await subscribed(client, target.url)
        for level in (1, 2, 3):
            assert (await client.post("/entityOperations/upsert", json=[gauge(level)])).status_code in (201, 204)
        await eventually(
            lambda: target.values("level") == [1, 2, 3], seconds=10, what=lambda: str(target.values("level"))
        )
        attempts = (await client.get(f"{path}/deliveries")).json()
        assert [one["ok"] for one in attempts] == [True] * len(attempts)
        assert sum(len(one["changes"]) for one in attempts) == 3
        assert all(len(one["sha256"]) == 64 for one in attempts)
        preview = (await client.get(f"{path}/preview?last=10")).json()
        assert [one["body"]["data"][0]["level"]["value"] for one in preview] == [1, 2, 3]
        await asyncio.sleep(0.2)
        assert target.values("level") == [1, 2, 3]
        span = {"from": "2020-01-01T00:00:00Z", "to": "2099-01-01T00:00:00Z"}
        replayed = await client.post(f"{path}/replay", params=span)
        assert (replayed.status_code, replayed.json()) == (202, {"replayed": 3})
        await eventually(lambda: target.values("level")[3:] == [1, 2, 3], seconds=10, what="not replayed")


async def test_pause_and_resume_hold_and_release(client: httpx.AsyncClient) -> None:
    """A paused subscription is told nothing; a resumed one is told what changes from then on."""
    async with sink() as target:
        path = await subscribed(client, target.url)
        assert (await client.post(f"{path}/pause")).status_code == 204
        await client.post("/entityOperations/upsert", json=[gauge(1)])
        await asyncio.sleep(0.5)
        assert target.values("level") == []
        assert (await client.post(f"{path}/resume")).status_code == 204
        await client.post("/entityOperations/upsert", json=[gauge(2)])
        await eventually(lambda: target.values("level") == [2], seconds=10, what=lambda: str(target.values("level")))


async def test_rubbish_is_refused_by_name(client: httpx.AsyncClient) -> None:
    """An unknown subscription is 404; a wrong number, time or body is 400 and names the parameter."""
    assert (await client.get(f"{OURS}/urn:none/deliveries")).status_code == 404
    async with sink() as target:
        path = await subscribed(client, target.url)
        for method, tail, word in (
            ("GET", "/deliveries?limit=x", "limit"),
            ("GET", "/deliveries?before=soon", "before"),
            ("GET", "/preview?last=0", "last"),
            ("POST", "/replay", "from"),
            ("POST", "/replay?from=a&to=b", "from"),
            ("POST", "/deadletters/redeliver", ""),
        ):
            answer = await client.request(method, path + tail, json=[1] if tail.startswith("/dead") else None)
            assert answer.status_code == 400, (tail, answer.text)
            assert word in answer.json()["detail"]
        assert (await client.get(f"{path}/deadletters")).json() == []
        assert (await client.post(f"{path}/deadletters/redeliver")).json() == {"redelivered": 0}
