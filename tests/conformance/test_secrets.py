"""The secrets of an endpoint are used, kept, and shown to nobody (ours; 5.2.15, 5.8.2 to 5.8.4)."""

from __future__ import annotations

import base64
from typing import Any

import httpx
from aiohttp import web

from tests.conformance.requests import assert_problem
from tests.unit.subscriptions.receiver import Receiver

SECRETS = ("hunter2", "k-12345", "c0de5678")
ID = "urn:ngsi-ld:Subscription:1"
OURS = f"http://broker/tsunagu/v1/subscriptions/{ID}"


def subscription(uri: str) -> dict[str, Any]:
    return {
        "id": ID,
        "type": "Subscription",
        "entities": [{"type": "Gauge"}],
        "notification": {
            "endpoint": {
                "uri": uri.replace("://", "://bob:hunter2@") + "?code=c0de5678",
                "receiverInfo": [{"key": "X-Api-Key", "value": "k-12345"}],
            }
        },
    }


def level(number: int) -> list[dict[str, Any]]:
    return [{"id": "urn:ngsi-ld:Gauge:1", "type": "Gauge", "level": {"type": "Property", "value": number}}]


async def test_secrets_are_used_and_never_shown(client: httpx.AsyncClient) -> None:
    """Endpoints get the secrets, also after a PATCH of their masks; no GET, list, delivery or preview shows them."""
    receiver = Receiver()
    asked: list[str] = []

    async def take(request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        asked.append(request.query_string)
        return web.Response(status=204)

    receiver.answer = take
    await receiver.start()
    assert (await client.post("/subscriptions", json=subscription(receiver.url()))).status_code == 201
    await client.post("/entityOperations/upsert", json=level(1))
    await receiver.wait(1)
    shown = (await client.get(f"/subscriptions/{ID}")).json()
    patched = await client.patch(f"/subscriptions/{ID}", json={"notification": shown["notification"]})
    assert patched.status_code == 204, patched.text
    await client.post("/entityOperations/upsert", json=level(2))
    await receiver.wait(2)
    await receiver.stop()
    for _, headers, _ in receiver.got:
        assert headers["Authorization"] == "Basic " + base64.b64encode(b"bob:hunter2").decode()
        assert headers["X-Api-Key"] == "k-12345"
    assert asked == ["code=c0de5678"] * 2
    await client.post("/entityOperations/upsert", json=level(3))
    texts = [
        (await client.get(path)).text
        for path in ("/subscriptions", f"/subscriptions/{ID}", f"{OURS}/deliveries", f"{OURS}/preview")
    ]
    assert not [secret for secret in SECRETS if any(secret in text for text in texts)]
    assert shown["notification"]["endpoint"]["receiverInfo"] == [{"key": "X-Api-Key", "value": "********"}]


async def test_masks_go_nowhere_else(client: httpx.AsyncClient) -> None:
    """Moving an endpoint to another server with its masks is 400, and leaves the subscription as it was."""
    await client.post("/subscriptions", json=subscription("http://127.0.0.1:9/notify"))
    shown = (await client.get(f"/subscriptions/{ID}")).json()
    moved = {**shown["notification"]}
    moved["endpoint"] = {**moved["endpoint"], "uri": "http://127.0.0.1:10/notify"}
    answer = await client.patch(f"/subscriptions/{ID}", json={"notification": moved})
    assert_problem(answer, 400, "BadRequestData")
    assert "receiverInfo" in answer.json()["detail"]
    assert (await client.get(f"/subscriptions/{ID}")).json() == shown


async def test_problems_hold_no_password(client: httpx.AsyncClient) -> None:
    """The problem about an address that must not be reached, or is none, does not repeat its password."""
    for uri in ("http://10.0.0.1/notify", "http://10.0.0.1:99999/", "gopher://10.0.0.1/x"):
        answer = await client.post("/subscriptions", json=subscription(uri))
        assert_problem(answer, 400, "BadRequestData")
        assert not [secret for secret in SECRETS if secret in answer.text]


async def test_unusable_certificates_are_refused(client: httpx.AsyncClient) -> None:
    """A CA that is no PEM is 400 when the subscription is created, not a failure of each delivery."""
    body = subscription("https://127.0.0.1:9/notify")
    body["notification"]["endpoint"]["notifierInfo"] = [{"key": "TLS-CA", "value": "nonsense"}]
    answer = await client.post("/subscriptions", json=body)
    assert_problem(answer, 400, "BadRequestData")
    assert "notification.endpoint.notifierInfo: TLS-CA must be certificates in PEM" in answer.json()["detail"]
