"""The nearest entities around a place, whichever way they are found."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from tests.unit.broker.storage.mongo.conftest import Store
from tsunagu.broker.errors import TooManyResults
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.operations.batch import Batch
from tsunagu.broker.query.ast import EntityQuery
from tsunagu.broker.query.geo import parse_geo
from tsunagu.broker.query.geometry import haversine
from tsunagu.broker.query.types import parse_types
from tsunagu.broker.storage.mongo import frequent, nearby, pages
from tsunagu.broker.storage.mongo.areas import AREAS, DONE
from tsunagu.broker.storage.mongo.client import Databases
from tsunagu.broker.storage.mongo.committer import Committer
from tsunagu.broker.storage.mongo.entities import MongoReader

TYPE = CORE.expand_term("Gauge")
PLACE = CORE.attribute("location")
SQUARE = [[[133.9, 33.9], [134.1, 33.9], [134.1, 34.1], [133.9, 34.1], [133.9, 33.9]]]

Position = tuple[float, float]


def gauge(name: str, geometry: str, coordinates: Any) -> dict[str, Any]:
    location = {"type": "GeoProperty", "value": {"type": geometry, "coordinates": coordinates}}
    return {"id": f"urn:{name}", "type": [TYPE], "attrs": {PLACE: location}}


def near(place: Position, metres: float) -> EntityQuery:
    geo = parse_geo(f"near;maxDistance=={metres}", "Point", list(place), None, CORE)
    return EntityQuery(types=parse_types("Gauge", CORE), geo=geo)


async def found(reader: MongoReader, query: EntityQuery, **page: Any) -> list[str]:
    return [document["_id"] for document in (await reader.query("", query, **page)).documents]


def city(dice: random.Random) -> dict[str, Position]:
    """Return 600 places: scattered ones, a crowd around one spot, forty at the very same."""
    places = {f"urn:{n}": (134 + dice.random() / 10, 34 + dice.random() / 10) for n in range(360)}
    places |= {f"urn:c{n}": (134.05 + dice.gauss(0, 0.001), 34.05 + dice.gauss(0, 0.001)) for n in range(200)}
    return places | {f"urn:s{n:02d}": (134.02, 34.02) for n in range(40)}


def truth(places: dict[str, Position], place: Position, metres: float) -> list[str]:
    """Return the ids within the distance, the nearest first, those at one distance by id."""
    measured = ((haversine(*place, *there), name) for name, there in places.items())
    return [name for _, name in sorted((round(far, 3), name) for far, name in measured if far <= metres)]


@pytest.fixture
def reader(store: Store, monkeypatch: pytest.MonkeyPatch) -> MongoReader:
    """Give a reader for which ten entities are many."""
    monkeypatch.setattr(frequent, "MANY", 10)
    return MongoReader(store.databases, store.settings)


async def test_pages_hold_the_nearest_in_order(store: Store, reader: MongoReader) -> None:
    """Any page around any place has what measuring all of them gives, however dense they stand, also at one spot."""
    dice = random.Random(11)
    places = city(dice)
    await Batch(store.committer).create("", [gauge(name[4:], "Point", list(at)) for name, at in places.items()])
    for turn in range(120):
        spot = dice.choice([(134.05, 34.05), (134.02, 34.02), (134 + dice.random() / 10, 34 + dice.random() / 10)])
        metres, limit = dice.choice([30.0, 500.0, 3000.0, 20_000.0]), dice.choice([1, 7, 21, 60])
        expected = truth(places, spot, metres)
        offset = dice.choice([0, limit, 2 * limit]) if turn % 3 == 0 else 0
        page = await found(reader, near(spot, metres), limit=limit, offset=offset, times=bool(turn % 2))
        assert page == expected[offset : offset + limit]


async def test_circles_are_as_large_as_it_takes(
    store: Store, reader: MongoReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is known how dense entities stand, MongoDB's own search is hardly asked, and few are read in vain."""
    dice = random.Random(12)
    places = {f"urn:{n}": (134 + dice.random() / 20, 34 + dice.random() / 20) for n in range(1500)}
    await Batch(store.committer).create("", [gauge(name[4:], "Point", list(at)) for name, at in places.items()])
    asked: list[str] = []
    read: list[int] = []
    rows_of = pages.rows_of

    async def noted(*arguments: Any) -> list[Any]:
        rows = await rows_of(*arguments)
        if "geo" in arguments[2]["filter"]:
            asked.append(next(iter(arguments[2]["filter"]["geo"])))
            read.append(len(rows))
        return rows

    monkeypatch.setattr(nearby, "rows_of", noted)
    for turn in range(60):
        spot = (134.025 + dice.random() / 200, 34.025 + dice.random() / 200)
        assert await found(reader, near(spot, 2000), limit=20) == truth(places, spot, 2000)[:20]
        if turn == 19:
            asked.clear()
            read.clear()
    assert asked.count("$nearSphere") <= 8
    assert asked.count("$geoWithin") == 40
    assert sum(read) < 40 * 45


