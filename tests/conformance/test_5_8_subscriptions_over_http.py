"""The HTTP binding of subscriptions (5.8.1-5.8.5, 6.10, 6.11); what they notify is tested elsewhere."""

from __future__ import annotations

from typing import Any

import httpx

from tests.conformance.requests import LD, assert_problem

CORE = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.9.jsonld"


def subscription(number: int, **members: Any) -> dict[str, Any]:
    return {
        "id": f"urn:s:{number}",
        "type": "Subscription",
        "entities": [{"type": "Gauge"}],
        "notification": {"endpoint": {"uri": "http://127.0.0.1:9/notify"}},
        **members,
    }


async def test_5_8_a_subscription_lives_over_http(client: httpx.AsyncClient) -> None:
    """Create, retrieve, update and delete a subscription; each answers as Table 6.2-1 says."""
    created = await client.post("/subscriptions", json=subscription(1))
    assert (created.status_code, created.headers["location"]) == (201, "/ngsi-ld/v1/subscriptions/urn:s:1")
    assert_problem(await client.post("/subscriptions/", json=subscription(1)), 409, "AlreadyExists")
    patched = await client.patch("/subscriptions/urn:s:1", json={"description": "high water"})
    assert patched.status_code == 204
    found = (await client.get("/subscriptions/urn:s:1")).json()
    assert (found["type"], found["description"]) == ("Subscription", "high water")
    assert (await client.delete("/subscriptions/urn:s:1")).status_code == 204
    assert_problem(await client.get("/subscriptions/urn:s:1"), 404, "ResourceNotFound")


async def test_5_2_12_former_names_of_members_still_hold(client: httpx.AsyncClient) -> None:
    """`name` and `expires`, as clients of version 1.2.2 say, are today's members; both names at once are refused."""
    old = subscription(1, name="gauges", expires="2099-01-01T00:00:00Z")
    assert (await client.post("/subscriptions", json=old)).status_code == 201
    found = (await client.get("/subscriptions/urn:s:1")).json()
    assert (found["subscriptionName"], found["expiresAt"]) == ("gauges", "2099-01-01T00:00:00Z")
    assert (await client.patch("/subscriptions/urn:s:1", json={"name": "urn:ngsi-ld:null"})).status_code == 204
    assert "subscriptionName" not in (await client.get("/subscriptions/urn:s:1")).json()
    both = await client.post("/subscriptions", json=subscription(2, name="a", subscriptionName="b"))
    assert_problem(both, 400, "BadRequestData", "name")


async def test_4_10_a_georel_may_be_percent_encoded(client: httpx.AsyncClient) -> None:
    """A georel in a body may be encoded as it would be in a URI, as ngsi-go sends it; rubbish is still refused."""
    area = {"georel": "near%3BmaxDistance%3D%3D100", "geometry": "Point", "coordinates": "[1,2]"}
    assert (await client.post("/subscriptions", json=subscription(1, geoQ=area))).status_code == 201
    rubbish = subscription(2, geoQ={**area, "georel": "near%3BmaxDistance%3D100"})
    assert_problem(await client.post("/subscriptions", json=rubbish), 400, "BadRequestData", "georel")


async def test_5_8_4_subscriptions_come_in_pages(client: httpx.AsyncClient) -> None:
    """The list has limit, offset, count and links to the neighbouring pages."""
    for number in range(3):
        await client.post("/subscriptions", json=subscription(number))
    response = await client.get("/subscriptions?limit=1&offset=1&count=true")
    assert [one["id"] for one in response.json()] == ["urn:s:1"]
    assert response.headers["ngsild-results-count"] == "3"
    path = "/ngsi-ld/v1/subscriptions?count=true&limit=1&offset="
    assert f'<{path}0>; rel="prev"' in response.headers["link"]
    assert f'<{path}2>; rel="next"' in response.headers["link"]


async def test_5_13_1_a_context_without_url_gets_one(client: httpx.AsyncClient) -> None:
    """The @context of a subscription that is a list or an object is served by the broker, for its receivers."""
    body = {**subscription(1), "@context": [{"Gauge": "urn:x:Gauge"}, CORE]}
    assert (await client.post("/subscriptions", json=body, headers=LD)).status_code == 201
    url = (await client.get("/subscriptions/urn:s:1")).json()["jsonldContext"]
    local = url.rpartition("/")[2]
    served = await client.get(f"/jsonldContexts/{local}")
    assert served.json() == {"@context": body["@context"]}
    details = (await client.get(f"/jsonldContexts/{local}?details=true")).json()
    assert (details["kind"], details["URL"]) == ("ImplicitlyCreated", url)


async def test_6_11_the_id_is_part_of_the_path(client: httpx.AsyncClient) -> None:
    """PATCH and DELETE on the list of subscriptions are 405; an id that is no URI is BadRequestData."""
    assert (await client.delete("/subscriptions/")).status_code == 405
    assert (await client.patch("/subscriptions/", json={})).status_code == 405
    assert_problem(await client.get("/subscriptions/nonsense"), 400, "BadRequestData")


async def test_6_3_4_subscriptions_have_no_geojson(client: httpx.AsyncClient) -> None:
    """GeoJSON is not available for subscriptions: 406 with the list of what is."""
    response = await client.get("/subscriptions", headers={"Accept": "application/geo+json"})
    assert response.status_code == 406
    assert response.json()["availableRepresentations"] == ["application/json", "application/ld+json"]
