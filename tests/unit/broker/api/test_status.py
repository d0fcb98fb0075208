"""Health, version, metrics."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import httpx
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from tsunagu.broker.api import status
from tsunagu.broker.api.traffic import Traffic
from tsunagu.broker.settings import Settings


async def fine() -> None:
    pass


async def down() -> None:
    raise ConnectionError("mongodb://user:secret@host refused")


async def silent() -> None:
    await asyncio.sleep(60)


def client_of(**pings: Any) -> httpx.AsyncClient:
    traffic, registry = Traffic(), CollectorRegistry()
    registry.register(traffic)
    traffic.record("retrieveEntity", 200, 0.004)
    traffic.record("retrieveEntity", 404, 7.0)
    services: Any = SimpleNamespace(settings=Settings(name="kawakami"), pings=pings, started=0.0, traffic=traffic)  # type: ignore[call-arg]
    app = FastAPI()
    app.include_router(status.status_router(services, registry, fine))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://broker")


async def test_a_live_process_says_so_whatever_its_parts_do() -> None:
    """Liveness does not look at the parts."""
    async with client_of(mongodb=down) as client:
        assert (await client.get("/health/live")).status_code == 200


async def test_ready_when_every_part_answers() -> None:
    """Readiness is 200 when all pings succeed and names the parts."""
    async with client_of(mongodb=fine, mqtt=fine) as client:
        response = await client.get("/health/ready")
        assert (response.status_code, response.json()["parts"]) == (200, {"mongodb": "ok", "mqtt": "ok"})


async def test_not_ready_when_a_part_is_down() -> None:
    """A failing ping makes 503; the answer keeps the error's text, which may hold secrets, to itself."""
    async with client_of(mongodb=down, mqtt=fine) as client:
        response = await client.get("/health/ready")
        assert (response.status_code, response.json()["parts"]) == (503, {"mongodb": "unavailable", "mqtt": "ok"})
        assert "secret" not in response.text


async def test_a_part_that_hangs_is_not_waited_for(monkeypatch: Any) -> None:
    """A ping that does not come back within its time counts as down."""
    monkeypatch.setattr(status, "PING_SECONDS", 0.05)
    async with client_of(mongodb=silent) as client:
        response = await client.get("/health/ready")
        assert (response.status_code, response.json()["parts"]["mongodb"]) == (503, "no answer within 0.05 s")


async def test_the_version_names_the_standard() -> None:
    """The version tells the broker's name, its release and the specification."""
    async with client_of() as client:
        body = (await client.get("/version")).json()
        assert (body["name"], body["specification"]) == ("kawakami", "ETSI GS CIM 009 v1.9.1")


async def test_metrics_count_requests_by_operation_and_status() -> None:
    """Requests are counted by operation and status, durations in cumulative buckets by operation."""
    async with client_of() as client:
        text = (await client.get("/metrics")).text
        assert 'tsunagu_http_requests_total{operation="retrieveEntity",status="404"} 1.0' in text
        assert 'tsunagu_http_request_seconds_bucket{le="0.005",operation="retrieveEntity"} 1.0' in text
        assert 'tsunagu_http_request_seconds_bucket{le="+Inf",operation="retrieveEntity"} 2.0' in text
        assert 'tsunagu_http_request_seconds_count{operation="retrieveEntity"} 2.0' in text