async def test_a_circle_of_large_entities_is_no_obstacle(
    store: Store, reader: MongoReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a circle holds more than an answer may, the page is found all the same."""
    await Batch(store.committer).create("", [gauge(f"p{n:02d}", "Point", [134 + n / 10_000, 34]) for n in range(40)])

    async def overwhelmed(*_: Any, **__: Any) -> Any:
        raise TooManyResults("more than 64 MiB")

    monkeypatch.setattr(reader._nearby, "_circled", overwhelmed)
    assert await found(reader, near((134.0, 34.0), 9000), limit=5) == [f"urn:p{n:02d}" for n in range(5)]


async def test_a_type_that_gets_an_area_is_searched_for_areas(store: Store, reader: MongoReader) -> None:
    """As soon as one entity of a type has an area, also beside a point, it is found beside the points."""
    batch = Batch(store.committer)
    await batch.create("", [gauge(f"p{n:02d}", "Point", [134 + n / 1000, 34]) for n in range(40)])
    query = near((134.0, 34.0), 950)
    points = [f"urn:p{n:02d}" for n in range(11)]
    assert await found(reader, query, limit=21) == points
    both = gauge("both", "Point", [10, 10])
    line = {"type": "LineString", "coordinates": [[134, 33], [134, 35]]}
    both["attrs"][PLACE] = [both["attrs"][PLACE], {"type": "GeoProperty", "value": line, "datasetId": "urn:d"}]
    await batch.create("", [gauge("area", "Polygon", SQUARE), both])
    assert sorted(await found(reader, query, limit=21)) == ["urn:area", "urn:both", *points]
    await batch.delete("", ["urn:both"])
    assert sorted(await found(reader, query, limit=21)) == ["urn:area", *points]


async def test_areas_of_earlier_versions_are_found(store: Store, reader: MongoReader) -> None:
    """A database that nobody has looked through is taken to have areas of every type; at start it is looked through."""
    batch = Batch(store.committer)
    await batch.create("", [gauge(f"p{n:02d}", "Point", [134 + n / 1000, 34]) for n in range(40)])
    await batch.create("", [gauge("area", "Polygon", SQUARE)])
    database = store.databases.of("")
    await database[AREAS].delete_many({})
    for _ in range(2):
        assert "urn:area" in await found(reader, near((134.0, 34.0), 950), limit=21)
        again = Databases(store.settings)
        await again.ready("")
        await again.close()
        assert {row["_id"] async for row in database[AREAS].find()} == {DONE, TYPE}


async def test_two_processes_may_store_the_first_area_at_once(store: Store, reader: MongoReader) -> None:
    """Processes that bring the first areas of a type at the same time both succeed, and both areas are found."""
    others = [Committer(store.databases, store.settings, writer=f"w{n}") for n in range(4)]
    firsts = [Batch(one).create("", [gauge(f"a{n}", "Polygon", SQUARE)]) for n, one in enumerate(others)]
    await asyncio.gather(*firsts)
    await Batch(store.committer).create("", [gauge(f"p{n:02d}", "Point", [10, 10]) for n in range(20)])
    assert sorted(await found(reader, near((134.0, 34.0), 950), limit=21)) == [f"urn:a{n}" for n in range(4)]
    for one in others:
        await one.close()


async def test_points_of_earlier_versions_are_found(store: Store, reader: MongoReader) -> None:
    """Places stored as GeoJSON Points count as points beside positions, also after a change of something else."""
    batch = Batch(store.committer)
    points = [gauge(f"p{n:02d}", "Point", [134 + n / 1000, 34]) for n in range(40)]
    await batch.create("", points)
    database = store.databases.of("")
    former = {"$set": {"geo": f"$attrs.{PLACE}.value"}}
    odd = [point["id"] for point in points[1::2]]
    assert (await database["entities"].update_many({"_id": {"$in": odd}}, [former])).modified_count == 20
    level = {CORE.attribute("level"): {"type": "Property", "value": 1}}
    await batch.update("", [{"id": one, "attrs": level} for one in odd])
    assert [row["geo"] async for row in database["entities"].find({"geo.type": "Point"})] == [
        {"type": "Point", "coordinates": [134 + n / 1000, 34]} for n in range(1, 40, 2)
    ]
    assert {row["_id"] async for row in database[AREAS].find()} == {DONE}
    assert await found(reader, near((134.0, 34.0), 950), limit=21) == [f"urn:p{n:02d}" for n in range(11)]
    square = parse_geo(
        "within", "Polygon", [[[133.9, 33], [134.0105, 33], [134.0105, 35], [133.9, 35], [133.9, 33]]], None, CORE
    )
    within = EntityQuery(types=parse_types("Gauge", CORE), geo=square)
    assert await found(reader, within, limit=21) == [f"urn:p{n:02d}" for n in range(11)]
