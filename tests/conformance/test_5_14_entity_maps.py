"""Entity maps (5.14, 5.5.9.3, 5.5.14) and the identity of the source (5.15)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.conformance.requests import assert_problem, create, prop


@pytest.fixture(autouse=True)
async def five(client: httpx.AsyncClient) -> None:
    await create(client, *({"id": f"urn:a:{n}", "type": "A", "x": prop(n)} for n in range(5)))


async def new_map(client: httpx.AsyncClient, query: str = "type=A") -> str:
    response = await client.get(f"/entityMaps?{query}")
    assert response.status_code == 201, response.text
    return response.headers["ngsild-entitymap"]


async def test_5_14_4_a_map_lists_the_matching_entities(client: httpx.AsyncClient) -> None:
    """A map has type, expiry and for each matching entity ["@none"]; it can be read under its location."""
    created = await client.get("/entityMaps?type=A&q=x>2&entityMapLifetime=PT5M")
    assert created.status_code == 201
    body = created.json()
    assert (body["type"], body["entityMap"]) == ("EntityMap", {"urn:a:3": ["@none"], "urn:a:4": ["@none"]})
    rest = datetime.fromisoformat(body["expiresAt"]) - datetime.now(UTC)
    assert timedelta(minutes=4) < rest <= timedelta(minutes=5)
    found = await client.get("http://broker" + created.headers["ngsild-entitymap"])
    assert found.json()["entityMap"] == body["entityMap"]


async def test_5_14_4_a_map_can_be_made_by_body(client: httpx.AsyncClient) -> None:
    """POST entityMaps takes a Query."""
    query = {"type": "Query", "entities": [{"type": "A", "id": "urn:a:1"}]}
    response = await client.post("/entityMaps", json=query)
    assert (response.status_code, response.json()["entityMap"]) == (201, {"urn:a:1": ["@none"]})


@pytest.mark.parametrize("query", ["id=urn:a:1", "type=A&entityMapLifetime=1hour", "type=A&q=b{c}==1", "type=A&q=(("])
async def test_5_14_4_a_bad_query_makes_no_map(client: httpx.AsyncClient, query: str) -> None:
    """What would be refused as a query is refused for a map."""
    assert_problem(await client.get(f"/entityMaps?{query}"), 400, "BadRequestData")


async def test_5_14_2_only_the_expiry_can_be_changed(client: httpx.AsyncClient) -> None:
    """The expiry is set, at most as late as the broker allows; entityMap is ignored; an expired map is gone."""
    location = "http://broker" + await new_map(client)
    fragment = {"expiresAt": "2099-01-01T00:00:00Z", "entityMap": {"urn:a:99": ["@none"]}}
    assert (await client.patch(location, json=fragment)).status_code == 204
    body = (await client.get(location)).json()
    assert body["expiresAt"] < "2099"
    assert "urn:a:99" not in body["entityMap"]
    assert_problem(await client.patch(location, json={"expiresAt": "tomorrow"}), 400, "BadRequestData", "expiresAt")
    assert (await client.patch(location, json={"expiresAt": "2000-01-01T00:00:00Z"})).status_code == 204
    assert_problem(await client.get(location), 404, "ResourceNotFound")


async def test_5_14_3_a_deleted_map_is_gone(client: httpx.AsyncClient) -> None:
    """Delete answers 204, then 404; an id that is no URI is BadRequestData."""
    location = "http://broker" + await new_map(client)
    assert (await client.delete(location)).status_code == 204
    assert_problem(await client.delete(location), 404, "ResourceNotFound")
    assert_problem(await client.get("/entityMaps/nonsense"), 400, "BadRequestData")


async def test_5_5_14_a_map_fixes_what_later_requests_see(client: httpx.AsyncClient) -> None:
    """A query with a map sees its entities only, though others match by now; the map's location comes back."""
    made = await client.get("/entities?type=A&entityMap=true&limit=2")
    assert (made.status_code, len(made.json())) == (201, 2)
    headers = {"NGSILD-EntityMap": made.headers["ngsild-entitymap"]}
    await create(client, {"id": "urn:a:0new", "type": "A", "x": prop(9)})
    again = await client.get("/entities?type=A", headers=headers)
    assert again.status_code == 200
    assert again.headers["ngsild-entitymap"] == headers["NGSILD-EntityMap"]
    assert [entity["id"] for entity in again.json()] == [f"urn:a:{n}" for n in range(5)]


async def test_5_5_9_3_what_no_longer_fits_leaves_the_map(client: httpx.AsyncClient) -> None:
    """A deleted entity is skipped, the page is filled, and the map loses it."""
    location = await new_map(client)
    await client.delete("/entities/urn:a:1")
    page = await client.get("/entities?type=A&limit=3&count=true", headers={"NGSILD-EntityMap": location})
    assert [entity["id"] for entity in page.json()] == ["urn:a:0", "urn:a:2", "urn:a:3"]
    assert page.headers["ngsild-results-count"] == "4"
    assert "urn:a:1" not in (await client.get("http://broker" + location)).json()["entityMap"]


async def test_5_7_1_4_a_dead_map_is_replaced(client: httpx.AsyncClient) -> None:
    """A map that is not there makes a new one, for a retrieval and for a query; the dead one is not echoed."""
    headers = {"NGSILD-EntityMap": "urn:ngsi-ld:entitymap:dead"}
    for path, status in (("/entities/urn:a:1", 200), ("/entities?type=A", 201)):
        response = await client.get(path, headers=headers)
        assert response.status_code == status
        assert "dead" not in response.headers["ngsild-entitymap"]


async def test_4_14_a_map_belongs_to_its_tenant(client: httpx.AsyncClient) -> None:
    """Another tenant neither reads nor deletes a map."""
    await create(client, {"id": "urn:a:1", "type": "A"}, headers={"NGSILD-Tenant": "other"})
    location = "http://broker" + await new_map(client)
    for method in ("GET", "DELETE"):
        response = await client.request(method, location, headers={"NGSILD-Tenant": "other"})
        assert_problem(response, 404, "ResourceNotFound")
    assert (await client.get(location)).status_code == 200


async def test_5_15_1_the_broker_says_who_it_is(client: httpx.AsyncClient) -> None:
    """The identity has id, alias, uptime and time; each tenant has an alias of its own that stays."""
    body = (await client.get("/info/sourceIdentity")).json()
    assert body["type"] == "ContextSourceIdentity"
    assert body["contextSourceUptime"].startswith("PT")
    assert datetime.fromisoformat(body["contextSourceTimeAt"]) <= datetime.now(UTC)
    aliases = [
        (await client.get("/info/sourceIdentity", headers={"NGSILD-Tenant": name})).json()["contextSourceAlias"]
        for name in ("a", "b", "a")
    ]
    assert aliases[0] == aliases[2]
    assert len({body["contextSourceAlias"], *aliases}) == 3
