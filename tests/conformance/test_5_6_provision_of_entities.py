"""Create, merge, replace, delete and purge entities (5.6.1, 5.6.6, 5.6.17, 5.6.18, 5.6.21)."""

from __future__ import annotations

import httpx
import pytest

from tests.conformance.requests import assert_problem, create, ids, prop, relation, shown

GAUGE = "urn:ngsi-ld:Gauge:1"


async def test_5_6_1_a_created_entity_can_be_read(client: httpx.AsyncClient) -> None:
    """Create answers 201 with the entity's path in Location; the entity is there."""
    entity = {"id": GAUGE, "type": "Gauge", "scope": "/Tokyo/Setagaya", "level": prop(2.1, unitCode="MTR")}
    response = await client.post("/entities", json=entity)
    assert (response.status_code, response.content) == (201, b"")
    assert response.headers["location"] == f"/ngsi-ld/v1/entities/{GAUGE}"
    assert (await client.get("http://broker" + response.headers["location"])).json() == entity


async def test_5_6_1_an_entity_is_created_once(client: httpx.AsyncClient) -> None:
    """A second entity with the id is AlreadyExists."""
    await create(client, {"id": GAUGE, "type": "Gauge"})
    assert_problem(await client.post("/entities", json={"id": GAUGE, "type": "Gauge"}), 409, "AlreadyExists", GAUGE)


async def test_5_6_1_ids_may_hold_any_character_of_a_uri(client: httpx.AsyncClient) -> None:
    """An IRI with slashes, and one with other letters, can be created and read back by its Location."""
    for identifier in ("https://example.org/gauges/1?x=1#a", "urn:ngsi-ld:水位計:一"):
        response = await client.post("/entities", json={"id": identifier, "type": "Gauge"})
        found = await client.get("http://broker" + response.headers["location"])
        assert found.json()["id"] == identifier


async def test_5_6_6_a_deleted_entity_is_gone(client: httpx.AsyncClient) -> None:
    """Delete answers 204; the entity is not found afterwards, by anyone."""
    await create(client, {"id": GAUGE, "type": "Gauge"})
    assert (await client.delete(f"/entities/{GAUGE}")).status_code == 204
    assert_problem(await client.get(f"/entities/{GAUGE}"), 404, "ResourceNotFound", GAUGE)
    assert_problem(await client.delete(f"/entities/{GAUGE}"), 404, "ResourceNotFound", GAUGE)


@pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH", "PUT"])
async def test_5_6_6_an_id_that_is_no_uri_is_bad_request_data(client: httpx.AsyncClient, method: str) -> None:
    """Operations on one entity refuse an id that is not a URI."""
    body = {"type": "Gauge"} if method in {"PATCH", "PUT"} else None
    assert_problem(await client.request(method, "/entities/nonsense", json=body), 400, "BadRequestData", "nonsense")


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_5_6_17_a_missing_id_is_bad_request_data(client: httpx.AsyncClient, method: str) -> None:
    """Merge and replace without an id are BadRequestData, not 405."""
    assert_problem(await client.request(method, "/entities/", json={"type": "Gauge"}), 400, "BadRequestData")


async def test_5_6_6_the_type_selects_the_target(client: httpx.AsyncClient) -> None:
    """An entity of another type than the request names is not found; one of the type is deleted."""
    await create(client, {"id": GAUGE, "type": ["Gauge", "Device"]})
    assert_problem(await client.delete(f"/entities/{GAUGE}?type=Camera"), 404, "ResourceNotFound", "Camera")
    assert (await client.delete(f"/entities/{GAUGE}?type=Camera|(Gauge;Device)")).status_code == 204


async def test_5_6_17_a_merge_changes_what_it_names(client: httpx.AsyncClient) -> None:
    """A merge adds and changes members, removes those that are Null, and leaves the rest."""
    await create(
        client, {"id": GAUGE, "type": "Gauge", "level": prop({"now": 2, "min": 1}, unitCode="MTR"), "old": prop(1)}
    )
    fragment = {"type": "Device", "level": prop({"now": 3}), "old": "urn:ngsi-ld:null", "new": prop("x")}
    assert (await client.patch(f"/entities/{GAUGE}", json=fragment)).status_code == 204
    assert await shown(client, GAUGE) == {
        "id": GAUGE,
        "type": ["Gauge", "Device"],
        "level": prop({"now": 3, "min": 1}, unitCode="MTR"),
        "new": prop("x"),
    }


