"""Append, update, replace and delete attributes (5.6.2-5.6.5, 5.6.19), and versions of entities (extension)."""

from __future__ import annotations

import httpx
import pytest

from tests.conformance.requests import assert_problem, create, prop, shown

GAUGE = "urn:ngsi-ld:Gauge:1"
DEFAULT = "https://uri.etsi.org/ngsi-ld/default-context/"


@pytest.fixture(autouse=True)
async def gauge(client: httpx.AsyncClient) -> None:
    await create(
        client,
        {
            "id": GAUGE,
            "type": "Gauge",
            "level": [prop(1, unitCode="MTR"), prop(2, datasetId="urn:d:1")],
            "name": prop("a"),
        },
    )


async def test_5_6_3_append_adds_and_overwrites(client: httpx.AsyncClient) -> None:
    """Appended attributes are added, or put in the place of those with the same name and datasetId."""
    body = {"name": prop("b"), "new": prop(3)}
    assert (await client.post(f"/entities/{GAUGE}/attrs", json=body)).status_code == 204
    after = await shown(client, GAUGE)
    assert (after["name"], after["new"]) == (prop("b"), prop(3))


async def test_5_6_3_append_without_overwriting_reports_what_was_there(client: httpx.AsyncClient) -> None:
    """With noOverwrite existing attributes stay; 207 tells with full names what was done and what was not."""
    body = {"name": prop("b"), "new": prop(3)}
    response = await client.post(f"/entities/{GAUGE}/attrs/?options=noOverwrite", json=body)
    assert response.status_code == 207
    result = response.json()
    assert result["updated"] == [DEFAULT + "new"]
    assert [one["attributeName"] for one in result["notUpdated"]] == [DEFAULT + "name"]
    assert (await shown(client, GAUGE))["name"] == prop("a")


async def test_5_6_2_update_replaces_whole_instances_and_deletes_by_null(client: httpx.AsyncClient) -> None:
    """An updated instance loses what the fragment does not name; a Null deletes; instances are told by datasetId."""
    body = {"level": prop(9), "name": "urn:ngsi-ld:null"}
    assert (await client.patch(f"/entities/{GAUGE}/attrs", json=body)).status_code == 204
    after = await shown(client, GAUGE)
    assert after["level"] == [prop(9), prop(2, datasetId="urn:d:1")]
    assert "name" not in after


async def test_5_6_4_a_partial_update_leaves_other_members(client: httpx.AsyncClient) -> None:
    """Members that the fragment does not name stay; the datasetId chooses the instance."""
    assert (await client.patch(f"/entities/{GAUGE}/attrs/level", json={"value": 5})).status_code == 204
    body = {"value": 7, "datasetId": "urn:d:1"}
    assert (await client.patch(f"/entities/{GAUGE}/attrs/level", json=body)).status_code == 204
    assert (await shown(client, GAUGE))["level"] == [prop(5, unitCode="MTR"), prop(7, datasetId="urn:d:1")]


@pytest.mark.parametrize(
    ("attribute", "body", "status", "kind"),
    [
        ("nothing", {"value": 1}, 404, "ResourceNotFound"),
        ("level", {"value": 1, "datasetId": "urn:d:9"}, 404, "ResourceNotFound"),
        ("level", {}, 400, "BadRequestData"),
        ("level", {"type": "Relationship", "object": "urn:a:1"}, 400, "BadRequestData"),
        ("scope", {"value": "/a"}, 400, "BadRequestData"),
        ("@nonsense", {"value": 1}, 400, "BadRequestData"),
    ],
)
async def test_5_6_4_what_cannot_be_updated_says_why(
    client: httpx.AsyncClient, attribute: str, body: dict[str, object], status: int, kind: str
) -> None:
    """Unknown attributes and instances are not found; empty fragments, other kinds and bad names are refused."""
    assert_problem(await client.patch(f"/entities/{GAUGE}/attrs/{attribute}", json=body), status, kind)


async def test_5_6_19_a_replaced_attribute_has_only_what_was_given(client: httpx.AsyncClient) -> None:
    """Replace may change the kind and leaves nothing of the instance that was there."""
    body = {"type": "Relationship", "object": "urn:a:1"}
    assert (await client.put(f"/entities/{GAUGE}/attrs/name", json=body)).status_code == 204
    assert (await shown(client, GAUGE))["name"] == body
    assert_problem(await client.put(f"/entities/{GAUGE}/attrs/nothing", json=body), 404, "ResourceNotFound")


async def test_5_6_5_one_instance_or_all_can_be_deleted(client: httpx.AsyncClient) -> None:
    """Without parameters the default instance goes, with datasetId the named one, with deleteAll every one."""
    path = f"/entities/{GAUGE}/attrs/level"
    assert_problem(await client.delete(path + "?datasetId=urn:d:9"), 404, "ResourceNotFound")
    assert (await client.delete(path)).status_code == 204
    assert (await shown(client, GAUGE))["level"] == prop(2, datasetId="urn:d:1")
    assert (await client.delete(path + "?deleteAll=true")).status_code == 204
    assert "level" not in await shown(client, GAUGE)
    assert_problem(await client.delete(path), 404, "ResourceNotFound")


async def test_5_6_5_the_name_of_the_attribute_is_part_of_the_path(client: httpx.AsyncClient) -> None:
    """DELETE on the list of attributes is 405; an empty entity id is BadRequestData."""
    assert (await client.delete(f"/entities/{GAUGE}/attrs/")).status_code == 405
    assert_problem(await client.delete("/entities//attrs/level"), 400, "BadRequestData")


async def test_a_write_with_if_match_needs_the_version_that_was_read(client: httpx.AsyncClient) -> None:
    """ETag tells an entity's version; a write with If-Match succeeds only while it has this version (extension)."""
    tag = (await client.get(f"/entities/{GAUGE}")).headers["etag"]
    body = {"name": prop("b")}
    first = await client.patch(f"/entities/{GAUGE}/attrs", json=body, headers={"If-Match": tag})
    assert first.status_code == 204
    second = await client.patch(f"/entities/{GAUGE}/attrs", json=body, headers={"If-Match": tag})
    assert second.status_code == 412
    assert (await client.delete(f"/entities/{GAUGE}", headers={"If-Match": tag})).status_code == 412
    assert (await client.delete(f"/entities/{GAUGE}", headers={"If-Match": "*"})).status_code == 204


@pytest.mark.parametrize(("tag", "status"), [("7", 400), ('"1", "2"', 400), ('"of another server"', 412)])
async def test_an_if_match_that_cannot_be_ours_is_refused(client: httpx.AsyncClient, tag: str, status: int) -> None:
    """A malformed If-Match is 400, a well-formed tag that we never gave is 412."""
    response = await client.delete(f"/entities/{GAUGE}", headers={"If-Match": tag})
    assert response.status_code == status
