"""The Query of a body, the criteria and the views that requests ask for."""

from __future__ import annotations

from typing import Any

import pytest

from tsunagu.broker.api.criteria import Join, join_of, query_of
from tsunagu.broker.api.query_body import params_of
from tsunagu.broker.api.views import view_of
from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.query.match import compile_matcher


def entity(**attrs: Any) -> dict[str, Any]:
    instances = {CORE.attribute(name): {"type": "Property", "value": value} for name, value in attrs.items()}
    return {"_id": "urn:a:1", "type": [CORE.expand_term("A")], "attrs": instances, "sys": {}}


def test_a_query_says_what_parameters_say() -> None:
    """The members of a Query become the parameters of the same meaning."""
    body = {
        "type": "Query",
        "entities": [{"type": "A", "id": "urn:a:1"}],
        "q": "x>1",
        "geoQ": {"georel": "within", "geometry": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
        "pick": ["id", "x"],
        "datasetId": ["@none", "urn:d:1"],
        "join": "inline",
        "joinLevel": 2,
        "entityMapLifetime": "PT1M",
        "ordering": {"orderBy": ["x;desc", "id"], "collation": "de", "geometry": "Point", "coordinates": [1, 2]},
    }
    params = params_of(body, CORE)
    assert params["pick"] == "id,x"
    assert params["datasetId"] == ("@none", "urn:d:1")
    assert params["entityMapLifetime"] == 60_000
    assert (params["orderBy"], params["orderFrom"], params["collation"]) == ("x;desc,id", [1, 2], "de")
    assert params["georel"] == "within"
    assert params["entities"][0].ids == ("urn:a:1",)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"entities": [{"type": "A"}]}, "type"),
        ({"type": "NotQuery"}, "type"),
        ({"type": "Query", "entities": []}, "entities"),
        ({"type": "Query", "entities": [{"id": "urn:a:1"}]}, "type"),
        ({"type": "Query", "q": 42}, "q"),
        ({"type": "Query", "attrs": []}, "attrs"),
        ({"type": "Query", "pick": [1]}, "pick"),
        ({"type": "Query", "joinLevel": 0}, "joinLevel"),
        ({"type": "Query", "joinLevel": True}, "joinLevel"),
        ({"type": "Query", "join": "round"}, "join"),
        ({"type": "Query", "entityMap": "true"}, "entityMap"),
        ({"type": "Query", "temporalQ": {}}, "temporalQ"),
        ({"type": "Query", "limit": 5}, "limit"),
        ({"type": "Query", "geoQ": {"near": 1}}, "near"),
        ({"type": "Query", "geoQ": "near"}, "geoQ"),
        ({"type": "Query", "ordering": {}}, "orderBy"),
        ({"type": "Query", "ordering": {"orderBy": ["x"], "coordinates": "8,40"}}, "coordinates"),
        ({"type": "Query", "ordering": {"orderBy": ["x"], "geometry": 5}}, "geometry"),
        ({"type": "Query", "containedBy": ["no uri"]}, "containedBy"),
    ],
)
def test_a_malformed_query_is_refused_by_member(body: dict[str, Any], named: str) -> None:
    """Each member of a Query is checked; the error names it."""
    with pytest.raises(BadRequestData, match=named):
        params_of(body, CORE)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"id": ("urn:a:1",)},
        {"idPattern": "x"},
        {"scopeQ": "/a"},
        {"q": "modifiedAt>2020-01-01T00:00:00Z"},
        {"attrs": ("createdAt",)},
        {"pick": "x"},
        {"geoproperty": "location"},
        {"local": False},
        {"type": "*", "local": False},
    ],
)
def test_a_query_that_limits_nothing_is_too_wide(params: dict[str, Any]) -> None:
    """Without type, attrs, q, geo-query or local scope, or with system attributes only, a query is refused."""
    with pytest.raises(BadRequestData):
        query_of(params, CORE)


@pytest.mark.parametrize(
    "params",
    [
        {"type": "A"},
        {"type": "*"},
        {"local": True},
        {"attrs": ("x",)},
        {"q": "x"},
        {"georel": "equals", "geometry": "Point", "coordinates": "[1,2]"},
    ],
)
def test_one_limit_is_enough(params: dict[str, Any]) -> None:
    """Any one of the criteria of 5.7.2.4 makes a query narrow enough."""
    assert query_of(params, CORE).now is not None


def test_linked_conditions_need_a_join_as_deep() -> None:
    """A condition in braces is refused unless the join follows relationships that far."""
    params = {"type": "A", "q": 'owner{name}=="x"'}
    with pytest.raises(BadRequestData, match="join"):
        query_of(params, CORE)
    assert query_of(params, CORE, depth=1).q is not None


def test_pick_of_attributes_leaves_out_entities_without_them() -> None:
    """Entities that pick would leave nothing of do not match, so that pages are full and the count is right."""
    matches = compile_matcher(query_of({"type": "A", "pick": "x,y"}, CORE))
    assert matches(entity(x=1))
    assert not matches(entity(z=1))
    assert compile_matcher(query_of({"type": "A", "pick": "id,x"}, CORE))(entity(z=1))


def test_no_join_unless_it_is_asked_for() -> None:
    """join=@none and no join are the same; the depth is 1 unless given."""
    assert join_of({}) is None
    assert join_of({"join": "@none", "joinLevel": 3}) is None
    assert join_of({"join": "flat", "containedBy": ("urn:a:1",)}) == Join("flat", 1, frozenset({"urn:a:1"}))


def test_joins_have_a_deepest_level() -> None:
    """A join deeper than the broker follows is refused."""
    with pytest.raises(BadRequestData, match="joinLevel"):
        join_of({"join": "flat", "joinLevel": 11})


@pytest.mark.parametrize(
    "params",
    [
        {"geometryProperty": "location"},
        {"attrs": ("x",), "pick": "x"},
        {"pick": "x", "omit": "x"},
        {"pick": "owner{name}"},
        {"omit": "owner{name}"},
        {"lang": "ja;q=many"},
    ],
)
def test_contradictory_views_are_refused(params: dict[str, Any]) -> None:
    """What does not go together, or is not there to be shown, is BadRequestData."""
    with pytest.raises(BadRequestData):
        view_of(params, CORE, media="application/json")
