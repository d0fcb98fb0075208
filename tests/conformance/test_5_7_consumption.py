"""Retrieve and query entities (5.7.1, 5.7.2, 6.23), apart from what the query languages select."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.conformance.requests import assert_problem, create, ids, point, prop, relation, shown

RIVER = {
    "id": "urn:a:river",
    "type": "River",
    "level": prop(2.1, unitCode="MTR"),
    "name": {"type": "LanguageProperty", "languageMap": {"ja": "川", "en": "river"}},
    "location": point(139.6, 35.6),
    "town": relation("urn:a:town"),
}
TOWN = {"id": "urn:a:town", "type": "Town", "mayor": relation("urn:a:mayor"), "size": prop(7)}
MAYOR = {"id": "urn:a:mayor", "type": "Person", "name": prop("Sato")}
GEO = {"Accept": "application/geo+json"}


@pytest.fixture(autouse=True)
async def world(client: httpx.AsyncClient) -> None:
    await create(client, RIVER, TOWN, MAYOR)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, RIVER),
        ({"format": "normalized"}, RIVER),
        ({"pick": "id,level"}, {"id": RIVER["id"], "level": RIVER["level"]}),
        ({"omit": "level,name,location,town,type"}, {"id": RIVER["id"]}),
        ({"attrs": "level,other"}, {"id": RIVER["id"], "type": "River", "level": RIVER["level"]}),
        ({"pick": "name", "lang": "ja"}, {"name": {"type": "Property", "value": "川", "lang": "ja"}}),
        ({"pick": "level,town", "options": "keyValues"}, {"level": 2.1, "town": "urn:a:town"}),
        (
            {"pick": "level,town", "format": "concise"},
            {"level": {"value": 2.1, "unitCode": "MTR"}, "town": {"object": "urn:a:town"}},
        ),
        ({"type": "River|Lake", "pick": "id"}, {"id": RIVER["id"]}),
    ],
)
async def test_5_7_1_an_entity_is_shown_as_asked(
    client: httpx.AsyncClient, params: dict[str, str], expected: dict[str, Any]
) -> None:
    """Projection, language and representation apply to a retrieved entity."""
    assert await shown(client, "urn:a:river", **params) == expected


@pytest.mark.parametrize("params", [{"attrs": "other"}, {"pick": "other"}, {"type": "Lake"}])
async def test_5_7_1_an_entity_without_what_is_asked_is_not_found(
    client: httpx.AsyncClient, params: dict[str, str]
) -> None:
    """An entity of another type, or with none of the attributes, is ResourceNotFound."""
    assert_problem(await client.get("/entities/urn:a:river", params=params), 404, "ResourceNotFound")


async def test_6_3_11_system_attributes_come_on_request(client: httpx.AsyncClient) -> None:
    """The times createdAt and modifiedAt stand in entity and attributes with options=sysAttrs only."""
    with_times = await shown(client, "urn:a:river", options="sysAttrs")
    for holder in (with_times, with_times["level"]):
        assert holder["createdAt"].endswith("Z")
        assert holder["modifiedAt"].endswith("Z")
    assert "createdAt" not in await shown(client, "urn:a:river")


async def test_5_7_1_a_feature_has_the_chosen_geometry(client: httpx.AsyncClient) -> None:
    """GeoJSON gives a Feature with location as geometry, or null where the named GeoProperty is missing."""
    feature = (await client.get("/entities/urn:a:river", headers=GEO)).json()
    assert (feature["type"], feature["id"]) == ("Feature", "urn:a:river")
    assert feature["geometry"] == RIVER["location"]["value"]  # type: ignore[index]
    assert feature["properties"]["level"] == RIVER["level"]
    other = await client.get("/entities/urn:a:river?geometryProperty=observationSpace", headers=GEO)
    assert other.json()["geometry"] is None


async def test_6_3_6_geojson_says_its_context_inside_unless_body_is_json(client: httpx.AsyncClient) -> None:
    """GeoJSON has @context in the body; with Prefer: body=json it is in the Link header instead."""
    inside = await client.get("/entities?type=River", headers=GEO)
    assert inside.headers["content-type"] == "application/geo+json"
    assert inside.json()["type"] == "FeatureCollection"
    assert "@context" in inside.json()
    outside = await client.get("/entities?type=River", headers={**GEO, "Prefer": "body=json"})
    assert "@context" not in outside.json()
    assert "json-ld#context" in outside.headers["link"]


async def test_5_7_1_geometry_property_is_for_geojson(client: httpx.AsyncClient) -> None:
    """The parameter geometryProperty with another representation is BadRequestData."""
    for path in ("/entities/urn:a:river?", "/entities?type=River&"):
        response = await client.get(path + "geometryProperty=location")
        assert_problem(response, 400, "BadRequestData", "geometryProperty")


async def test_4_5_23_linked_entities_come_inline(client: httpx.AsyncClient) -> None:
    """Inline, a relationship holds the entity it leads to, as deep as joinLevel, without those seen before."""
    inline = await shown(client, "urn:a:river", join="inline", joinLevel="2")
    assert inline["town"]["entity"]["mayor"]["entity"] == MAYOR
    shallow = await shown(client, "urn:a:river", join="inline")
    assert shallow["town"]["entity"] == TOWN
    seen = await shown(client, "urn:a:river", join="inline", containedBy="urn:a:town")
    assert seen == RIVER


async def test_4_5_23_linked_entities_come_flat(client: httpx.AsyncClient) -> None:
    """Flat, the linked entities follow the matching ones in one array, each once."""
    flat = await shown(client, "urn:a:river", join="flat", joinLevel="2")
    assert flat == [RIVER, TOWN, MAYOR]
    found = await ids(client, type="River,Town", join="flat", joinLevel="2")
    assert found == ["urn:a:river", "urn:a:town", "urn:a:mayor"]


async def test_4_21_projections_reach_into_linked_entities(client: httpx.AsyncClient) -> None:
    """A pick with braces shows members of linked entities, and needs a join as deep."""
    picked = await shown(client, "urn:a:river", join="inline", pick="id,town{size}")
    assert picked["town"]["entity"] == {"size": prop(7)}
    assert_problem(await client.get("/entities/urn:a:river?pick=town{size}"), 400, "BadRequestData", "pick")


async def test_4_9_conditions_reach_into_linked_entities(client: httpx.AsyncClient) -> None:
    """A q with braces selects by what relationships lead to; without join it is too deep."""
    query = {"type": "River", "q": "town{size}==7"}
    assert await ids(client, **query, join="inline") == ["urn:a:river"]
    assert await ids(client, type="River", q="town{size}==8", join="inline") == []
    assert_problem(await client.get("/entities", params=query), 400, "BadRequestData", "join")


async def test_5_7_2_attrs_select_and_project(client: httpx.AsyncClient) -> None:
    """The parameter attrs finds entities with any of the attributes and shows only these."""
    response = await client.get("/entities?attrs=size,other")
    assert response.json() == [{"id": "urn:a:town", "type": "Town", "size": prop(7)}]


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"type": "*"}, ["urn:a:mayor", "urn:a:river", "urn:a:town"]),
        ({"local": "true", "idPattern": ".*r$"}, ["urn:a:mayor", "urn:a:river"]),
        ({"id": "urn:a:town,urn:a:none", "pick": "id,size"}, ["urn:a:town"]),
        ({"type": "Town,Person", "id": "urn:a:town,urn:a:river"}, ["urn:a:town"]),
        ({"q": 'level>2;name[ja]=="川"'}, ["urn:a:river"]),
        ({"georel": "near;maxDistance==1000", "geometry": "Point", "coordinates": "[139.6,35.6]"}, ["urn:a:river"]),
        ({"type": "*", "orderBy": "type;desc", "pick": "id,type"}, ["urn:a:town", "urn:a:river", "urn:a:mayor"]),
    ],
)
async def test_5_7_2_criteria_select(client: httpx.AsyncClient, params: dict[str, str], found: list[str]) -> None:
    """Type, id, pattern, q, geo-query and order decide what a query finds, and in what order."""
    assert await ids(client, **params) == found


async def test_6_23_a_query_in_the_body_finds_the_same(client: httpx.AsyncClient) -> None:
    """POST entityOperations/query answers as GET entities does, with paging in the URL."""
    query = {"type": "Query", "entities": [{"type": "River"}, {"type": "Town"}], "pick": ["id"], "q": "size==7|level>2"}
    response = await client.post("/entityOperations/query?limit=1&count=true", json=query)
    assert response.json() == [{"id": "urn:a:river"}]
    assert response.headers["ngsild-results-count"] == "2"
    assert 'rel="next"' in response.headers["link"]


async def test_6_3_10_pages_lead_to_their_neighbours(client: httpx.AsyncClient) -> None:
    """Following the next links visits every entity once; the first page has no prev, the last no next."""
    url, visited, pages = "/entities?type=*&limit=1&count=true", [], 0
    while url:
        response = await client.get(url)
        assert response.headers["ngsild-results-count"] == "3"
        links = [one for one in response.headers["link"].split(", ") if "json-ld#context" not in one]
        assert any('rel="prev"' in one for one in links) == bool(pages)
        visited += [entity["id"] for entity in response.json()]
        following = [one for one in links if 'rel="next"' in one]
        url = "http://broker" + following[0].split(">")[0].removeprefix("<") if following else ""
        pages += 1
    assert visited == ["urn:a:mayor", "urn:a:river", "urn:a:town"]


async def test_6_3_13_limit_zero_counts_only(client: httpx.AsyncClient) -> None:
    """limit=0 with count=true or options=count gives the number alone; without it is refused, as is too big a page."""
    old = await client.get("/entities?type=*&limit=0&options=count,keyValues")
    assert (old.json(), old.headers["ngsild-results-count"]) == ([], "3")
    assert_problem(await client.get("/entities/urn:a:town?options=count"), 400, "InvalidRequest", "count")
    response = await client.get("/entities?type=*&limit=0&count=true")
    assert (response.json(), response.headers["ngsild-results-count"]) == ([], "3")
    assert_problem(await client.get("/entities?type=*&limit=0"), 400, "BadRequestData", "limit")
    assert_problem(await client.get("/entities?type=*&limit=1001"), 403, "TooManyResults", "limit")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?id=urn:a:river",
        "?id=urn:a:river&pick=id,type",
        "?idPattern=.*",
        "?type=*&local=false",
        "?type=River&csf=))bad((",
    ],
)
async def test_5_7_2_a_wide_or_contradictory_query_is_refused(client: httpx.AsyncClient, query: str) -> None:
    """A query that limits nothing, contradicts itself or has a malformed context source filter is BadRequestData."""
    assert_problem(await client.get("/entities" + query), 400, "BadRequestData")


async def test_4_3_6_8_an_earlier_version_can_be_preferred(client: httpx.AsyncClient) -> None:
    """Prefer: ngsi-ld=1.3 amends the entity and says so with 203; a version that needs no change gives 200."""
    old = await client.get("/entities/urn:a:river", headers={"Prefer": "ngsi-ld=1.3"})
    assert (old.status_code, old.headers["preference-applied"]) == (203, "ngsi-ld=1.3")
    assert old.json()["name"] == {"type": "Property", "value": {"ja": "川", "en": "river"}}
    new = await client.get("/entities/urn:a:river", headers={"Prefer": "ngsi-ld=1.9"})
    assert (new.status_code, new.headers["preference-applied"]) == (200, "ngsi-ld=1.9")


async def test_5_7_5_types_and_attributes_are_discovered(client: httpx.AsyncClient) -> None:
    """The lists name what entities have; details tell names, kinds and numbers."""
    assert (await client.get("/types")).json()["typeList"] == ["Person", "River", "Town"]
    assert "level" in (await client.get("/attributes/")).json()["attributeList"]
    details = {one["typeName"]: one["attributeNames"] for one in (await client.get("/types?details=true")).json()}
    assert details["Town"] == ["mayor", "size"]
    town = (await client.get("/types/Town")).json()
    assert (town["type"], town["entityCount"]) == ("EntityTypeInfo", 1)
    assert {one["attributeName"]: one["attributeTypes"] for one in town["attributeDetails"]} == {
        "mayor": ["Relationship"],
        "size": ["Property"],
    }
    name = (await client.get("/attributes/name")).json()
    assert (name["attributeCount"], sorted(name["typeNames"])) == (2, ["Person", "River"])
    assert sorted(name["attributeTypes"]) == ["LanguageProperty", "Property"]
    assert_problem(await client.get("/types/Lake"), 404, "ResourceNotFound")
    assert_problem(await client.get("/attributes/nothing"), 404, "ResourceNotFound")
