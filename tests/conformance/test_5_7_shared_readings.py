"""Answers that several requests share show all that was acknowledged before any of them asked (5.7.1, 5.7.2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.conformance.requests import create, prop
from tsunagu.app import create_app
from tsunagu.app.application import Application

QUERY = "/entities?type=Gauge&q=level>=0&limit=1000"


@pytest.fixture
async def neighbour(broker: Application) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of a second process on the same database."""
    second = create_app(broker.settings)
    await second.start()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=second), base_url="http://b/ngsi-ld/v1") as one:
        yield one
    await second.stop()


async def crowd(client: httpx.AsyncClient, paths: list[str]) -> None:
    """Ask the same things again and again until cancelled."""
    while True:
        for path in paths:
            await client.get(path)


async def test_whoever_asks_after_a_write_sees_it(client: httpx.AsyncClient, neighbour: httpx.AsyncClient) -> None:
    """Among many equal requests, one made after a write was acknowledged, in whichever process, shows the write."""
    await create(client, {"id": "urn:a:0", "type": "Gauge", "level": prop(0)})
    others = [asyncio.create_task(crowd(client, [QUERY, "/entities/urn:a:0"])) for _ in range(12)]
    for number in range(1, 31):
        writer = neighbour if number % 2 else client
        await create(writer, {"id": f"urn:a:{number}", "type": "Gauge", "level": prop(number)})
        patched = await writer.patch("/entities/urn:a:0/attrs", json={"level": prop(number)})
        assert patched.status_code == 204
        seen, one = await asyncio.gather(client.get(QUERY), client.get("/entities/urn:a:0"))
        assert len(seen.json()) == number + 1
        assert one.json()["level"]["value"] == number
        assert next(each for each in seen.json() if each["id"] == "urn:a:0")["level"]["value"] == number
    for other in others:
        other.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def test_equal_queries_of_different_readers_are_told_apart(client: httpx.AsyncClient) -> None:
    """Tenant, media type, @context, projection and preferences keep what is asked at the same time apart."""
    await create(client, {"id": "urn:a:0", "type": "Gauge", "level": prop(0)})
    await client.post("/entities", json={"id": "urn:b:0", "type": "Gauge"}, headers={"NGSILD-Tenant": "other"})
    path = "/entities?type=Gauge"
    plain, tenant, linked, simple, earlier = await asyncio.gather(
        client.get(path),
        client.get(path, headers={"NGSILD-Tenant": "other"}),
        client.get(path, headers={"Accept": "application/ld+json"}),
        client.get(path + "&format=simplified"),
        client.get(path, headers={"Prefer": "ngsi-ld=1.3"}),
    )
    assert [entity["id"] for entity in plain.json()] == ["urn:a:0"]
    assert [entity["id"] for entity in tenant.json()] == ["urn:b:0"]
    assert tenant.headers["ngsild-tenant"] == "other"
    assert "ngsild-tenant" not in plain.headers
    assert "@context" in linked.json()[0]
    assert simple.json()[0]["level"] == 0
    assert earlier.headers["preference-applied"] == "ngsi-ld=1.3"
    assert "preference-applied" not in plain.headers
