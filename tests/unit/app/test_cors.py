"""Cross-origin requests."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tsunagu.app.cors import with_cors
from tsunagu.asgi import WHOLE_ANSWER
from tsunagu.broker.api.call import Answer
from tsunagu.broker.api.dispatch import respond

APP = "https://app.example"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    await respond(scope, send, Answer(200, b"{}", [(b"ngsild-results-count", b"1")]))


def browser(*origins: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(with_cors(echo, origins)), base_url="http://broker")


def test_without_origins_nothing_stands_in_front() -> None:
    """The application itself is served where the operator lists no origin."""
    assert with_cors(echo, ()) is echo


@pytest.mark.parametrize("origins", [(APP,), ("*",)])
async def test_a_listed_origin_may_call_and_read_the_headers(origins: tuple[str, ...]) -> None:
    """Preflight allows our methods and any header; the answer exposes what NGSI-LD says in headers."""
    async with browser(*origins) as client:
        asked = {
            "Origin": APP,
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "NGSILD-Tenant",
        }
        preflight = await client.options("/ngsi-ld/v1/entities/urn:a:1/attrs", headers=asked)
        assert preflight.status_code == 200
        assert "PATCH" in preflight.headers["access-control-allow-methods"]
        assert "ngsild-tenant" in preflight.headers["access-control-allow-headers"].lower()
        answer = await client.get("/ngsi-ld/v1/entities", headers={"Origin": APP})
        assert answer.headers["access-control-allow-origin"] in {APP, "*"}
        assert "NGSILD-Results-Count" in answer.headers["access-control-expose-headers"]


async def test_the_permission_is_there_though_the_server_takes_whole_answers() -> None:
    """A request with an origin is answered in messages, one without it in one piece."""
    whole: list[int] = []

    def take(status: int, _: Any, body: bytes) -> bool:
        whole.append(status)
        return True

    async def server(scope: Any, receive: Any, send: Any) -> None:
        await with_cors(echo, (APP,))({**scope, "extensions": {WHOLE_ANSWER: take}}, receive, send)
        if whole:
            await respond(scope, send, Answer(204))

    async with httpx.AsyncClient(transport=httpx.ASGITransport(server), base_url="http://broker") as client:
        assert (await client.get("/x", headers={"Origin": APP})).headers["access-control-allow-origin"] == APP
        assert whole == []
        await client.get("/x")
        assert whole == [200]


async def test_another_origin_is_not_let_in() -> None:
    """An origin that is not listed gets no permission, neither for the preflight nor for the answer."""
    async with browser(APP) as client:
        other = {"Origin": "https://other.example", "Access-Control-Request-Method": "GET"}
        assert (await client.options("/x", headers=other)).status_code == 400
        assert "access-control-allow-origin" not in (await client.get("/x", headers=other)).headers
