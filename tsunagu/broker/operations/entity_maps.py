"""Entity maps: the set of entities that a sequence of requests looks at, fixed when it begins.

ETSI GS CIM 009 v1.9.1: 4.5.25, 5.2.39, 5.5.9.3, 5.5.14, 5.14.1-5.14.4. The catalogue keeps an entry
{"id": URI, "expires": epoch ms, "entities": [entity id, ...]}; a client sees the EntityMap of 5.2.39. All entities are
held here, so that each maps to ["@none"] and there are no linked maps.
"""

from __future__ import annotations

from dataclasses import replace
from time import time_ns
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tsunagu.broker.errors import BadRequestData, ResourceNotFound, TooManyResults
from tsunagu.schemas.ids import is_uri
from tsunagu.schemas.times import format_ms, parse_ms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tsunagu.broker.operations.entities import Entities
    from tsunagu.broker.query.ast import EntityQuery
    from tsunagu.broker.storage.catalogue import Catalogue, Entry
    from tsunagu.broker.storage.reads import Page

KIND = "entity_maps"
PREFIX = "urn:ngsi-ld:entitymap:"
DEFAULT_LIFETIME = 60 * 60 * 1000
LONGEST_LIFETIME = 24 * 60 * 60 * 1000
LARGEST = 100_000


def now_ms() -> int:
    """Return the time, epoch milliseconds."""
    return time_ns() // 1_000_000


def entity_map(entry: Entry) -> dict[str, Any]:
    """Return the EntityMap of 5.2.39 for a catalogue entry."""
    return {
        "id": entry["id"],
        "type": "EntityMap",
        "expiresAt": format_ms(entry["expires"]),
        "entityMap": {entity: ["@none"] for entity in entry["entities"]},
        "linkedMaps": {},
    }


class EntityMaps:
    """The operations on entity maps, and queries over them."""

    def __init__(self, catalogue: Catalogue, entities: Entities) -> None:
        self._catalogue = catalogue
        self._entities = entities

    async def create(self, tenant: str, query: EntityQuery, *, lifetime: int | None = None) -> Entry:
        """Make a map of the entities that a query matches (5.14.4); `lifetime` is the wish, in milliseconds.

        Raises TooManyResults when it would hold more than LARGEST entities.
        """
        return await self._keep(tenant, await self._matching(tenant, query), lifetime)

    async def create_of(self, tenant: str, entity_id: str, *, lifetime: int | None = None) -> Entry:
        """Make a map of one entity (5.7.1.4)."""
        return await self._keep(tenant, [entity_id], lifetime)

    async def create_of_ids(self, tenant: str, ids: AsyncIterator[str], *, lifetime: int | None = None) -> Entry:
        """Make a map of the entities with these ids (5.14.5). Raises TooManyResults as `create` does."""
        return await self._keep(tenant, await _all_of(ids), lifetime)

    async def find(self, tenant: str, map_id: str) -> Entry | None:
        """Return the entry of a map, None if there is none or it has expired."""
        entry = await self._catalogue.get(tenant, KIND, map_id)
        return None if entry is None or entry["expires"] <= now_ms() else entry

    async def retrieve(self, tenant: str, map_id: str) -> dict[str, Any]:
        """Return a map (5.14.1). Raises BadRequestData if the id is not a URI, ResourceNotFound."""
        return entity_map(await self._known(tenant, map_id))

    async def update(self, tenant: str, map_id: str, fragment: dict[str, Any]) -> None:
        """Set the expiry of a map; other members are output only or fixed (5.14.2).

        Raises BadRequestData, ResourceNotFound.
        """
        entry = await self._known(tenant, map_id)
        if fragment.get("type", "EntityMap") != "EntityMap":
            raise BadRequestData("type: it is EntityMap")
        if fragment.get("id", map_id) != map_id:
            raise BadRequestData(f"id: it is {map_id}, as in the path")
        if "expiresAt" not in fragment:
            return
        try:
            wish = parse_ms(fragment["expiresAt"])
        except ValueError as error:
            raise BadRequestData(f"expiresAt: {error}") from None
        entry["expires"] = min(wish, now_ms() + LONGEST_LIFETIME)
        await self._catalogue.replace(tenant, KIND, map_id, entry)

    async def delete(self, tenant: str, map_id: str) -> None:
        """Remove a map (5.14.3). Raises BadRequestData, ResourceNotFound."""
        await self._known(tenant, map_id)
        await self._catalogue.delete(tenant, KIND, map_id)

    async def query(self, tenant: str, entry: Entry, query: EntityQuery, *, limit: int, offset: int) -> Page:
        """Return a page of the map's entities that still match the query; those that do not leave the map (5.5.9.3).

        The page's count is always given.
        """
        wanted = None if query.ids is None else frozenset(query.ids)
        ids = tuple(one for one in entry["entities"] if wanted is None or one in wanted)
        narrowed = replace(query, ids=ids)
        page = await self._entities.query(tenant, narrowed, limit=limit, offset=offset, count=True)
        if wanted is None and page.count is not None and page.count < len(ids):
            entry["entities"] = await self._matching(tenant, narrowed)
            await self._catalogue.replace(tenant, KIND, entry["id"], entry)
        return page

    async def _matching(self, tenant: str, query: EntityQuery) -> list[str]:
        """Return the ids of all entities that a query matches."""
        return await _all_of(document["_id"] async for document in self._entities.stream(tenant, query))

    async def _keep(self, tenant: str, ids: list[str], lifetime: int | None) -> Entry:
        """Store a new map, after clearing away some that have expired."""
        now = now_ms()
        for old in await self._catalogue.find(tenant, KIND, {"expires": {"$lt": now}}, limit=20):
            await self._catalogue.delete(tenant, KIND, old["id"])
        span = min(DEFAULT_LIFETIME if lifetime is None else lifetime, LONGEST_LIFETIME)
        entry: Entry = {"id": f"{PREFIX}{uuid4()}", "expires": now + span, "entities": ids}
        await self._catalogue.insert(tenant, KIND, entry["id"], entry)
        return entry

    async def _known(self, tenant: str, map_id: str) -> Entry:
        """Return the entry of a map. Raises BadRequestData if the id is not a URI, ResourceNotFound."""
        if not is_uri(map_id):
            raise BadRequestData(f"{map_id!r} is not a URI; an entity map is named by its URI")
        entry = await self.find(tenant, map_id)
        if entry is None:
            raise ResourceNotFound(f"there is no entity map {map_id}, or it has expired")
        return entry


async def _all_of(ids: AsyncIterator[str]) -> list[str]:
    """Return all ids. Raises TooManyResults when they are more than LARGEST."""
    found: list[str] = []
    async for entity_id in ids:
        found.append(entity_id)
        if len(found) > LARGEST:
            raise TooManyResults(f"the entity map would hold more than {LARGEST} entities; narrow the query")
    return found
