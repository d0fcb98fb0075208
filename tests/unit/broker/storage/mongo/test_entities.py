"""Reading entities: by id, gathered; by query, page by page."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tests.unit.broker.storage.mongo.conftest import Store
from tsunagu.broker.errors import Unavailable
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.operations.batch import Batch
from tsunagu.broker.query.ast import EntityQuery, TypeSelection
from tsunagu.broker.query.geo import parse_geo
from tsunagu.broker.query.order import parse_order
from tsunagu.broker.query.types import parse_types
from tsunagu.broker.settings import Settings
from tsunagu.broker.storage.mongo.client import Databases
from tsunagu.broker.storage.mongo.entities import MongoReader

TYPE = CORE.expand_term("Gauge")


def gauge(number: int, **more: Any) -> dict[str, Any]:
    level = {"type": "Property", "value": number}
    return {"id": f"urn:ngsi-ld:Gauge:{number:05d}", "type": [TYPE], "attrs": {CORE.attribute("level"): level}, **more}


def gauges(**more: Any) -> EntityQuery:
    types = parse_types("Gauge", CORE)
    assert isinstance(types, TypeSelection)
    return EntityQuery(types=types, **more)


@pytest.fixture
def reader(store: Store) -> MongoReader:
    """Give a reader of the store."""
    return MongoReader(store.databases, store.settings)


async def numbers(reader: MongoReader, query: EntityQuery, **page: Any) -> list[int]:
    found = await reader.query("", query, **page)
    return [document["attrs"][CORE.attribute("level")]["value"] for document in found.documents]


async def test_concurrent_reads_of_many_ids_all_get_their_own(store: Store, reader: MongoReader) -> None:
    """Reads that are gathered into one find each get the document they asked for, or None."""
    await Batch(store.committer).create("", [gauge(number) for number in range(200)])
    asked = [*range(200), *range(50), 777]
    found = await asyncio.gather(*(reader.get("", f"urn:ngsi-ld:Gauge:{number:05d}") for number in asked))
    assert [one["_id"][-5:] if one else None for one in found] == [f"{n:05d}" if n < 200 else None for n in asked]


async def test_one_reader_that_gives_up_leaves_the_others_alone(store: Store, reader: MongoReader) -> None:
    """A cancelled read of an id does not cancel another read of the same id."""
    await Batch(store.committer).create("", [gauge(1)])
    first = asyncio.create_task(reader.get("", "urn:ngsi-ld:Gauge:00001"))
    second = asyncio.create_task(reader.get("", "urn:ngsi-ld:Gauge:00001"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second is not None


async def test_pages_are_whole_while_writers_write(store: Store, reader: MongoReader) -> None:
    """Whoever turns page after page sees every entity that was there all the time, and sees it once."""
    batch = Batch(store.committer)
    await batch.create("", [gauge(number) for number in range(100, 300)])
    seen: list[int] = []
    for page in range(20):
        seen += await numbers(reader, gauges(), limit=10, offset=page * 10)
        await batch.create("", [gauge(page)])
        await batch.delete("", [f"urn:ngsi-ld:Gauge:{100 + page:05d}"])
    stayed = set(range(120, 300))
    assert len(seen) == len(set(seen))
    assert stayed <= set(seen)


async def test_a_jump_to_any_offset_finds_the_right_page(store: Store, reader: MongoReader) -> None:
    """An offset without a bookmark is counted off; one beyond the end is empty; the count tells all."""
    await Batch(store.committer).create("", [gauge(number) for number in range(50)])
    assert await numbers(reader, gauges(), limit=5, offset=33) == [33, 34, 35, 36, 37]
    assert await numbers(reader, gauges(), limit=5, offset=41) == [41, 42, 43, 44, 45]
    assert await numbers(reader, gauges(), limit=5, offset=38) == [38, 39, 40, 41, 42]
    assert await numbers(reader, gauges(), limit=5, offset=60) == []
    assert (await reader.query("", gauges(), limit=0, count=True)).count == 50


async def test_what_has_expired_is_not_found(store: Store, reader: MongoReader) -> None:
    """An entity whose expiresAt has passed is not read any more, even before it is swept away (4.22)."""
    now = time.time_ns() // 1_000_000
    await Batch(store.committer).create("", [gauge(1, expires=now - 1), gauge(2, expires=now + 60_000)])
    assert await reader.get("", "urn:ngsi-ld:Gauge:00001") is None
    assert await numbers(reader, gauges(now=now), limit=5) == [2]
    assert [ids async for _, ids in reader.due(now)] == [["urn:ngsi-ld:Gauge:00001"]]


async def test_types_are_named_in_order_and_nothing_else_is(store: Store, reader: MongoReader) -> None:
    """Of the keys in the index only types are told, each once, also of entities of several types."""
    others = [gauge(n, type=[f"urn:t:{n % 3}", f"urn:t:{n % 5}"], scope=["/a", "/Z"], expires=2**42) for n in range(20)]
    assert await reader.type_names("") == []
    await Batch(store.committer).create("", [gauge(99), *others])
    assert await reader.type_names("") == [TYPE, *(f"urn:t:{n}" for n in range(5))]


async def test_usage_tells_types_attributes_and_kinds(store: Store, reader: MongoReader) -> None:
    """Discovery counts entities by type and attribute, with all kinds that an attribute has."""
    name = CORE.attribute("level")
    several = [{"type": "Property", "value": 1}, {"type": "Relationship", "object": "urn:x:1", "datasetId": "urn:d:1"}]
    await Batch(store.committer).create("", [gauge(1), gauge(2), {**gauge(3), "attrs": {name: several}}])
    assert await reader.type_names("") == [TYPE]
    assert await reader.count_of_type("", TYPE) == 3
    (row,) = await reader.usage("", type_iri=TYPE)
    assert (row.attribute, sorted(row.kinds), row.entities) == (name, ["Property", "Relationship"], 3)
    assert await reader.attribute_count("", name) == 4


async def test_without_mongodb_a_read_is_503_in_bounded_time() -> None:
    """A read without MongoDB ends as Unavailable within the store's timeout."""
    settings = Settings.from_environment(
        {"MONGODB_URI": "mongodb://127.0.0.1:9/?directConnection=true"}, store_timeout=1.0
    )
    databases = Databases(settings)
    reader = MongoReader(databases, settings)
    try:
        async with asyncio.timeout(4):
            with pytest.raises(Unavailable):
                await reader.get("", "urn:x:1")
            with pytest.raises(Unavailable):
                await reader.query("", gauges(), limit=1)
    finally:
        await databases.close()


