"""Batch operations (5.6.7-5.6.10, 5.6.20, 5.5.11)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.conformance.requests import ERRORS, LD, assert_problem, create, link, prop, shown

CORE = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.9.jsonld"
OPERATIONS = ("create", "upsert", "update", "merge", "delete")


def entity(number: int, **attrs: Any) -> dict[str, Any]:
    return {"id": f"urn:a:{number}", "type": "A", **attrs}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("body", [[], [None], {"id": "urn:a:1"}, [5]])
async def test_5_6_7_a_malformed_batch_fails_whole(client: httpx.AsyncClient, operation: str, body: Any) -> None:
    """An empty array, a null in it, no array, or elements of another type are BadRequestData."""
    assert_problem(await client.post(f"/entityOperations/{operation}", json=body), 400, "BadRequestData")


async def test_5_6_7_all_created_is_201_with_the_ids(client: httpx.AsyncClient) -> None:
    """When every entity was created the answer is 201 with their ids."""
    response = await client.post("/entityOperations/create", json=[entity(1), entity(2)])
    assert (response.status_code, sorted(response.json())) == (201, ["urn:a:1", "urn:a:2"])


async def test_5_6_7_each_element_stands_or_falls_alone(client: httpx.AsyncClient) -> None:
    """207 names what succeeded and gives each other a problem, in their order; an id twice fails the second time."""
    bad = {"id": "urn:a:3", "type": "A", "x": {"type": "Property"}}
    response = await client.post("/entityOperations/create", json=[entity(1), bad, entity(1), entity(2)])
    assert response.status_code == 207
    result = response.json()
    assert sorted(result["success"]) == ["urn:a:1", "urn:a:2"]
    kinds = {one["entityId"]: one["error"]["type"] for one in result["errors"]}
    assert kinds == {"urn:a:3": ERRORS + "BadRequestData", "urn:a:1": ERRORS + "AlreadyExists"}
    assert list(kinds) == ["urn:a:3", "urn:a:1"]


async def test_5_6_8_upsert_tells_what_is_new(client: httpx.AsyncClient) -> None:
    """201 with the ids of the new ones; 204 when all were there; old attributes are replaced away."""
    await create(client, entity(1, old=prop(1)))
    response = await client.post("/entityOperations/upsert", json=[entity(1, x=prop(1)), entity(2)])
    assert (response.status_code, response.json()) == (201, ["urn:a:2"])
    assert (await shown(client, "urn:a:1")).keys() == {"id", "type", "x"}
    assert (await client.post("/entityOperations/upsert", json=[entity(2)])).status_code == 204


async def test_5_6_8_upsert_can_update(client: httpx.AsyncClient) -> None:
    """With options=update attributes that are not named stay; the later of two elements with one id counts last."""
    await create(client, entity(1, old=prop(1)))
    body = [entity(1, x=prop(1)), entity(1, x=prop(2))]
    assert (await client.post("/entityOperations/upsert?options=update", json=body)).status_code == 204
    after = await shown(client, "urn:a:1")
    assert (after["old"], after["x"]) == (prop(1), prop(2))


async def test_5_6_8_an_update_needs_no_type(client: httpx.AsyncClient) -> None:
    """With options=update an element without type updates what is there (5.6.2), and creates nothing."""
    await create(client, entity(1, old=prop(1)))
    body = [{"id": "urn:a:1", "old": prop(2)}, {"id": "urn:a:9", "old": prop(2)}]
    response = await client.post("/entityOperations/upsert?options=update", json=body)
    assert (response.status_code, response.json()["success"]) == (207, ["urn:a:1"])
    (error,) = response.json()["errors"]
    assert (error["entityId"], error["error"]["status"]) == ("urn:a:9", 400)
    assert (await shown(client, "urn:a:1"))["old"] == prop(2)
    assert (await client.post("/entityOperations/upsert", json=body[:1])).status_code == 207


async def test_5_6_8_replace_and_update_exclude_each_other(client: httpx.AsyncClient) -> None:
    """Both modes at once are refused."""
    response = await client.post("/entityOperations/upsert?options=update,replace", json=[entity(1)])
    assert response.status_code == 400


async def test_5_6_9_update_needs_the_entity(client: httpx.AsyncClient) -> None:
    """Update changes entities that are there and reports those that are not."""
    await create(client, entity(1, x=prop(1)))
    response = await client.post("/entityOperations/update", json=[entity(1, x=prop(2)), entity(2, x=prop(2))])
    assert response.status_code == 207
    assert response.json()["success"] == ["urn:a:1"]
    assert response.json()["errors"][0]["error"]["type"] == ERRORS + "ResourceNotFound"
    assert (await shown(client, "urn:a:1"))["x"] == prop(2)


async def test_5_6_9_no_overwrite_reports_what_was_there(client: httpx.AsyncClient) -> None:
    """With noOverwrite an element of which something stays undone is reported, and existing values stay."""
    await create(client, entity(1, x=prop(1)))
    response = await client.post("/entityOperations/update?options=noOverwrite", json=[entity(1, x=prop(2), y=prop(3))])
    assert response.status_code == 207
    after = await shown(client, "urn:a:1")
    assert (after["x"], after["y"]) == (prop(1), prop(3))


@pytest.mark.parametrize("word", ["replace", "update"])
async def test_5_6_9_words_of_upsert_change_nothing_of_an_update(client: httpx.AsyncClient, word: str) -> None:
    """Clients send the options of an upsert to an update, too: attributes are replaced as ever, others stay."""
    await create(client, {"id": "urn:a:1", "type": "A", "x": prop(1), "y": prop(1)})
    body = [{"id": "urn:a:1", "type": "A", "x": prop(2)}]
    assert (await client.post(f"/entityOperations/update?options={word}", json=body)).status_code == 204
    assert await shown(client, "urn:a:1", format="simplified") == {"id": "urn:a:1", "type": "A", "x": 2, "y": 1}


async def test_5_6_20_merge_deletes_by_null(client: httpx.AsyncClient) -> None:
    """A batch merge goes into values and removes what is Null; 204 when all succeeded."""
    await create(client, entity(1, x=prop({"a": 1, "b": 2}), y=prop(1)))
    body = [entity(1, x=prop({"a": 5}), y="urn:ngsi-ld:null")]
    assert (await client.post("/entityOperations/merge", json=body)).status_code == 204
    assert await shown(client, "urn:a:1") == entity(1, x=prop({"a": 5, "b": 2}))


async def test_5_6_10_delete_reports_what_was_not_there(client: httpx.AsyncClient) -> None:
    """Ids that are unknown, repeated or no URIs are reported; the others are deleted."""
    await create(client, entity(1), entity(2))
    body = ["urn:a:1", "urn:a:1", "urn:a:9", "nonsense"]
    response = await client.post("/entityOperations/delete", json=body)
    assert response.status_code == 207
    assert response.json()["success"] == ["urn:a:1"]
    assert sorted(one["entityId"] for one in response.json()["errors"]) == ["nonsense", "urn:a:1", "urn:a:9"]
    assert (await client.post("/entityOperations/delete", json=["urn:a:2"])).status_code == 204


async def test_6_3_5_each_element_of_linked_data_has_its_context(client: httpx.AsyncClient) -> None:
    """In application/ld+json an element without @context is reported; in application/json one with it is."""
    with_context, without = {**entity(1), "@context": CORE}, entity(2)
    for headers, failed in ((LD, "urn:a:2"), ({}, "urn:a:1")):
        response = await client.post("/entityOperations/upsert", json=[with_context, without], headers=headers)
        assert response.status_code == 207
        assert [one["entityId"] for one in response.json()["errors"]] == [failed]
    mixed = await client.post("/entityOperations/upsert", json=[with_context], headers={**LD, **link(CORE)})
    assert_problem(mixed, 400, "BadRequestData", "Link")


async def test_6_3_5_a_context_that_cannot_be_had_fails_its_element(client: httpx.AsyncClient) -> None:
    """An element whose @context is unreachable is reported as LdContextNotAvailable; the others are written."""
    lost = {**entity(1), "@context": "http://127.0.0.1:9/none.jsonld"}
    response = await client.post("/entityOperations/create", json=[lost, {**entity(2), "@context": CORE}], headers=LD)
    assert response.status_code == 207
    assert response.json()["success"] == ["urn:a:2"]
    assert response.json()["errors"][0]["error"]["type"] == ERRORS + "LdContextNotAvailable"
