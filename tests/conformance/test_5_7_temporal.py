"""Temporal evolutions: retrieval and query (5.7.3, 5.7.4), representations (4.5.6-4.5.9, 4.5.19), parts (6.3.10)."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.conformance.requests import assert_problem, create, point, prop, relation
from tsunagu.app.application import Application

GAUGE = "urn:ngsi-ld:RiverLevelObserved:K001"
PATH = f"/temporal/entities/{GAUGE}"


def at(minute: int) -> str:
    """Return an observedAt, a minute of an hour of a day in July."""
    return f"2026-07-18T19:{minute:02d}:00Z"


async def patch(client: httpx.AsyncClient, entity: str = GAUGE, **attrs: Any) -> None:
    response = await client.patch(f"/entities/{entity}/attrs", json=attrs)
    assert response.status_code == 204, response.text


async def evolution(client: httpx.AsyncClient, path: str = PATH, status: int = 200, **params: Any) -> Any:
    response = await client.get(path, params=params)
    assert response.status_code == status, response.text
    return response.json()


async def values(client: httpx.AsyncClient, name: str = "level", **params: Any) -> list[Any]:
    return [one["value"] for one in (await evolution(client, **params))[name]]


@pytest.fixture
async def gauge(client: httpx.AsyncClient) -> None:
    """Create a gauge with ten levels, a minute apart, and a name that never changes."""
    entity = {
        "id": GAUGE,
        "type": "RiverLevelObserved",
        "name": prop("Kagami bridge"),
        "level": prop(0, observedAt=at(0)),
    }
    await create(client, entity)
    for minute in range(1, 10):
        await patch(client, level=prop(minute, observedAt=at(minute)))


async def test_5_7_3_every_instance_is_there_once_oldest_first(client: httpx.AsyncClient, gauge: None) -> None:
    """All that was written is in the evolution, each with an instanceId of its own that stays."""
    body = await evolution(client)
    assert [one["value"] for one in body["level"]] == list(range(10))
    assert [one["observedAt"] for one in body["level"]] == [at(minute) for minute in range(10)]
    ids = [one["instanceId"] for one in body["level"]]
    assert len(set(ids)) == 10
    assert [one["value"] for one in body["name"]] == ["Kagami bridge"]
    assert [one["instanceId"] for one in (await evolution(client))["level"]] == ids


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"timerel": "before", "timeAt": at(3)}, [0, 1, 2]),
        ({"timerel": "after", "timeAt": at(7)}, [7, 8, 9]),
        ({"timerel": "between", "timeAt": at(2), "endTimeAt": at(5)}, [2, 3, 4]),
        ({"lastN": 3}, [7, 8, 9]),
        ({"timerel": "before", "timeAt": at(6), "lastN": 2}, [4, 5]),
        (
            {"timerel": "after", "timeAt": "2020-01-01T00:00:00Z", "timeproperty": "modifiedAt", "lastN": 4},
            [6, 7, 8, 9],
        ),
        ({"timerel": "before", "timeAt": "2020-01-01T00:00:00Z", "timeproperty": "modifiedAt", "attrs": "level"}, None),
        ({"timerel": "after", "timeAt": "2020-01-01T00:00:00Z", "timeproperty": "createdAt"}, list(range(10))),
    ],
)
async def test_4_11_intervals(
    client: httpx.AsyncClient, gauge: None, params: dict[str, Any], expected: list[int] | None
) -> None:
    """Before excludes its bound, after and between include the lower one; lastN takes the latest of these."""
    body = await evolution(client, **params)
    assert [one["value"] for one in body.get("level", [])] == (expected or [])


async def test_4_11_instances_without_the_time_do_not_match(client: httpx.AsyncClient, gauge: None) -> None:
    """An attribute without observedAt is left out of a temporal query on observedAt, and is there without one."""
    assert "name" not in await evolution(client, timerel="after", timeAt=at(0))
    assert "name" not in await evolution(client, timeproperty="observedAt")
    assert "name" in await evolution(client, lastN=2)
    assert "name" in await evolution(client, timeproperty="modifiedAt", lastN=2)


async def test_5_7_3_late_readings_stand_at_their_time(client: httpx.AsyncClient, broker: Application) -> None:
    """What a device reports too late for the current state is in the history, in the order of observedAt."""
    from tsunagu.broker.operations.reports import Report, Reports

    assert broker.parts is not None
    reports = Reports(broker.parts.committer)
    name = "~level"

    def report(minute: int) -> Report:
        instance = {"type": "Property", "value": minute, "observedAt": at(minute)}
        return Report(
            {"id": GAUGE, "type": ["https://uri.etsi.org/ngsi-ld/default-context/G"], "attrs": {name: instance}}
        )

    await reports.take("", [report(minute) for minute in (5, 2, 9, 1, 7, 3)])
    assert await values(client) == [1, 2, 3, 5, 7, 9]
    assert await values(client, lastN=3) == [5, 7, 9]
    assert (await client.get(f"/entities/{GAUGE}")).json()["level"]["value"] == 9


async def test_5_7_3_one_change_of_several_times_is_told_at_each(client: httpx.AsyncClient) -> None:
    """Attributes of one change that were observed at different times are each found at theirs."""
    await create(
        client,
        {"id": GAUGE, "type": "G", "a": prop(1, observedAt=at(1)), "b": prop(2, observedAt=at(30)), "c": prop(3)},
    )
    await patch(client, a=prop(4, observedAt=at(40)), b=prop(5, observedAt=at(31)))
    early = await evolution(client, timerel="before", timeAt=at(10))
    assert ([one["value"] for one in early["a"]], "b" in early, "c" in early) == ([1], False, False)
    whole = await evolution(client)
    assert {name: [one["value"] for one in whole[name]] for name in "abc"} == {"a": [1, 4], "b": [2, 5], "c": [3]}
    assert [one["value"] for one in (await evolution(client, lastN=1, timeproperty="observedAt"))["b"]] == [5]


async def test_4_5_7_deletions_leave_a_null_with_deleted_at(client: httpx.AsyncClient, gauge: None) -> None:
    """A deleted attribute leaves an instance whose value is the Null, and the history of what was before stays."""
    assert (await client.delete(f"/entities/{GAUGE}/attrs/level")).status_code == 204
    (gone,) = (await evolution(client, timeproperty="deletedAt"))["level"]
    assert gone.keys() == {"type", "value", "instanceId", "deletedAt"}
    assert gone["value"] == "urn:ngsi-ld:null"
    body = await evolution(client, timeproperty="deletedAt", options="temporalValues")
    assert body["level"]["values"][0][0] == "urn:ngsi-ld:null"
    assert await values(client, timeproperty="observedAt") == list(range(10))


async def test_5_6_6_the_history_of_a_deleted_entity_stays(client: httpx.AsyncClient, gauge: None) -> None:
    """After the deletion of an entity its evolution is still found, by id and by type, with all deletions told."""
    assert (await client.delete(f"/entities/{GAUGE}")).status_code == 204
    assert await values(client, timeproperty="observedAt", lastN=2) == [8, 9]
    body = await evolution(client, options="sysAttrs")
    assert "deletedAt" in body["name"][-1]
    assert body.keys() >= {"createdAt", "modifiedAt", "deletedAt"}
    found = await evolution(client, "/temporal/entities", type="RiverLevelObserved", timerel="after", timeAt=at(0))
    assert [one["id"] for one in found] == [GAUGE]


async def test_5_7_3_problems(client: httpx.AsyncClient, gauge: None) -> None:
    """Unknown evolutions and attributes are 404; malformed or contradicting parameters 400, named."""
    assert_problem(await client.get("/temporal/entities/urn:x:none"), 404, "ResourceNotFound")
    assert_problem(await client.get("/temporal/entities/nothing"), 400, "BadRequestData", "entityId")
    assert_problem(await client.get(f"{PATH}?attrs=other"), 404, "ResourceNotFound", "other")
    assert_problem(await client.get(f"{PATH}?type=Other"), 404, "ResourceNotFound", "Other")
    assert_problem(await client.get(f"{PATH}?timerel=after"), 400, "BadRequestData", "timeAt")
    assert_problem(await client.get(f"{PATH}?timeAt={at(1)}"), 400, "BadRequestData", "timerel")
    assert_problem(await client.get(f"{PATH}?timeproperty=expiresAt"), 400, "BadRequestData", "timeproperty")
    assert_problem(await client.get(f"{PATH}?lastN=0"), 400, "BadRequestData", "lastN")
    assert_problem(await client.get(f"{PATH}?pick=level&omit=level"), 400, "BadRequestData")
    assert_problem(await client.get(f"{PATH}?pick=a{{b}}"), 400, "BadRequestData")
    assert_problem(await client.get(f"{PATH}?options=aggregatedValues"), 400, "BadRequestData", "aggrMethods")
    assert_problem(
        await client.get(f"{PATH}?options=aggregatedValues&aggrMethods=median"), 400, "BadRequestData", "median"
    )
    assert_problem(
        await client.get(f"{PATH}?options=aggregatedValues&aggrMethods=avg&attrs=name"), 400, "InvalidRequest", "name"
    )


async def test_4_5_9_simplified(client: httpx.AsyncClient) -> None:
    """Each kind has its plural member with pairs of value and time; datasets stand apart."""
    await create(
        client,
        {
            "id": GAUGE,
            "type": "G",
            "p": [prop(1, observedAt=at(1)), prop(2, observedAt=at(1), datasetId="urn:d:2")],
            "r": relation("urn:x:1", observedAt=at(1)),
            "location": {**point(134, 34), "observedAt": at(1)},
            "n": {"type": "LanguageProperty", "languageMap": {"ja": "川", "en": "river"}, "observedAt": at(1)},
            "j": {"type": "JsonProperty", "json": {"a": 1}, "observedAt": at(1)},
            "l": {"type": "ListProperty", "valueList": [1, 2], "observedAt": at(1)},
        },
    )
    body = await evolution(client, options="temporalValues")
    assert body["p"] == [
        {"type": "Property", "values": [[1, at(1)]]},
        {"type": "Property", "datasetId": "urn:d:2", "values": [[2, at(1)]]},
    ]
    assert body["r"] == {"type": "Relationship", "objects": [["urn:x:1", at(1)]]}
    assert body["location"]["values"][0][0]["coordinates"] == [134, 34]
    assert body["n"] == {
        "type": "LanguageProperty",
        "languageMaps": [[{"languageMap": {"ja": "川", "en": "river"}}, at(1)]],
    }
    assert body["j"] == {"type": "JsonProperty", "jsons": [[{"json": {"a": 1}}, at(1)]]}
    assert body["l"] == {"type": "ListProperty", "valueLists": [[[1, 2], at(1)]]}
    assert (await evolution(client, options="temporalValues", lang="en"))["n"]["values"] == [["river", at(1)]]
    assert (await evolution(client, datasetId="urn:d:2"))["p"][0]["value"] == 2


async def test_4_5_19_aggregated(client: httpx.AsyncClient, gauge: None) -> None:
    """Methods aggregate over periods from the start of the query; no period without an instance has a row."""
    query = {"options": "aggregatedValues", "attrs": "level", "timerel": "after", "timeAt": at(0)}
    body = await evolution(client, aggrMethods="avg,max,totalCount", aggrPeriodDuration="PT5M", **query)
    assert body["level"] == {
        "type": "Property",
        "avg": [[2.0, at(0), at(5)], [7.0, at(5), at(10)]],
        "max": [[4, at(0), at(5)], [9, at(5), at(10)]],
        "totalCount": [[5, at(0), at(5)], [5, at(5), at(10)]],
    }
    whole = await evolution(client, aggrMethods="sum", **query)
    assert whole["level"]["sum"] == [[45.0, at(0), at(9)]]


async def test_4_5_6_the_scope_evolves(client: httpx.AsyncClient) -> None:
    """Each scope that the entity had is an instance, observed when it was set; a removed one leaves an empty list."""
    await create(client, {"id": GAUGE, "type": "G", "scope": "/a", "x": prop(1)})
    assert (await client.patch(f"/entities/{GAUGE}", json={"scope": ["/b", "/c"]})).status_code == 204
    assert (await client.delete(f"/entities/{GAUGE}/attrs/scope")).status_code == 204
    body = await evolution(client, options="sysAttrs")
    assert [one["value"] for one in body["scope"]] == ["/a", ["/b", "/c"], []]
    assert body["scope"][1]["observedAt"] == body["scope"][1]["modifiedAt"]
    assert body["scope"][2].keys() == {"type", "value", "instanceId", "deletedAt"}


async def test_6_3_10_long_histories_come_in_parts(client: httpx.AsyncClient, gauge: None, broker: Application) -> None:
    """What does not fit into one answer is 206, with the time that it covers; backwards with lastN."""
    assert broker.parts is not None
    services = broker.parts.services
    object.__setattr__(services, "settings", services.settings.model_copy(update={"temporal_limit": 4}))
    response = await client.get(PATH, params={"timerel": "after", "timeAt": at(1), "attrs": "level"})
    assert response.status_code == 206
    assert response.headers["content-range"] == f"date-time {at(1)}-{at(4)}/*"
    assert [one["value"] for one in response.json()["level"]] == [1, 2, 3, 4]
    response = await client.get(PATH, params={"lastN": 8, "timeproperty": "observedAt", "attrs": "level"})
    assert (response.status_code, response.headers["content-range"]) == (206, f"date-time {at(9)}-{at(6)}/8")
    assert [one["value"] for one in response.json()["level"]] == [6, 7, 8, 9]


async def test_5_7_4_query(client: httpx.AsyncClient) -> None:
    """Type, id, q over the instances in the interval, geoquery, pages and count select whole evolutions."""
    for number in range(5):
        place = {**point(134 + number, 34), "observedAt": at(number)}
        await create(
            client,
            {"id": f"urn:v:{number}", "type": "V", "speed": prop(number, observedAt=at(number)), "location": place},
        )
        await patch(client, f"urn:v:{number}", speed=prop(100 - number, observedAt=at(30)))
    await create(client, {"id": "urn:w:1", "type": "W", "speed": prop(1, observedAt=at(1))})

    async def found(**params: Any) -> list[str]:
        return [one["id"] for one in await evolution(client, "/temporal/entities", **params)]

    window = {"timerel": "between", "timeAt": at(0), "endTimeAt": at(10)}
    assert await found(type="V", **window) == [f"urn:v:{number}" for number in range(5)]
    assert await found(type="V", q="speed>2", **window) == ["urn:v:3", "urn:v:4"]
    assert await found(type="V", q="speed>50", **window) == []
    assert await found(type="V", timerel="after", timeAt=at(3), attrs="location") == ["urn:v:3", "urn:v:4"]
    assert await found(attrs="speed", idPattern="urn:w.*", **window) == ["urn:w:1"]
    near = {"georel": "near;maxDistance==1000", "geometry": "Point", "coordinates": "[136,34]"}
    assert await found(type="V", **near, **window) == ["urn:v:2"]
    response = await client.get(
        "/temporal/entities", params={"type": "V", "limit": 2, "offset": 2, "count": "true", **window}
    )
    assert [one["id"] for one in response.json()] == ["urn:v:2", "urn:v:3"]
    assert response.headers["ngsild-results-count"] == "5"
    assert 'rel="next"' in response.headers["link"]
    assert await found(type="V", local="true", orderBy="id;desc", limit=2, **window) == ["urn:v:4", "urn:v:3"]


async def test_5_7_4_what_was_created_later_is_not_found(client: httpx.AsyncClient, gauge: None) -> None:
    """An entity none of whose instances was created in the interval is in no answer and no entity map (5.14.5.4)."""
    before = {"type": "RiverLevelObserved", "timerel": "before", "timeproperty": "createdAt"}
    for moment, found in (("2000-01-01T00:00:00Z", []), ("2999-01-01T00:00:00Z", [GAUGE])):
        page = await evolution(client, "/temporal/entities", timeAt=moment, **before)
        assert [one["id"] for one in page] == found
        entities = await evolution(client, "/temporal/entityMaps", 201, timeAt=moment, **before)
        assert list(entities["entityMap"]) == found


async def test_5_7_4_query_by_body(client: httpx.AsyncClient, gauge: None) -> None:
    """POST takes temporalQ and aggrParams; without temporalQ the query is refused."""
    query: dict[str, Any] = {
        "type": "Query",
        "entities": [{"type": "RiverLevelObserved"}],
        "temporalQ": {"timerel": "after", "timeAt": at(0), "lastN": 1},
    }
    response = await client.post("/temporal/entityOperations/query", json=query)
    assert [one["value"] for one in response.json()[0]["level"]] == [9]
    query["aggrParams"] = {"aggrMethods": ["max"], "aggrPeriodDuration": "PT0S"}
    response = await client.post("/temporal/entityOperations/query", json=query)
    assert response.json()[0]["level"]["max"] == [[9, at(0), at(9)]]
    del query["temporalQ"]
    assert_problem(await client.post("/temporal/entityOperations/query", json=query), 400, "BadRequestData", "timerel")


async def test_5_7_4_problems(client: httpx.AsyncClient) -> None:
    """A query without temporal query, too wide, with linked terms or another order than by id is refused."""
    window = f"timerel=after&timeAt={at(0)}"
    for query in ("type=V", window, f"type=V&q=a{{b}}==1&{window}",
                  f"type=V&local=true&orderBy=speed&{window}"):  # fmt: skip
        assert_problem(await client.get(f"/temporal/entities?{query}"), 400, "BadRequestData")


async def test_5_7_3_writers_and_readers_at_once(client: httpx.AsyncClient, gauge: None) -> None:
    """Twenty writes at the same time are all in the history afterwards, each once."""
    await asyncio.gather(*(patch(client, level=prop(100 + n, observedAt=at(20 + n))) for n in range(20)))
    assert await values(client, timerel="after", timeAt=at(20)) == [100 + n for n in range(20)]
