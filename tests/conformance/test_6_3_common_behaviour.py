"""Common behaviour of the HTTP binding (6.3), on a whole broker."""

from __future__ import annotations

import httpx
import pytest

from tests.conformance.requests import LD, assert_problem, create, link, prop

CORE = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.9.jsonld"
OLD_CORE = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.3.jsonld"


@pytest.fixture(autouse=True)
async def one(client: httpx.AsyncClient) -> None:
    await create(client, {"id": "urn:a:1", "type": "A", "x": prop(1)})


@pytest.mark.parametrize("path", ["/entities/urn:a:1", "/entities?type=A", "/types", "/attributes/x", "/subscriptions"])
async def test_6_3_6_json_has_its_context_in_the_link(client: httpx.AsyncClient, path: str) -> None:
    """application/json answers name the @context of the request, or the core one, in a Link header."""
    plain = await client.get(path)
    assert plain.headers["content-type"] == "application/json"
    expected = f'<{CORE}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
    assert plain.headers["link"].startswith(expected)
    assert OLD_CORE in (await client.get(path, headers=link(OLD_CORE))).headers["link"]


@pytest.mark.parametrize("path", ["/entities/urn:a:1", "/entities?type=A", "/types", "/attributes/x"])
async def test_6_3_6_linked_data_has_its_context_inside(client: httpx.AsyncClient, path: str) -> None:
    """application/ld+json answers have @context in the body, each element of an array its own, and no Link to it."""
    response = await client.get(path, headers={"Accept": "application/ld+json"})
    assert response.headers["content-type"] == "application/ld+json"
    body = response.json()
    assert all(one["@context"] == CORE for one in (body if isinstance(body, list) else [body]))
    assert "json-ld#context" not in response.headers.get("link", "")


async def test_6_3_6_errors_are_plain_json_whatever_is_accepted(client: httpx.AsyncClient) -> None:
    """Problems come as application/json, without Link header, also to a client that accepts linked data only."""
    response = await client.get("/entities/urn:a:none", headers={"Accept": "application/ld+json"})
    assert_problem(response, 404, "ResourceNotFound", "urn:a:none")
    assert "link" not in response.headers


async def test_6_3_14_tenants_are_worlds_of_their_own(client: httpx.AsyncClient) -> None:
    """What one tenant holds no other sees; the header comes back; an unknown tenant is NonexistentTenant."""
    mine = {"NGSILD-Tenant": "mine"}
    unknown = await client.get("/entities?type=A", headers=mine)
    assert_problem(unknown, 404, "NonexistentTenant", "mine")
    assert unknown.headers["ngsild-tenant"] == "mine"
    created = await client.post("/entities", json={"id": "urn:a:2", "type": "A"}, headers=mine)
    assert (created.status_code, created.headers["ngsild-tenant"]) == (201, "mine")
    assert [e["id"] for e in (await client.get("/entities?type=A", headers=mine)).json()] == ["urn:a:2"]
    assert [e["id"] for e in (await client.get("/entities?type=A")).json()] == ["urn:a:1"]
    assert (await client.get("/entities/urn:a:2", headers={"Fiware-Service": "Mine"})).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/entities?type=A&unknown=1"),
        ("POST", "/entities?q=x"),
        ("DELETE", "/entities?type=A&pick=x"),
        ("GET", "/entities/urn:a:1?q=x"),
        ("GET", "/types?unknown=1"),
        ("GET", "/subscriptions?type=A"),
        ("GET", "/temporal/entities?unknown=1"),
        ("GET", "/entities/urn:a:1?options=noOverwrite"),
        ("GET", "/entities/urn:a:1?format=temporalValues"),
    ],
)
async def test_6_3_20_misplaced_parameters_are_refused(client: httpx.AsyncClient, method: str, path: str) -> None:
    """Parameters, options and formats that an operation does not know are InvalidRequest."""
    body = {"id": "urn:a:2", "type": "A"} if method == "POST" else None
    assert_problem(await client.request(method, path, json=body), 400, "InvalidRequest")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/temporal/entities/urn:a:1"),
        ("POST", "/temporal/entities"),
        ("GET", "/csourceRegistrations"),
        ("POST", "/csourceRegistrations"),
    ],
)
async def test_5_5_6_what_is_not_offered_says_so(client: httpx.AsyncClient, method: str, path: str) -> None:
    """Operations of the standard that the broker does not offer are OperationNotSupported, after the usual checks."""
    body = {"id": "urn:a:2", "type": "A"} if method == "POST" else None
    assert_problem(await client.request(method, path, json=body), 422, "OperationNotSupported")
    if body:
        lost = {**body, "@context": "http://127.0.0.1:9/none.jsonld"}
        assert_problem(await client.post(path, json=lost, headers=LD), 504, "LdContextNotAvailable")


async def test_the_rest_of_the_broker_answers_beside_the_api(client: httpx.AsyncClient) -> None:
    """Readiness, metrics and OpenAPI are served by the same process."""
    assert (await client.get("http://broker/health/ready")).json()["status"] == "ready"
    assert "tsunagu_http_requests_total" in (await client.get("http://broker/metrics")).text
    document = (await client.get("http://broker/openapi.json")).json()
    assert document["paths"]["/ngsi-ld/v1/entities/{entityId}"]["get"]["operationId"] == "retrieveEntity"
