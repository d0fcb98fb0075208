"""Providing temporal evolutions (5.6.11 to 5.6.16), and entity maps of them (5.14.5)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.conformance.requests import assert_problem, create, prop
from tsunagu.app.application import Application

BUS = "urn:ngsi-ld:Bus:1"
PATH = f"/temporal/entities/{BUS}"


def at(hour: int) -> str:
    """Return an observedAt, an hour of a day in 2020."""
    return f"2020-08-01T{hour:02d}:00:00Z"


def seen(value: Any, hour: int, **members: Any) -> dict[str, Any]:
    return prop(value, observedAt=at(hour), **members)


async def told(client: httpx.AsyncClient, **params: Any) -> Any:
    response = await client.get(PATH, params=params)
    assert response.status_code == 200, response.text
    return response.json()


async def values(client: httpx.AsyncClient, name: str = "speed", **params: Any) -> list[Any]:
    return [one["value"] for one in (await told(client, **params)).get(name, [])]


@pytest.fixture
async def bus(client: httpx.AsyncClient) -> None:
    """Provide a bus with three speeds, and two of another dataset."""
    speeds = [seen(80, 2), seen(120, 1), seen(100, 3), seen(8, 1, datasetId="urn:d:2"), seen(9, 2, datasetId="urn:d:2")]
    response = await client.post("/temporal/entities", json={"id": BUS, "type": "Bus", "speed": speeds})
    assert (response.status_code, response.headers["location"]) == (201, f"/ngsi-ld/v1{PATH}")


async def test_5_6_11_an_evolution_comes_into_being_and_grows(client: httpx.AsyncClient, bus: None) -> None:
    """Instances stand in the order of their time, 201 the first time and 204 later; types are added."""
    assert await values(client, datasetId="@none") == [120, 80, 100]
    more = {"id": BUS, "type": ["Bus", "Truck"], "speed": [seen(70, 5), seen(60, 4)], "fuel": seen(3, 1)}
    assert (await client.post("/temporal/entities", json=more)).status_code == 204
    body = await told(client, datasetId="@none", lastN=3)
    assert [one["value"] for one in body["speed"]] == [100, 60, 70]
    assert set(body["type"]) == {"Bus", "Truck"}
    assert [one["value"] for one in body["fuel"]] == [3]


async def test_5_6_11_telling_twice_is_once(client: httpx.AsyncClient, bus: None) -> None:
    """An instance of an attribute, dataset and time that is there already is corrected and keeps its instanceId."""
    before = (await told(client, datasetId="@none"))["speed"]
    again = {"id": BUS, "type": "Bus", "speed": [seen(120, 1), seen(81, 2), seen(99, 3), seen(60, 4)]}
    for _ in range(2):
        assert (await client.post("/temporal/entities", json=again)).status_code == 204
    after = (await told(client, datasetId="@none"))["speed"]
    assert [one["value"] for one in after] == [120, 81, 99, 60]
    assert [one["instanceId"] for one in after[:3]] == [one["instanceId"] for one in before]
    await client.post(f"{PATH}/attrs", json={"speed": seen(61, 4)})
    shown = (await client.get(f"/entities/{BUS}")).json()["speed"]
    assert {one["value"] for one in shown} == {61, 9}
    assert await values(client, datasetId="@none") == [120, 81, 99, 61]


async def test_5_6_11_the_newest_becomes_the_current_state(client: httpx.AsyncClient, bus: None) -> None:
    """The current state is the newest instance up to now; older ones and predictions are history alone."""
    shown = (await client.get(f"/entities/{BUS}")).json()
    assert {one["value"] for one in shown["speed"]} == {100, 9}
    later = {"speed": [seen(50, 1), prop(999, observedAt="2999-01-01T00:00:00Z"), seen(77, 6)]}
    assert (await client.post(f"{PATH}/attrs", json=later)).status_code == 204
    shown = (await client.get(f"/entities/{BUS}")).json()
    assert {one["value"] for one in shown["speed"]} == {77, 9}
    assert await values(client, datasetId="@none") == [50, 80, 100, 77, 999]


async def test_5_6_11_what_is_told_of_a_deleted_entity_does_not_bring_it_back(
    client: httpx.AsyncClient, bus: None
) -> None:
    """The past of a deleted entity can be completed, and the entity stays deleted."""
    assert (await client.delete(f"/entities/{BUS}")).status_code == 204
    past = {"id": BUS, "type": "Bus", "speed": seen(1, 0)}
    assert (await client.post("/temporal/entities", json=past)).status_code == 204
    assert (await client.get(f"/entities/{BUS}")).status_code == 404
    assert await values(client, timeproperty="observedAt", datasetId="@none") == [1, 120, 80, 100]


async def test_5_6_11_simplified_deleted_and_scopes(client: httpx.AsyncClient) -> None:
    """Evolutions may come simplified (4.5.9), with deletions, and with a scope that changes."""
    body = {
        "id": BUS,
        "type": "Bus",
        "speed": {"type": "Property", "values": [[1, at(1)], [2, at(2)]]},
        "line": [
            {"type": "Relationship", "object": "urn:l:1", "observedAt": at(1)},
            {"type": "Relationship", "object": "urn:ngsi-ld:null", "deletedAt": at(2)},
        ],
        "scope": [seen("/A", 1), seen(["/B", "/C"], 3)],
    }
    assert (await client.post("/temporal/entities", json=body)).status_code == 201
    shown = await told(client)
    assert [one["value"] for one in shown["speed"]] == [1, 2]
    assert [(one["value"], one["observedAt"]) for one in shown["scope"]] == [
        ("/A", "2020-08-01T01:00:00.000Z"),
        (["/B", "/C"], "2020-08-01T03:00:00.000Z"),
    ]
    (gone,) = (await told(client, timeproperty="deletedAt"))["line"]
    assert (gone["object"], gone["deletedAt"]) == ("urn:ngsi-ld:null", "2020-08-01T02:00:00.000Z")
    found = {"type": "Bus", "timerel": "after", "timeAt": at(0)}
    for scope, expected in (("/A", [1, 2]), ("/B", None), ("/X", None)):
        response = await client.get("/temporal/entities", params={**found, "scopeQ": scope})
        listed = [one["value"] for entity in response.json() for one in entity["speed"]]
        assert listed == (expected or [])


async def test_5_6_13_an_attribute_is_erased(client: httpx.AsyncClient, bus: None) -> None:
    """Without datasetId the default instances go, with one those of it, with deleteAll every one; then 404."""
    assert (await client.delete(f"{PATH}/attrs/speed")).status_code == 204
    assert sorted(await values(client)) == [8, 9]
    assert (await client.delete(f"{PATH}/attrs/speed", params={"datasetId": "urn:d:2"})).status_code == 204
    assert_problem(await client.delete(f"{PATH}/attrs/speed"), 404, "ResourceNotFound", "speed")
    await client.post("/temporal/entities", json={"id": BUS, "type": "Bus", "speed": [seen(1, 1), seen(2, 2)]})
    assert (await client.delete(f"{PATH}/attrs/speed", params={"deleteAll": "true"})).status_code == 204
    response = await client.get(PATH)
    assert "speed" not in response.json()


async def test_5_6_14_an_instance_is_corrected(client: httpx.AsyncClient, bus: None) -> None:
    """Another instance stands in its place under the same instanceId, also at another time; createdAt stays."""
    before = (await told(client, datasetId="@none", options="sysAttrs"))["speed"]
    path = f"{PATH}/attrs/speed/{before[1]['instanceId']}"
    assert (await client.patch(path, json=seen(81, 2))).status_code == 204
    after = (await told(client, datasetId="@none", options="sysAttrs"))["speed"]
    assert [one["value"] for one in after] == [120, 81, 100]
    assert (after[1]["instanceId"], after[1]["createdAt"]) == (before[1]["instanceId"], before[1]["createdAt"])
    assert after[1]["modifiedAt"] > before[1]["modifiedAt"]
    assert (await client.patch(path, json=seen(82, 9))).status_code == 204
    last = f"{PATH}/attrs/speed/{before[2]['instanceId']}"
    assert (await client.patch(last, json=seen(101, 0))).status_code == 204
    after = (await told(client, datasetId="@none"))["speed"]
    assert [one["value"] for one in after] == [101, 120, 82]
    assert (await client.patch(last, json=seen(102, 0))).status_code == 204
    newest = await values(client, timeproperty="modifiedAt", lastN=1)
    assert newest == [102]


async def test_5_6_15_an_instance_is_erased(client: httpx.AsyncClient, bus: None) -> None:
    """One instance goes, the others keep their ids; a second time it is not found."""
    before = (await told(client))["speed"]
    path = f"{PATH}/attrs/speed/{before[2]['instanceId']}"
    assert (await client.delete(path)).status_code == 204
    after = (await told(client))["speed"]
    assert [one["instanceId"] for one in after] == [one["instanceId"] for one in before if one != before[2]]
    assert_problem(await client.delete(path), 404, "ResourceNotFound")
    assert_problem(await client.patch(path, json=seen(1, 1)), 404, "ResourceNotFound")
    assert_problem(await client.delete(f"{PATH}/attrs/speed/nothing"), 400, "BadRequestData", "instanceId")
    assert_problem(await client.delete(f"{PATH}/attrs/other/{before[0]['instanceId']}"), 404, "ResourceNotFound")


async def test_5_6_16_a_whole_evolution_is_erased(client: httpx.AsyncClient, bus: None) -> None:
    """The evolution is gone, the current state stays, and a new evolution begins with the next change."""
    assert (await client.delete(PATH)).status_code == 204
    assert_problem(await client.get(PATH), 404, "ResourceNotFound")
    assert_problem(await client.delete(PATH), 404, "ResourceNotFound")
    assert (await client.get(f"/entities/{BUS}")).status_code == 200
    assert (await client.patch(f"/entities/{BUS}/attrs", json={"speed": seen(5, 9)})).status_code == 204
    assert await values(client) == [5]
    assert (await client.delete(PATH)).status_code == 204
    assert (await client.delete(f"/entities/{BUS}")).status_code == 204
    assert_problem(await client.get(PATH), 404, "ResourceNotFound")
    again = {"id": BUS, "type": "Bus", "speed": seen(1, 1)}
    assert (await client.post("/temporal/entities", json=again)).status_code == 201


async def test_5_6_15_erased_values_are_nowhere_in_the_database(client: httpx.AsyncClient, broker: Application) -> None:
    """What was erased from the history is in no record of the log any more, neither before nor after a change."""
    await create(client, {"id": BUS, "type": "Bus", "secret": prop("first")})
    for value in ("second", "third"):
        await client.patch(f"/entities/{BUS}/attrs", json={"secret": prop(value)})
    assert broker.parts is not None
    log = broker.parts.databases.of("")["changes"]
    instances = (await told(client))["secret"]
    assert (await client.delete(f"{PATH}/attrs/secret/{instances[1]['instanceId']}")).status_code == 204
    text = str(await log.find({"e": BUS}).to_list(None))
    assert ("first" in text, "second" in text, "third" in text) == (True, False, True)
    assert (await client.delete(f"{PATH}/attrs/secret")).status_code == 204
    text = str(await log.find({"e": BUS}).to_list(None))
    assert ("first" in text, "third" in text) == (False, False)


async def test_5_6_11_bad_evolutions_are_refused(client: httpx.AsyncClient) -> None:
    """What is wrong is named, and nothing is written."""
    for body, word in (
        ({"type": "Bus"}, "id"),
        ({"id": BUS}, "type"),
        ({"id": BUS, "type": "Bus", "speed": [{"type": "Property"}]}, "speed"),
        (
            {"id": BUS, "type": "Bus", "speed": [{"type": "Property", "value": 1, "observedAt": "yesterday"}]},
            "observedAt",
        ),
        ({"id": BUS, "type": "Bus", "speed": {"type": "Property", "values": [1, 2]}}, "values"),
        ({"id": BUS, "type": "Bus", "expiresAt": "urn:ngsi-ld:null", "speed": seen(1, 1)}, "expiresAt"),
        ({"id": BUS, "type": "Bus", "scope": [{"type": "Property", "value": "a b"}]}, "scope"),
    ):
        assert_problem(await client.post("/temporal/entities", json=body), 400, "BadRequestData", word)
    assert (await client.get(PATH)).status_code == 404
    assert_problem(await client.post(f"{PATH}/attrs", json={"speed": seen(1, 1)}), 404, "ResourceNotFound")


async def test_5_14_5_entity_maps_of_evolutions(client: httpx.AsyncClient, bus: None) -> None:
    """A map holds the evolutions that have instances in the interval; a query with it sees no others."""
    assert_problem(await client.get("/temporal/entityMaps?type=Bus"), 400, "BadRequestData", "timerel")
    window = {"type": "Bus", "timerel": "after", "timeAt": at(0)}
    response = await client.get("/temporal/entityMaps", params=window)
    assert (response.status_code, response.json()["entityMap"]) == (201, {BUS: ["@none"]})
    location = response.headers["ngsild-entitymap"]
    early = {"type": "Bus", "timerel": "before", "timeAt": at(0), "timeproperty": "createdAt"}
    assert (await client.get("/temporal/entityMaps", params=early)).json()["entityMap"] == {}
    await client.post("/temporal/entities", json={"id": "urn:ngsi-ld:Bus:2", "type": "Bus", "speed": seen(1, 1)})
    response = await client.get("/temporal/entities", params=window, headers={"NGSILD-EntityMap": location})
    assert ([one["id"] for one in response.json()], response.status_code) == ([BUS], 200)
    response = await client.get("/temporal/entities", params={**window, "entityMap": "true"})
    assert (len(response.json()), response.status_code) == (2, 201)
