"""Hosted, cached and implicitly created @contexts (5.13, 6.29, 6.30, 6.3.16)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.conformance.context_server import ContextServer, context_server
from tests.conformance.requests import LD, assert_problem, link, prop
from tsunagu.app import create_app
from tsunagu.app.application import Application

CORE = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.6.jsonld"
WATER = {"@context": {"Gauge": "https://example.org/Gauge", "level": "https://example.org/level"}}


@pytest.fixture
async def remote() -> AsyncIterator[ContextServer]:
    async with context_server() as one:
        yield one


def quoted(url: str) -> str:
    return url.replace(":", "%3A").replace("/", "%2F")


async def use(client: httpx.AsyncClient, url: str, number: int = 1) -> httpx.Response:
    entity = {"id": f"urn:a:{number}", "type": "Gauge", "level": prop(1)}
    return await client.post("/entities", json=entity, headers=link(url))


async def test_5_13_2_a_hosted_context_is_served_and_usable(client: httpx.AsyncClient) -> None:
    """An added @context is served as given, without what stood beside it, and expands entities under its URL."""
    added = await client.post("/jsonldContexts", json={**WATER, "note": "dropped"})
    assert (added.status_code, added.content) == (201, b"")
    location = added.headers["location"]
    assert (await client.get("http://broker" + location)).json() == WATER
    details = (await client.get(f"http://broker{location}?details=true")).json()
    assert (details["kind"], details["localId"]) == ("Hosted", location.rpartition("/")[2])
    assert details["URL"].endswith(location)
    assert (await use(client, details["URL"])).status_code == 201
    assert (await client.get("/entities/urn:a:1")).json()["type"] == "https://example.org/Gauge"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "InvalidRequest"),
        (b'{"a": 1}', "InvalidRequest"),
        (b"[]", "InvalidRequest"),
        (b'{"@context": 42}', "BadRequestData"),
        (b'{"@context": ["https://example.org/c", 7]}', "BadRequestData"),
        (b'{"@context": {"a": {"@id": 5}}}', "BadRequestData"),
    ],
)
async def test_5_13_2_what_is_no_context_is_refused(client: httpx.AsyncClient, body: bytes, kind: str) -> None:
    """No JSON or no @context is InvalidRequest, an @context that cannot be one BadRequestData."""
    headers = {"Content-Type": "application/json"}
    assert_problem(await client.post("/jsonldContexts", content=body, headers=headers), 400, kind)


async def test_5_13_3_contexts_are_listed_by_kind(client: httpx.AsyncClient, remote: ContextServer) -> None:
    """The list has URLs, or details; kind narrows it; wrong values are BadRequestData."""
    url = remote.host("/water.jsonld", WATER)
    assert (await use(client, url)).status_code == 201
    hosted = (await client.post("/jsonldContexts", json=WATER)).headers["location"]
    assert (await client.get("/jsonldContexts?kind=Cached")).json() == [url]
    [found] = (await client.get("/jsonldContexts?kind=Hosted&details=true")).json()
    assert found["URL"].endswith(hosted)
    assert len((await client.get("/jsonldContexts")).json()) == 2
    for query in ("kind=other", "details=other"):
        assert_problem(await client.get(f"/jsonldContexts?{query}"), 400, "BadRequestData", query.split("=")[0])


async def test_5_13_4_a_cached_context_tells_details_only(client: httpx.AsyncClient, remote: ContextServer) -> None:
    """A cached @context is known by its URL, is not served, and counts its uses; unknown ones are not found."""
    url = remote.host("/water.jsonld", WATER)
    for number in range(3):
        assert (await use(client, url, number)).status_code == 201
    assert_problem(await client.get(f"/jsonldContexts/{quoted(url)}"), 422, "OperationNotSupported")
    details = (await client.get(f"/jsonldContexts/{quoted(url)}?details=true")).json()
    assert (details["kind"], details["URL"], details["numberOfHits"]) == ("Cached", url, 3)
    assert remote.asked["/water.jsonld"] == 1
    assert_problem(await client.get("/jsonldContexts/nothing?details=true"), 404, "ResourceNotFound")


async def test_5_13_a_context_of_another_broker_is_cached(client: httpx.AsyncClient, remote: ContextServer) -> None:
    """An @context hosted by another broker is fetched once and kept, though its URL looks like one of ours."""
    url = remote.host("/ngsi-ld/v1/jsonldContexts/7d1e", WATER)
    for number in range(2):
        assert (await use(client, url, number)).status_code == 201
    details = (await client.get(f"/jsonldContexts/{quoted(url)}?details=true")).json()
    assert (details["kind"], details["URL"], details["numberOfHits"]) == ("Cached", url, 2)


async def test_5_13_5_a_deleted_context_is_fetched_anew(client: httpx.AsyncClient, remote: ContextServer) -> None:
    """After a cached @context was deleted, its next use fetches it."""
    url = remote.host("/water.jsonld", WATER)
    await use(client, url, 1)
    assert (await client.delete(f"/jsonldContexts/{quoted(url)}")).status_code == 204
    assert_problem(await client.delete(f"/jsonldContexts/{quoted(url)}"), 404, "ResourceNotFound")
    await use(client, url, 2)
    assert remote.asked["/water.jsonld"] == 2


async def test_5_13_5_reload_replaces_a_cached_context(client: httpx.AsyncClient, remote: ContextServer) -> None:
    """With reload the new content counts at once; if it cannot be had, 504 and the old one stays."""
    url = remote.host("/water.jsonld", WATER)
    await use(client, url, 1)
    remote.host("/water.jsonld", {"@context": {"Gauge": "https://example.org/NewGauge"}})
    assert (await client.delete(f"/jsonldContexts/{quoted(url)}?reload=true")).status_code == 204
    await use(client, url, 2)
    assert (await client.get("/entities/urn:a:2")).json()["type"] == "https://example.org/NewGauge"
    for broken in (None, b"no json", {"note": "no @context"}):
        remote.documents["/water.jsonld"] = broken
        failed = await client.delete(f"/jsonldContexts/{quoted(url)}?reload=true")
        assert_problem(failed, 504, "LdContextNotAvailable")
    assert (await use(client, url, 3)).status_code == 201


async def test_5_13_5_only_cached_contexts_reload_and_the_core_stays(client: httpx.AsyncClient) -> None:
    """Reload of a hosted or unknown @context, and deleting the core one, are BadRequestData."""
    hosted = (await client.post("/jsonldContexts", json=WATER)).headers["location"]
    assert_problem(await client.delete(f"http://broker{hosted}?reload=true"), 400, "BadRequestData", "reload")
    assert_problem(await client.delete("/jsonldContexts/nothing?reload=true"), 400, "BadRequestData", "reload")
    assert_problem(await client.delete(f"/jsonldContexts/{quoted(CORE)}"), 400, "BadRequestData", "core")
    assert (await client.get(f"/jsonldContexts/{quoted(CORE)}?details=true")).json()["kind"] == "Cached"


async def test_5_13_contexts_of_another_tenant_are_not_there(client: httpx.AsyncClient) -> None:
    """A hosted @context is private to its tenant: not served, listed or deleted through another."""
    mine, other = {"NGSILD-Tenant": "mine"}, {"NGSILD-Tenant": "other"}
    location = "http://broker" + (await client.post("/jsonldContexts", json=WATER, headers=mine)).headers["location"]
    assert (await client.get(location, headers=mine)).json() == WATER
    assert_problem(await client.get(location, headers=other), 404, "ResourceNotFound")
    assert (await client.get("/jsonldContexts", headers=other)).json() == []
    assert_problem(await client.delete(location, headers=other), 404, "ResourceNotFound")
    assert (await client.delete(location, headers=mine)).status_code == 204


async def test_5_5_6_a_broken_context_is_told_from_an_unreachable_one(
    client: httpx.AsyncClient, remote: ContextServer
) -> None:
    """Unreachable is 504, no JSON-LD context is 400; nothing is written, and known contexts go on working."""
    known = remote.host("/water.jsonld", WATER)
    await use(client, known, 1)
    assert_problem(await use(client, remote.base + "/none", 2), 504, "LdContextNotAvailable")
    assert_problem(await use(client, remote.host("/bad", b"no json"), 2), 400, "BadRequestData")
    assert_problem(await client.get("/entities/urn:a:2"), 404, "ResourceNotFound")
    assert (await use(client, known, 3)).status_code == 201


async def test_contexts_survive_a_restart_offline(broker: Application, client: httpx.AsyncClient) -> None:
    """What was fetched once is there after a restart of the process, although its server is gone."""
    async with context_server() as remote:
        url = remote.host("/water.jsonld", WATER)
        assert (await use(client, url)).status_code == 201
    second = create_app(broker.settings)
    await second.start()
    try:
        transport = httpx.ASGITransport(app=second)
        async with httpx.AsyncClient(transport=transport, base_url="http://broker/ngsi-ld/v1") as other:
            found = await other.get("/entities/urn:a:1", headers=link(url))
            assert found.json() == {"id": "urn:a:1", "type": "Gauge", "level": prop(1)}
    finally:
        await second.stop()


async def test_6_3_16_a_context_is_fetched_anew_when_its_time_is_over(
    broker: Application, client: httpx.AsyncClient, remote: ContextServer
) -> None:
    """The expiry follows Cache-Control; what is due is fetched in the background and used from then on."""
    remote.headers["cache-control"] = "max-age=120"
    url = remote.host("/water.jsonld", WATER)
    await use(client, url, 1)
    details = (await client.get(f"/jsonldContexts/{quoted(url)}?details=true")).json()
    assert details["expiresAt"] > details["createdAt"]
    parts = broker.parts
    assert parts is not None
    catalogue = parts.catalogue
    [entry] = await catalogue.find("", "contexts", {"url": url})
    assert entry["expires"] - entry["created"] == 120_000
    await parts.services.contexts.refresh_due()
    assert remote.asked["/water.jsonld"] == 1
    await catalogue.change("", "contexts", entry["id"], {"expires": 1})
    remote.host("/water.jsonld", {"@context": {"Gauge": "https://example.org/NewGauge"}})
    await parts.services.contexts.refresh_due()
    await use(client, url, 2)
    assert (await client.get("/entities/urn:a:2")).json()["type"] == "https://example.org/NewGauge"


async def test_a_context_deleted_in_one_process_is_forgotten_in_all(
    broker: Application, client: httpx.AsyncClient, remote: ContextServer
) -> None:
    """Another process hears of the deletion within a second and fetches the @context anew."""
    url = remote.host("/water.jsonld", WATER)
    second = create_app(broker.settings)
    await second.start()
    try:
        transport = httpx.ASGITransport(app=second)
        async with httpx.AsyncClient(transport=transport, base_url="http://broker/ngsi-ld/v1") as other:
            await use(other, url, 1)
            remote.host("/water.jsonld", {"@context": {"Gauge": "https://example.org/NewGauge"}})
            assert (await client.delete(f"/jsonldContexts/{quoted(url)}")).status_code == 204
            await asyncio.sleep(1)
            await use(other, url, 2)
            assert (await other.get("/entities/urn:a:2")).json()["type"] == "https://example.org/NewGauge"
    finally:
        await second.stop()


async def test_6_3_5_linked_data_may_carry_its_context_inline(client: httpx.AsyncClient) -> None:
    """An @context object in the body expands the entity; a query with one gets a URL for it in its Link header."""
    body = {"id": "urn:a:1", "type": "Gauge", **WATER}
    assert (await client.post("/entities", json=body, headers=LD)).status_code == 201
    query = {"type": "Query", "entities": [{"type": "Gauge"}], **WATER}
    response = await client.post("/entityOperations/query", json=query, headers=LD)
    assert response.json() == [{"id": "urn:a:1", "type": "Gauge"}]
    url = response.headers["link"].split(">")[0].removeprefix("<")
    assert (await client.get("/jsonldContexts/" + url.rpartition("/")[2])).json() == WATER
