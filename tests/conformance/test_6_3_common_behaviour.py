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


async def test_if_none_match_spares_the_body_while_nothing_changed(client: httpx.AsyncClient) -> None:
    """A GET by id with the current entity tag is 304 without a body; after a write it is 200 with a new tag."""
    tag = (await client.get("/entities/urn:a:1")).headers["etag"]
    for header in (tag, f'"other", W/{tag}', "*"):
        same = await client.get("/entities/urn:a:1", headers={"If-None-Match": header})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
        assert "content-length" not in same.headers
    await client.patch("/entities/urn:a:1/attrs", json={"x": prop(2)})
    changed = await client.get("/entities/urn:a:1?format=simplified", headers={"If-None-Match": tag})
    assert (changed.status_code, changed.json()["x"]) == (200, 2)
    assert changed.headers["etag"] != tag
    gone = await client.get("/entities/urn:a:1?attrs=none", headers={"If-None-Match": "*"})
    assert_problem(gone, 404, "ResourceNotFound")


async def test_6_3_4_a_compressed_body_is_refused_at_once(client: httpx.AsyncClient) -> None:
    """A body with a Content-Encoding is 415 without a body; Accept-Encoding says what would be right."""
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    response = await client.post("/entities", content=b"\x1f\x8b", headers=headers)
    assert (response.status_code, response.content, response.headers["accept-encoding"]) == (415, b"", "identity")
    plain = await client.post(
        "/entities", json={"id": "urn:a:2", "type": "A"}, headers={"Content-Encoding": "identity"}
    )
    assert plain.status_code == 201


async def test_links_and_locations_lead_back_through_a_proxy(client: httpx.AsyncClient) -> None:
    """With X-Forwarded-* a client can follow Location, page links and the URL of an implicit @context."""
    proxy = {"X-Forwarded-Host": "city.example", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/ld"}
    context = [{"x": "urn:x"}]
    body = {"id": "urn:a:2", "type": "A", "@context": context}
    created = await client.post("/entities", json=body, headers={**proxy, **LD})
    assert created.headers["location"] == "/ld/ngsi-ld/v1/entities/urn:a:2"
    page = await client.get("/entities?type=A&limit=1", headers=proxy)
    assert "</ld/ngsi-ld/v1/entities?limit=1&offset=1&type=A>" in page.headers["link"]
    query = {"type": "Query", "entities": [{"type": "A"}], "@context": context}
    answer = await client.post("/entityOperations/query", json=query, headers={**proxy, **LD})
    assert answer.headers["link"].startswith("<https://city.example/ld/ngsi-ld/v1/jsonldContexts/")
    known = (await client.get("/jsonldContexts?kind=ImplicitlyCreated", headers=proxy)).json()
    assert known == [answer.headers["link"].partition(">")[0][1:]]


async def test_6_3_5_one_context_named_twice_is_one_context(client: httpx.AsyncClient) -> None:
    """A Link header that an intermediary repeated is accepted; two different @contexts are not (JSON-LD 1.1, 6.2)."""
    twice = [("Link", link(OLD_CORE)["Link"])] * 2
    assert (await client.get("/entities/urn:a:1", headers=twice)).status_code == 200
    both = [("Link", link(OLD_CORE)["Link"]), ("Link", link(CORE)["Link"])]
    assert_problem(await client.get("/entities/urn:a:1", headers=both), 400, "BadRequestData", "several")


async def test_6_3_18_a_request_that_came_a_long_way_is_answered(client: httpx.AsyncClient) -> None:
    """Via headers of brokers before this one are accepted: nothing is forwarded from here, so no loop can close."""
    way = {"Via": "1.1 neighbour, HTTP/1.1 tsunagu (loop)"}
    assert (await client.get("/entities/urn:a:1", headers=way)).status_code == 200
    assert (await client.post("/entities", json={"id": "urn:a:2", "type": "A"}, headers=way)).status_code == 201


async def test_6_3_5_a_link_without_rel_names_the_context(client: httpx.AsyncClient) -> None:
    """A Link header that is nothing but a URL is taken for the @context; a body that has its own refuses it."""
    own = (await client.post("/jsonldContexts", json={"@context": {"Gauge": "https://a.example/G"}})).headers[
        "location"
    ]
    bare = {"Link": f"<http://127.0.0.1:1026{own}>"}
    await create(client, {"id": "urn:g:1", "type": "Gauge"}, headers=bare)
    assert (await client.get("/entities/urn:g:1")).json()["type"] == "https://a.example/G"
    assert (await client.get("/entities/urn:g:1", headers=bare)).json()["type"] == "Gauge"
    refused = await client.post(
        "/entities", json={"id": "urn:g:2", "type": "A", "@context": CORE}, headers={**bare, **LD}
    )
    assert_problem(refused, 400, "BadRequestData", "Link")


async def test_a_uri_in_the_path_need_not_be_encoded(client: httpx.AsyncClient) -> None:
    """Ids, attributes and @contexts that are URLs are found by their raw text, as many clients send them."""
    entity, attribute = "http://a.example/entity/1", "https://a.example/attribute/x"
    await create(client, {"id": entity, "type": "B", attribute: prop(1)})
    base = "http://broker/ngsi-ld/v1"
    assert (await client.get(f"{base}/entities/{entity}")).json()["id"] == entity
    changed = await client.patch(f"{base}/entities/{entity}/attrs/{attribute}", json={"value": 2})
    assert changed.status_code == 204
    assert (await client.get(f"{base}/attributes/{attribute}")).json()["attributeName"] == attribute
    assert_problem(await client.delete(f"{base}/jsonldContexts/{CORE}"), 400, "BadRequestData", "core")
    assert (await client.delete(f"{base}/entities/{entity}")).status_code == 204
