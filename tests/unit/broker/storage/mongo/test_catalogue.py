"""The catalogue against a real MongoDB: what is removed without a word."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.unit.subscriptions.rig import settings_for
from tsunagu.broker.storage.mongo.catalogue import MongoCatalogue
from tsunagu.broker.storage.mongo.client import Databases

if TYPE_CHECKING:
    from tsunagu.broker.storage.catalogue import Announcement


async def test_entries_are_discarded_without_an_announcement(mongo_uri: str) -> None:
    """Those that are named, and no others; what was not there is not counted."""
    databases = Databases(settings_for(mongo_uri, "catalogue_discard"))
    catalogue = MongoCatalogue(databases)
    heard: list[Announcement] = []
    try:
        await databases.ready("")
        await catalogue.start()
        catalogue.watch(frozenset(("papers", "ends")), heard.append)
        for number in range(5):
            await catalogue.insert("", "papers", f"p{number}", {"id": f"p{number}"})
        assert await catalogue.discard("", "papers", ["p1", "p3", "none"]) == 2
        assert await catalogue.discard("", "papers", []) == 0
        assert [one["id"] for one in await catalogue.find("", "papers")] == ["p0", "p2", "p4"]
        await catalogue.insert("", "ends", "end", {"id": "end"})
        async with asyncio.timeout(20):
            while not any(one.kind == "ends" for one in heard):
                await asyncio.sleep(0.02)
        assert {one.deed for one in heard} <= {"inserted", "unknown"}
    finally:
        await catalogue.close()
        await databases.client.drop_database(databases.of("").name)
        await databases.close()
