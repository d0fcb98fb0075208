"""Deep pages on the real MongoDB: right at any offset, also after jumps, also beside other processes."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from tests.unit.broker.storage.mongo.conftest import Store
from tsunagu.broker.operations.batch import Batch
from tsunagu.broker.storage.mongo import pages as module
from tsunagu.broker.storage.mongo import positions
from tsunagu.broker.storage.mongo.bookmarks import Bookmarks
from tsunagu.broker.storage.mongo.pages import Pages

ORDER = random.Random(7)


def entity(identifier: str, type_iri: str = "urn:t") -> dict[str, Any]:
    return {"id": identifier, "type": [type_iri], "attrs": {}}


async def filled(store: Store, pages: Pages) -> Batch:
    """Fill the store with 300 entities, every third of another type; `pages` hears of all that follows."""
    batch = Batch(store.committer)
    store.committer.listener = pages
    await batch.create("", [entity(f"urn:{n:04d}", "urn:u" if n % 3 == 0 else "urn:t") for n in range(300)])
    return batch


async def found(pages: Pages, where: dict[str, Any], offset: int) -> list[str]:
    rows = await pages.find("", where, None, limit=5, offset=offset, times=False)
    return [row["_id"] for row in rows]


async def truth(store: Store, where: dict[str, Any]) -> list[str]:
    return [row["_id"] async for row in store.databases.of("")["entities"].find(where).sort("_id", 1)]


@pytest.mark.parametrize("where", [{}, {"keys": "urn:t"}, {"keys": {"$in": ["urn:t", "urn:u"]}}])
@pytest.mark.parametrize("shared", [False, True])
async def test_jumps_are_right_while_entities_come_and_go(
    store: Store, monkeypatch: pytest.MonkeyPatch, where: dict[str, Any], shared: bool
) -> None:
    """A page at any offset has what counting off finds, between writes and beside the making of surveys."""
    monkeypatch.setattr(positions, "STRIDE", 16)
    monkeypatch.setattr(module, "STRIDE", 16)
    pages = Pages(store.databases, shared=shared)
    batch = await filled(store, pages)
    for step in range(40):
        offset = ORDER.randrange(16, 310) if step % 4 else 0
        monkeypatch.setattr(pages, "_bookmarks", Bookmarks())  # a turned page may differ: it stays where it was
        expected = await truth(store, where)
        assert await found(pages, where, offset) == expected[offset : offset + 5]
        new = f"urn:{ORDER.randrange(300):04d}x{step}"
        await asyncio.gather(batch.create("", [entity(new)]), batch.delete("", [ORDER.choice(expected)]))
    await pages.close()


async def test_a_survey_is_given_up_when_another_process_writes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where several processes write, an entity that another one made moves the pages that follow it."""
    monkeypatch.setattr(positions, "STRIDE", 16)
    monkeypatch.setattr(module, "STRIDE", 16)
    pages = Pages(store.databases, shared=True)
    batch = await filled(store, pages)
    await found(pages, {}, 0)
    await asyncio.sleep(0.2)
    assert await found(pages, {}, 200) == [f"urn:{n:04d}" for n in range(200, 205)]
    store.committer.listener = None
    await batch.create("", [entity("urn:0000x")])
    assert await found(pages, {}, 220) == [f"urn:{n:04d}" for n in range(219, 224)]
    await pages.close()


async def test_the_last_page_is_found_again_by_its_bookmark(store: Store) -> None:
    """A jump leaves a bookmark for the page it led to, however short that page is."""
    pages = Pages(store.databases, shared=False)
    batch = await filled(store, pages)
    where = {"keys": {"$in": ["urn:t", "urn:u"]}}
    assert await found(pages, where, 297) == ["urn:0297", "urn:0298", "urn:0299"]
    await batch.create("", [entity("urn:0000x")])
    assert await found(pages, where, 297) == ["urn:0297", "urn:0298", "urn:0299"]


async def test_surveys_are_there_before_anybody_jumps(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start, and after many entities came, the types with many entities are surveyed without being asked for."""
    monkeypatch.setattr(positions, "STRIDE", 16)
    monkeypatch.setattr(module, "STRIDE", 16)
    monkeypatch.setattr(module, "MANY_CREATED", 64)
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.05)
    await filled(store, Pages(store.databases, shared=False))
    pages = Pages(store.databases, shared=False)
    running = asyncio.create_task(pages.run())
    batch = Batch(store.committer)
    store.committer.listener = pages
    await asyncio.sleep(0.5)
    assert set(pages._surveys) == {("", None), ("", "urn:t"), ("", "urn:u")}
    await batch.create("", [entity(f"urn:v:{n:04d}", "urn:v") for n in range(160)])
    await asyncio.sleep(0.5)
    assert ("", "urn:v") in pages._surveys
    running.cancel()
    await pages.close()


async def test_surveys_are_looked_after_again_once_half_as_many_entities_came(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A survey goes through all entities, so that the more there are the fewer surveys an influx brings about."""
    monkeypatch.setattr(module, "MANY_CREATED", 16)
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.05)
    pages = Pages(store.databases, shared=False)
    looked: list[str] = []
    survey_types = pages._survey_types

    async def looking(tenant: str) -> None:
        await survey_types(tenant)
        looked.append(tenant)

    monkeypatch.setattr(pages, "_survey_types", looking)
    batch = await filled(store, pages)
    running = asyncio.create_task(pages.run())
    await asyncio.sleep(0.3)
    looked.clear()
    total = await store.databases.of("")["entities"].count_documents({})
    await batch.create("", [entity(f"urn:w:{n:04d}", "urn:w") for n in range(total // 2 - 1)])
    await asyncio.sleep(0.3)
    assert looked == []
    await batch.create("", [entity("urn:w:last", "urn:w")])
    await asyncio.sleep(0.3)
    assert looked == [""]
    running.cancel()
    await pages.close()


@pytest.mark.parametrize("order", [{"_id": -1}, {"created": -1, "_id": 1}, {"modified": 1, "created": -1, "_id": 1}])
async def test_pages_in_another_order_are_right_to_the_end(
    store: Store, monkeypatch: pytest.MonkeyPatch, order: dict[str, int]
) -> None:
    """Pages of the second half, counted off from the end, are those of the whole list; beyond it they are empty."""
    monkeypatch.setattr(module, "FAR", 1)
    pages = Pages(store.databases, shared=False)
    await filled(store, pages)
    where = {"keys": "urn:t"}
    rows = store.databases.of("")["entities"].find(where).sort(list(order.items()))
    whole = [row["_id"] async for row in rows]
    for offset in (0, 1, 99, 100, 101, 150, 194, 196, 199, 200, 250):
        page = await pages.find("", where, order, limit=5, offset=offset, times=False)
        assert [row["_id"] for row in page] == whole[offset : offset + 5]
