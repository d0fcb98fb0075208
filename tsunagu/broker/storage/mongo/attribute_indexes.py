"""Indexes that an operator declares on the values of an attribute of one entity type.

A declaration is an entry of the catalogue: {"type": IRI, "attribute": stored name, "members": [value members]}. The
index itself is partial (only entities of the type), one for each value member that the attribute is stored with
("value" for a Property, "object" for a Relationship …). Queries are told these members, so that they ask for no others
and the index serves them; a write that brings a new one first widens the declaration.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING

from tsunagu.broker.errors import ResourceNotFound
from tsunagu.broker.storage.mongo.faults import translated
from tsunagu.broker.storage.mongo.indexes import ENTITIES
from tsunagu.broker.storage.mongo.keys import KEYS
from tsunagu.schemas.entity import instances
from tsunagu.schemas.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tsunagu.broker.changes import Change
    from tsunagu.broker.storage.catalogue import Announcement, Catalogue, Entry
    from tsunagu.broker.storage.mongo.client import Database, Databases

KIND = "attribute_indexes"
NONE: dict[str, frozenset[str]] = {}


def index_id(type_iri: str, attribute: str) -> str:
    """Return the id of a declaration."""
    return hashlib.sha256(f"{type_iri} {attribute}".encode()).hexdigest()[:16]


def index_name(declaration: str, member: str) -> str:
    """Return the name of the index on one value member."""
    return f"attribute_{declaration}.{member}"


async def build(database: Database, entry: Entry) -> None:
    """Create the indexes of a declaration; those that are there stay. Raises PyMongoError."""
    declaration = index_id(entry["type"], entry["attribute"])
    for member in entry["members"]:
        await database[ENTITIES].create_index(
            [(f"attrs.{entry['attribute']}.{member}", ASCENDING), ("_id", ASCENDING)],
            name=index_name(declaration, member),
            partialFilterExpression={KEYS: entry["type"]},
        )


class AttributeIndexes:
    """The declarations of all tenants, kept in memory and followed; `load` once before use."""

    def __init__(self, databases: Databases, catalogue: Catalogue) -> None:
        self._databases = databases
        self._catalogue = catalogue
        self._members: dict[str, dict[str, frozenset[str]]] = {}
        self._stale: set[str] | None = set()

    async def load(self) -> None:
        """Read all declarations, and hear of those of other processes from now on."""
        self._catalogue.watch(frozenset({KIND}), self._heard)
        for tenant in await self._catalogue.tenants():
            await self._read(tenant)

    def _heard(self, announcement: Announcement) -> None:
        if announcement.deed == "unknown":
            self._stale = None
        elif self._stale is not None:
            self._stale.add(announcement.tenant)

    async def members(self, tenant: str) -> Mapping[str, frozenset[str]]:
        """Return for each attribute with an index the value members that it is stored with."""
        if self._stale is None:
            self._stale = set(await self._catalogue.tenants())
        if tenant in self._stale:
            self._stale.discard(tenant)
            await self._read(tenant)
        return self._members.get(tenant, NONE)

    async def _read(self, tenant: str) -> None:
        found: dict[str, frozenset[str]] = {}
        for entry in await self._catalogue.find(tenant, KIND):
            found[entry["attribute"]] = found.get(entry["attribute"], frozenset()) | frozenset(entry["members"])
        self._members[tenant] = found

    async def add(self, tenant: str, type_iri: str, attribute: str) -> Entry:
        """Declare an index, or widen one to the members that are stored now; returns the declaration."""
        database = await self._databases.ready(tenant)
        pipeline: list[dict[str, Any]] = [
            {"$match": {"attrs." + attribute: {"$exists": True}}},
            {"$group": {"_id": f"$attrs.{attribute}.type"}},
        ]
        with translated():
            rows = await (await database[ENTITIES].aggregate(pipeline)).to_list(None)
        kinds = {kind for row in rows for kind in (row["_id"] if isinstance(row["_id"], list) else [row["_id"]])}
        members = sorted({KINDS[kind].member for kind in kinds if kind in KINDS} or {"value"})
        entry: Entry = {"type": type_iri, "attribute": attribute, "members": members}
        with translated():
            await build(database, entry)
        await self._catalogue.replace(tenant, KIND, index_id(type_iri, attribute), entry)
        await self._read(tenant)
        return entry

    async def drop(self, tenant: str, type_iri: str, attribute: str) -> None:
        """Remove an index and its declaration. Raises ResourceNotFound."""
        declaration = index_id(type_iri, attribute)
        entry = await self._catalogue.get(tenant, KIND, declaration)
        if entry is None:
            raise ResourceNotFound(f"there is no index on attribute {attribute} of type {type_iri}")
        await self._catalogue.delete(tenant, KIND, declaration)
        entities = self._databases.of(tenant)[ENTITIES]
        with translated():
            for member in entry["members"]:
                await entities.drop_index(index_name(declaration, member))
        await self._read(tenant)

    async def declared(self, tenant: str) -> list[Entry]:
        """Return all declarations."""
        return await self._catalogue.find(tenant, KIND)

    def lacking(self, tenant: str, changes: Iterable[Change]) -> dict[str, set[str]]:
        """Return by attribute the value members that changes bring and that its declaration does not know yet."""
        known = self._members.get(tenant)
        if not known:
            return {}
        found: dict[str, set[str]] = {}
        for change in changes:
            if change.after is None:
                continue
            for touch in change.touched:
                members, value = known.get(touch.attribute), change.after["attrs"].get(touch.attribute)
                if members is None or value is None:
                    continue
                new = {KINDS[one["type"]].member for one in instances(value)} - members
                if new:
                    found.setdefault(touch.attribute, set()).update(new)
        return found

    async def widen(self, tenant: str, lacking: Mapping[str, set[str]]) -> None:
        """Add value members to declarations, before the changes that bring them are committed."""
        for attribute, members in lacking.items():
            for entry in await self._catalogue.find(tenant, KIND, {"attribute": attribute}):
                wider: Entry = {**entry, "members": sorted({*entry["members"], *members})}
                await self._catalogue.replace(tenant, KIND, index_id(entry["type"], attribute), wider)
                with translated():
                    await build(self._databases.of(tenant), wider)
        await self._read(tenant)
