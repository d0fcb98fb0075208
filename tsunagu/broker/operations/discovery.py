"""Which entity types and attributes there are (5.7.5–5.7.10). Names are IRIs; the HTTP layer compacts them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tsunagu.broker.errors import ResourceNotFound
from tsunagu.schemas.entity import iri_of, stored_name

if TYPE_CHECKING:
    from tsunagu.broker.storage.reads import Reader


@dataclass(frozen=True, slots=True)
class TypeDetails:
    """An entity type with the attributes that its entities have, each with its kinds; `entities` how many there are."""

    iri: str
    attributes: dict[str, tuple[str, ...]]
    entities: int | None = None


@dataclass(frozen=True, slots=True)
class AttributeDetails:
    """An attribute with the entity types that have it, its kinds, and how many instances there are."""

    iri: str
    types: tuple[str, ...]
    kinds: tuple[str, ...] = ()
    instances: int | None = None


class Discovery:
    """What the broker holds, by type and by attribute."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def types(self, tenant: str) -> list[str]:
        """Return the IRIs of all entity types (5.7.5)."""
        return await self._reader.type_names(tenant)

    async def type_details(self, tenant: str) -> list[TypeDetails]:
        """Return all entity types with their attributes (5.7.6)."""
        found: dict[str, dict[str, tuple[str, ...]]] = {one: {} for one in await self._reader.type_names(tenant)}
        for row in await self._reader.usage(tenant):
            found.setdefault(row.type, {})[iri_of(row.attribute)] = row.kinds
        return [TypeDetails(iri, attributes) for iri, attributes in sorted(found.items())]

    async def type_information(self, tenant: str, type_iri: str) -> TypeDetails:
        """Return one entity type with attributes, kinds and count (5.7.7). Raises ResourceNotFound."""
        entities = await self._reader.count_of_type(tenant, type_iri)
        if not entities:
            raise ResourceNotFound(f"there is no entity of type {type_iri}")
        rows = await self._reader.usage(tenant, type_iri=type_iri)
        return TypeDetails(type_iri, {iri_of(row.attribute): row.kinds for row in rows}, entities)

    async def attributes(self, tenant: str) -> list[str]:
        """Return the IRIs of all attributes (5.7.8)."""
        return sorted({iri_of(row.attribute) for row in await self._reader.usage(tenant)})

    async def attribute_details(self, tenant: str) -> list[AttributeDetails]:
        """Return all attributes with the types that have them (5.7.9)."""
        types: dict[str, list[str]] = {}
        for row in await self._reader.usage(tenant):
            types.setdefault(iri_of(row.attribute), []).append(row.type)
        return [AttributeDetails(iri, tuple(names)) for iri, names in sorted(types.items())]

    async def attribute_information(self, tenant: str, iri: str) -> AttributeDetails:
        """Return one attribute with types, kinds and count (5.7.10). Raises ResourceNotFound."""
        name = stored_name(iri)
        rows = await self._reader.usage(tenant, attribute=name)
        if not rows:
            raise ResourceNotFound(f"no entity has an attribute {iri}")
        kinds = tuple(dict.fromkeys(kind for row in rows for kind in row.kinds))
        return AttributeDetails(
            iri, tuple(row.type for row in rows), kinds, await self._reader.attribute_count(tenant, name)
        )
