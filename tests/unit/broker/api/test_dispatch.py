"""The route table in action: paths, methods, tenants, parameters, errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.unit.broker.api.echo import ROUTES, echo, echo_client
from tsunagu.broker.api.dispatch import build_tree
from tsunagu.broker.api.route import Route

ERRORS = "https://uri.etsi.org/ngsi-ld/errors/"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with echo_client() as one:
        yield one


@pytest.mark.parametrize(
    ("path", "thing"),
    [
        ("/things/urn:ngsi-ld:Thing:1", "urn:ngsi-ld:Thing:1"),
        ("/things/urn%3Angsi-ld%3AThing%3A1", "urn:ngsi-ld:Thing:1"),
        ("/things/https%3A%2F%2Fexample.org%2Fa%2Fb", "https://example.org/a/b"),
        ("/things/https://example.org/a/b", "https://example.org/a/b"),
        ("/things/https://example.org/a%2Fb/", "https://example.org/a/b"),
        ("/things/urn:x:%E6%B0%B4%E4%BD%8D/", "urn:x:水位"),
        ("/things/a+b", "a+b"),
    ],
)
async def test_path_parameters_arrive_decoded(client: httpx.AsyncClient, path: str, thing: str) -> None:
    """An id in a path is percent-decoded after the path is split, so that encoded slashes stay in it; "+" is a plus."""
    answer = (await client.get(path)).json()
    assert answer["operation"] == "retrieveThing"
    assert answer["path"] == [thing]


@pytest.mark.parametrize("path", ["/things", "/things/"])
async def test_a_trailing_slash_makes_no_difference(client: httpx.AsyncClient, path: str) -> None:
    """A collection is found with and without a slash at the end."""
    assert (await client.get(path)).json()["operation"] == "queryThings"


async def test_two_path_parameters_arrive_in_order(client: httpx.AsyncClient) -> None:
    """A route with two parameters gets both values in the order of the path."""
    response = await client.patch("/things/urn:a:1/parts/level/", json={})
    assert response.json()["path"] == ["urn:a:1", "level"]


@pytest.mark.parametrize("path", ["/nothing", "/things/urn:a:1/parts/level/more", "/thingOperations", "/"])
async def test_an_unknown_path_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    """A path without a route gives the 404 problem ResourceNotFound."""
    response = await client.get(path)
    assert response.status_code == 404
    assert response.json()["type"] == ERRORS + "ResourceNotFound"
    assert response.headers["content-type"] == "application/json"


async def test_a_wrong_method_is_refused_with_the_right_ones(client: httpx.AsyncClient) -> None:
    """A method that a resource does not have gives 405 and the methods that it has in Allow."""
    response = await client.put("/things", json={})
    assert response.status_code == 405
    assert response.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, POST"
    assert {"type", "title", "detail"} <= response.json().keys()


async def test_options_names_the_methods(client: httpx.AsyncClient) -> None:
    """OPTIONS answers 204 with the methods of the resource in Allow."""
    response = await client.options("/things/urn:a:1")
    assert response.status_code == 204
    assert response.headers["allow"] == "GET, HEAD, OPTIONS, PATCH"


async def test_head_answers_like_get_without_a_body(client: httpx.AsyncClient) -> None:
    """HEAD has the status and headers of GET, Content-Length included, and no body."""
    head, get = await client.head("/things?type=A"), await client.get("/things?type=A")
    assert head.status_code == 200
    assert head.headers["content-length"] == get.headers["content-length"]
    assert head.content == b""


async def test_a_missing_id_is_bad_request_data(client: httpx.AsyncClient) -> None:
    """A request that needs an id, on a path that ends before it, is BadRequestData rather than 405."""
    response = await client.patch("/things/", json={})
    assert (response.status_code, response.json()["type"]) == (400, ERRORS + "BadRequestData")


@pytest.mark.parametrize("path", ["/things//parts/level", "/things/%FF", "/things/%C0%AF"])
async def test_a_malformed_path_is_bad_request_data(client: httpx.AsyncClient, path: str) -> None:
    """An empty segment where an id belongs, and bytes that are not UTF-8, are BadRequestData."""
    response = await client.patch(path, json={})
    assert (response.status_code, response.json()["type"]) == (400, ERRORS + "BadRequestData")


async def test_parameters_arrive_as_their_readers_give_them(client: httpx.AsyncClient) -> None:
    """Booleans, numbers, lists, durations and options come typed; plus and percent are decoded."""
    response = await client.get(
        "/things?type=A%2CB+C&id=urn:a:1,urn:a:2&limit=5&count=true&local=False&entityMapLifetime=PT1M30S"
        "&options=sysAttrs,keyValues"
    )
    assert response.json()["params"] == {
        "type": "A,B C",
        "id": ["urn:a:1", "urn:a:2"],
        "limit": 5,
        "count": True,
        "local": False,
        "entityMapLifetime": 90_000,
        "options": ["sysAttrs"],
        "format": "simplified",
    }


async def test_format_takes_precedence_over_options(client: httpx.AsyncClient) -> None:
    """When both name a representation, `format` counts."""
    response = await client.get("/things?options=keyValues&format=concise")
    assert response.json()["params"] == {"format": "concise"}


@pytest.mark.parametrize(
    ("query", "kind", "named"),
    [
        ("unknown=1", "InvalidRequest", "unknown"),
        ("q=a==1", "InvalidRequest", "'q'"),
        ("type=A&type=B", "InvalidRequest", "type"),
        ("options=replace", "InvalidRequest", "replace"),
        ("options=sysAttrs,nonsense", "InvalidRequest", "nonsense"),
        ("options=concise,keyValues", "InvalidRequest", "options"),
        ("format=xml", "InvalidRequest", "format"),
        ("type=%FF", "InvalidRequest", "UTF-8"),
        ("type=a%00", "InvalidRequest", "NUL"),
        ("limit=-1", "BadRequestData", "limit"),
        ("limit=abc", "BadRequestData", "limit"),
        ("limit=99999999999999999999", "BadRequestData", "limit"),
        ("count=yes", "BadRequestData", "count"),
        ("id=nonsense", "BadRequestData", "nonsense"),
        ("id=urn:a:1,", "BadRequestData", "id"),
        ("type=", "BadRequestData", "type"),
        ("entityMapLifetime=1hour", "BadRequestData", "entityMapLifetime"),
        ("entityMapLifetime=P", "BadRequestData", "entityMapLifetime"),
    ],
)
async def test_a_wrong_parameter_is_named(client: httpx.AsyncClient, query: str, kind: str, named: str) -> None:
    """Unknown and misplaced parameters are InvalidRequest, malformed values BadRequestData; the detail names them."""
    response = await client.get(f"/things?{query}")
    assert (response.status_code, response.json()["type"]) == (400, ERRORS + kind)
    assert named in response.json()["detail"]


async def test_a_route_without_parameters_takes_none(client: httpx.AsyncClient) -> None:
    """An operation that defines no parameters refuses every one."""
    assert (await client.get("/things/urn:a:1?local=true")).status_code == 400


async def test_a_fault_of_ours_says_nothing_about_the_inside(client: httpx.AsyncClient) -> None:
    """An exception that nobody expected becomes a 500 problem without traceback or message."""
    response = await client.get("/broken")
    assert (response.status_code, response.json()["type"]) == (500, ERRORS + "InternalError")
    assert "42" not in response.text
    assert "Traceback" not in response.text


async def test_an_overload_says_when_to_come_back(client: httpx.AsyncClient) -> None:
    """Unavailable becomes 503 with Retry-After."""
    response = await client.get("/busy")
    assert (response.status_code, response.headers["retry-after"]) == (503, "7")


@pytest.mark.parametrize(
    ("headers", "tenant"),
    [
        ({}, ""),
        ({"NGSILD-Tenant": "Kawakami"}, "Kawakami"),
        ({"Fiware-Service": "OpenIoT"}, "openiot"),
        ({"NGSILD-Tenant": "openiot", "Fiware-Service": "OpenIoT"}, "openiot"),
    ],
)
async def test_the_tenant_comes_from_its_headers(
    client: httpx.AsyncClient, headers: dict[str, str], tenant: str
) -> None:
    """NGSILD-Tenant, or its older name Fiware-Service (in lower case), names the tenant; it is echoed."""
    response = await client.get("/things", headers=headers)
    assert response.json()["tenant"] == tenant
    assert ("ngsild-tenant" in response.headers) == bool(headers)


async def test_the_tenant_is_echoed_with_an_error(client: httpx.AsyncClient) -> None:
    """An error answer carries the tenant of the request, too."""
    response = await client.get("/busy", headers={"NGSILD-Tenant": "t1"})
    assert response.headers["ngsild-tenant"] == "t1"


@pytest.mark.parametrize(
    "headers", [{"NGSILD-Tenant": "a b"}, {"NGSILD-Tenant": "x" * 65}, {"NGSILD-Tenant": "a", "Fiware-Service": "b"}]
)
async def test_a_malformed_tenant_is_refused(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """A name with other characters, a long one, and two different ones are BadRequestData."""
    response = await client.get("/things", headers=headers)
    assert (response.status_code, response.json()["type"]) == (400, ERRORS + "BadRequestData")


async def test_an_unknown_tenant_is_refused_unless_the_operation_makes_it(client: httpx.AsyncClient) -> None:
    """A tenant that does not exist gives NonexistentTenant, except for operations that bring it into being."""
    headers = {"NGSILD-Tenant": "nobody"}
    refused = await client.get("/things", headers=headers)
    assert (refused.status_code, refused.json()["type"]) == (404, ERRORS + "NonexistentTenant")
    assert (await client.post("/things", json={}, headers=headers)).status_code == 200
    async with echo_client(auto_tenants=False) as strict:
        assert (await strict.post("/things", json={}, headers=headers)).status_code == 404


async def test_a_path_of_another_api_is_not_found(client: httpx.AsyncClient) -> None:
    """Another version in the path is no resource of this API."""
    assert (await client.get("http://broker/ngsi-ld/v2/things")).status_code == 404


async def test_no_content_has_no_length(client: httpx.AsyncClient) -> None:
    """A 204 carries no Content-Length (6.3.6)."""
    response = await client.delete("/things")
    assert response.status_code == 204
    assert "content-length" not in response.headers


def test_a_route_that_stands_twice_is_refused() -> None:
    """Two rows with one method and path are a mistake that shows at start."""
    twice: Any = (*ROUTES, Route("GET", "/things", echo, "-", "again", "-"))
    with pytest.raises(ValueError, match="twice"):
        build_tree(twice)
