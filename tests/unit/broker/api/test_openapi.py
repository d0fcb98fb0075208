"""The route table as a whole, and the OpenAPI document made from it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tsunagu.broker.api.openapi import SCHEMAS, describe
from tsunagu.broker.api.params import PARAMETERS
from tsunagu.broker.api.route import Route
from tsunagu.broker.api.routes import ROUTES

# Table 6.2-1 without snapshots: resource and methods.
TABLE = {
    "/entities": "POST GET DELETE",
    "/entities/{}": "GET DELETE PATCH PUT",
    "/entities/{}/attrs": "POST PATCH",
    "/entities/{}/attrs/{}": "PATCH DELETE PUT",
    "/subscriptions": "POST GET",
    "/subscriptions/{}": "GET PATCH DELETE",
    "/types": "GET",
    "/types/{}": "GET",
    "/attributes": "GET",
    "/attributes/{}": "GET",
    "/csourceRegistrations": "POST GET",
    "/csourceRegistrations/{}": "GET PATCH DELETE",
    "/csourceSubscriptions": "POST GET",
    "/csourceSubscriptions/{}": "GET PATCH DELETE",
    "/entityOperations/create": "POST",
    "/entityOperations/upsert": "POST",
    "/entityOperations/update": "POST",
    "/entityOperations/delete": "POST",
    "/entityOperations/query": "POST",
    "/entityOperations/merge": "POST",
    "/temporal/entities": "POST GET",
    "/temporal/entities/{}": "GET DELETE",
    "/temporal/entities/{}/attrs": "POST",
    "/temporal/entities/{}/attrs/{}": "DELETE",
    "/temporal/entities/{}/attrs/{}/{}": "PATCH DELETE",
    "/temporal/entityMaps": "GET POST",
    "/temporal/entityOperations/query": "POST",
    "/jsonldContexts": "POST GET",
    "/jsonldContexts/{}": "GET DELETE",
    "/entityMaps": "GET POST",
    "/entityMaps/{}": "GET PATCH DELETE",
    "/info/sourceIdentity": "GET",
}


def shape(path: str) -> str:
    return "/".join("{}" if part.startswith("{") else part for part in path.split("/"))


def test_every_resource_of_the_standard_has_its_rows() -> None:
    """The table has exactly the resources and methods of Table 6.2-1, snapshots apart."""
    rows = {(shape(route.path), route.method) for route in ROUTES}
    assert rows == {(path, method) for path, methods in TABLE.items() for method in methods.split()}


def test_operations_have_names_of_their_own() -> None:
    """No two rows share an operation id."""
    assert Counter(route.operation for route in ROUTES).most_common(1)[0][1] == 1


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)
def test_a_row_is_complete(route: Route) -> None:
    """Every row names its clause, known parameters and known schemas; bodies come with methods that have one."""
    assert route.clause
    assert route.summary
    assert route.allowed <= PARAMETERS.keys() | {"options", "format"}
    assert (route.takes is not None) == (route.method in {"POST", "PATCH", "PUT"})
    for name in (route.takes, route.gives):
        assert name is None or name.removesuffix("[]") in SCHEMAS
    assert bool(route.produces) == (route.method == "GET" or route.takes == "Query")


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        found = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return found.union(*map(references, node.values()))
    return set().union(*map(references, node)) if isinstance(node, list) else set()


def test_every_reference_leads_somewhere() -> None:
    """All references of the OpenAPI document point to schemas that are there."""
    document = describe(ROUTES)
    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]


def test_an_operation_is_described_from_its_row() -> None:
    """Path and query parameters, body and answers of an operation come from the tables."""
    operation = describe(ROUTES)["paths"]["/ngsi-ld/v1/entities/{entityId}/attrs/{attrId}"]["patch"]
    names = {(parameter["name"], parameter["in"]) for parameter in operation["parameters"]}
    assert {("entityId", "path"), ("attrId", "path"), ("type", "query"), ("If-Match", "header")} <= names
    assert "application/merge-patch+json" in operation["requestBody"]["content"]
    assert {"204", "411", "415", "4XX", "5XX"} == operation["responses"].keys()
