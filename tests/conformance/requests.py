"""What the conformance tests say over and over."""

from __future__ import annotations

from typing import Any

import httpx

ERRORS = "https://uri.etsi.org/ngsi-ld/errors/"
LD = {"Content-Type": "application/ld+json"}


def prop(value: Any, **members: Any) -> dict[str, Any]:
    """Return a normalized Property."""
    return {"type": "Property", "value": value, **members}


def relation(target: str, **members: Any) -> dict[str, Any]:
    """Return a normalized Relationship."""
    return {"type": "Relationship", "object": target, **members}


def point(longitude: float, latitude: float) -> dict[str, Any]:
    """Return a normalized GeoProperty."""
    return {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [longitude, latitude]}}


def link(url: str) -> dict[str, str]:
    """Return the Link header that names an @context."""
    return {"Link": f'<{url}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'}


def assert_problem(response: httpx.Response, status: int, kind: str, *words: str) -> None:
    """Check that a response is a problem of a kind whose detail has the words."""
    assert response.status_code == status, response.text
    body = response.json()
    assert body["type"] == ERRORS + kind, body
    assert response.headers["content-type"] == "application/json"
    for word in words:
        assert word in body["detail"], body


async def create(client: httpx.AsyncClient, *entities: dict[str, Any], headers: dict[str, str] | None = None) -> None:
    """Create entities, which must succeed."""
    response = await client.post("/entityOperations/create", json=list(entities), headers=headers)
    assert response.status_code == 201, response.text


async def shown(client: httpx.AsyncClient, identifier: str, **params: str) -> Any:
    """Return an entity as the client sees it."""
    response = await client.get(f"/entities/{identifier}", params=params)
    assert response.status_code == 200, response.text
    return response.json()


async def ids(client: httpx.AsyncClient, **params: str) -> list[str]:
    """Return the ids of the entities that a query finds, in order."""
    response = await client.get("/entities", params=params)
    assert response.status_code == 200, response.text
    return [entity["id"] for entity in response.json()]