async def test_a_geoquery_pages_and_counts_what_is_really_near(store: Store, reader: MongoReader) -> None:
    """Of the candidates only those within the distance are found, in pages by id, and the count tells all of them."""
    place = CORE.attribute("location")

    def at(number: int) -> dict[str, Any]:
        entity = gauge(number)
        point = {"type": "Point", "coordinates": [134.0 + number / 1000, 34.0]}
        return {**entity, "attrs": {**entity["attrs"], place: {"type": "GeoProperty", "value": point}}}

    await Batch(store.committer).create("", [at(number) for number in range(1200)])
    near = gauges(geo=parse_geo("near;maxDistance==9300", "Point", "[134.0,34.0]", None, CORE))
    assert await numbers(reader, near, limit=60) == list(range(101))[:60]
    assert await numbers(reader, near, limit=60, offset=60) == list(range(60, 101))
    page = await reader.query("", near, limit=5, offset=50, count=True, times=False)
    assert page.count == 101
    assert all("sys" not in document for document in page.documents)


@pytest.mark.parametrize("others", [0, 1000])
async def test_points_and_shapes_near_a_place_are_found_and_paged(
    store: Store, reader: MongoReader, others: int
) -> None:
    """Near a point stand points and polygons alike, whether the type is rare or common, in whichever pages."""
    place = CORE.attribute("location")

    def at(number: int, geometry: dict[str, Any]) -> dict[str, Any]:
        entity = gauge(number)
        return {**entity, "attrs": {**entity["attrs"], place: {"type": "GeoProperty", "value": geometry}}}

    def square(west: float) -> dict[str, Any]:
        east = west + 0.5
        return {"type": "Polygon", "coordinates": [[[west, 33], [east, 33], [east, 35], [west, 35], [west, 33]]]}

    points = [at(number, {"type": "Point", "coordinates": [134 + number / 1000, 34]}) for number in range(40)]
    large = [at(100 + number, square(133.8 if number % 2 else 138)) for number in range(40)]
    far = [at(1000 + number, {"type": "Point", "coordinates": [10, 10]}) for number in range(others)]
    await Batch(store.committer).create("", [*points, *large, *far])
    near = gauges(geo=parse_geo("near;maxDistance==930", "Point", "[134.0,34.0]", None, CORE))
    wanted = [*range(11), *(100 + number for number in range(40) if number % 2)]
    assert sorted(await numbers(reader, near, limit=200)) == wanted
    first = await numbers(reader, near, limit=31)
    assert (sorted(first) == first) != bool(others)  # the nearest first among many, else by id
    pages = [await numbers(reader, near, limit=4, offset=offset, times=False) for offset in range(0, 36, 4)]
    assert sorted(number for page in pages for number in page) == wanted
    counted = await reader.query("", near, limit=3, count=True)
    assert counted.count == len(wanted)
    assert len(counted.documents) == 3
    newest = gauges(geo=near.geo, order=parse_order("id", CORE))
    assert await numbers(reader, newest, limit=5) == wanted[:5]


async def test_a_page_is_full_where_most_candidates_do_not_match(store: Store, reader: MongoReader) -> None:
    """What the first candidates lack is looked for among the rest, also without times."""
    place = CORE.attribute("location")

    def at(number: int) -> dict[str, Any]:
        entity = gauge(number)
        point = {"type": "Point", "coordinates": [134 + number / 1000, 34 + number / 1000]}
        return {**entity, "attrs": {**entity["attrs"], place: {"type": "GeoProperty", "value": point}}}

    await Batch(store.committer).create("", [at(number) for number in range(700)])
    corner = [[[134.6, 34], [134.7, 34], [134.7, 34.7], [134.6, 34]]]
    triangle = {"type": "Polygon", "coordinates": [[*corner[0][:3], [134, 34.7], [134.6, 34]]]}
    query = gauges(geo=parse_geo("within", "Polygon", triangle["coordinates"], None, CORE))
    whole = [number for number in range(700) if number > 300]
    found = await numbers(reader, query, limit=400, times=False)
    assert found
    assert set(found) <= set(whole)
    assert await numbers(reader, query, limit=7, times=False) == found[:7]
