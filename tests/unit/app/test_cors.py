"""Cross-origin requests."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tsunagu.app.cors import with_cors
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


async def test_another_origin_is_not_let_in() -> None:
    """An origin that is not listed gets no permission, neither for the preflight nor for the answer."""
    async with browser(APP) as client:
        other = {"Origin": "https://other.example", "Access-Control-Request-Method": "GET"}
        assert (await client.options("/x", headers=other)).status_code == 400
        assert "access-control-allow-origin" not in (await client.get("/x", headers=other)).headers