async def test_6_5_3_4_a_simplified_merge_keeps_kinds_languages_and_times(client: httpx.AsyncClient) -> None:
    """With keyValues, kinds stay; lang names the language of a text; observedAt renews those that have one."""
    await create(
        client,
        {
            "id": GAUGE,
            "type": "Gauge",
            "name": {"type": "LanguageProperty", "languageMap": {"ja": "川", "en": "river"}},
            "near": relation("urn:ngsi-ld:City:1"),
            "level": prop(1, observedAt="2026-01-01T00:00:00Z"),
            "note": prop("x"),
        },
    )
    params = {"options": "keyValues", "lang": "en", "observedAt": "2026-07-18T19:10:00Z"}
    fragment = {"name": "stream", "near": "urn:ngsi-ld:City:2", "level": 2, "note": "y"}
    response = await client.patch(f"/entities/{GAUGE}", params=params, json=fragment)
    assert response.status_code == 204, response.text
    after = await shown(client, GAUGE)
    assert after["name"] == {"type": "LanguageProperty", "languageMap": {"ja": "川", "en": "stream"}}
    assert after["near"] == relation("urn:ngsi-ld:City:2")
    assert after["level"] == prop(2, observedAt="2026-07-18T19:10:00Z")
    assert after["note"] == prop("y")


async def test_5_6_18_a_replacement_leaves_nothing_of_the_old(client: httpx.AsyncClient) -> None:
    """Replace puts a whole entity in the place of another; createdAt stays."""
    await create(client, {"id": GAUGE, "type": "Gauge", "old": prop(1)})
    before = await shown(client, GAUGE, options="sysAttrs")
    assert (await client.put(f"/entities/{GAUGE}", json={"type": "Gauge", "new": prop(2)})).status_code == 204
    after = await shown(client, GAUGE, options="sysAttrs")
    assert after["createdAt"] == before["createdAt"]
    assert after["new"]["value"] == 2
    assert "old" not in after


async def test_5_6_18_another_id_in_the_body_is_refused(client: httpx.AsyncClient) -> None:
    """A body that names another entity than the path is BadRequestData."""
    await create(client, {"id": GAUGE, "type": "Gauge"})
    body = {"id": "urn:ngsi-ld:Gauge:2", "type": "Gauge"}
    assert_problem(await client.put(f"/entities/{GAUGE}", json=body), 400, "BadRequestData", "id")


async def test_5_6_21_a_purge_deletes_what_matches(client: httpx.AsyncClient) -> None:
    """Purge deletes the matching entities and no others."""
    await create(
        client,
        {"id": "urn:a:1", "type": "A", "x": prop(1)},
        {"id": "urn:a:2", "type": "A", "x": prop(5)},
        {"id": "urn:b:1", "type": "B", "x": prop(5)},
    )
    assert (await client.delete("/entities", params={"type": "A", "q": "x>2"})).status_code == 204
    assert await ids(client, local="true") == ["urn:a:1", "urn:b:1"]


async def test_5_6_21_a_purge_can_keep_or_drop_attributes(client: httpx.AsyncClient) -> None:
    """With drop the named attributes go, with keep all the others; both together are refused."""
    await create(client, {"id": "urn:a:1", "type": "A", "x": prop(1), "y": prop(2), "z": prop(3)})
    assert (await client.delete("/entities?type=A&drop=x")).status_code == 204
    assert (await shown(client, "urn:a:1")).keys() == {"id", "type", "y", "z"}
    assert (await client.delete("/entities?type=A&keep=z")).status_code == 204
    assert (await shown(client, "urn:a:1")).keys() == {"id", "type", "z"}
    assert_problem(await client.delete("/entities?type=A&keep=z&drop=z"), 400, "BadRequestData", "keep", "drop")


async def test_5_6_21_a_purge_without_limit_is_refused(client: httpx.AsyncClient) -> None:
    """A purge by nothing, or by id alone, is too wide; nothing is deleted."""
    await create(client, {"id": "urn:a:1", "type": "A"})
    for query in ("", "?id=urn:a:1", "?q=modifiedAt>2020-01-01T00:00:00Z"):
        assert_problem(await client.delete("/entities" + query), 400, "BadRequestData")
    assert await ids(client, type="A") == ["urn:a:1"]
