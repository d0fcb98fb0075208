"""The read side of the store, as the operations see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tsunagu.broker.changes import Document
    from tsunagu.broker.query.ast import EntityQuery


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a query's result: the documents, and the number of all that match if it was asked for."""

    documents: list[Document]
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """That entities of a type have an attribute: stored attribute name, kinds seen, and in how many entities."""

    type: str
    attribute: str
    kinds: tuple[str, ...]
    entities: int


class Reader(Protocol):
    """Reads entities. Documents that it returns may be shared between callers: nobody may alter them."""

    async def get(self, tenant: str, entity_id: str, *, times: bool = True) -> Document | None:
        """Return one document, None if there is none; without `times` it may lack "sys", "created" and "modified"."""

    async def get_many(self, tenant: str, ids: Sequence[str]) -> list[Document]:
        """Return the documents that exist of these ids, in no particular order."""

    async def query(
        self, tenant: str, query: EntityQuery, *, limit: int, offset: int = 0, count: bool = False, times: bool = True
    ) -> Page:
        """Return the documents that match, in the query's order (by id if it has none); limit 0 only counts."""

    def stream(self, tenant: str, query: EntityQuery) -> AsyncIterator[Document]:
        """Yield every document that matches, in the order of ids."""

    async def type_names(self, tenant: str) -> list[str]:
        """Return the entity types (IRIs) of which entities exist."""

    async def count_of_type(self, tenant: str, type_iri: str) -> int:
        """Return how many entities of a type exist."""

    async def usage(self, tenant: str, *, type_iri: str | None = None, attribute: str | None = None) -> list[Usage]:
        """Return which attributes entities have, by type; of one type or one attribute only if it is given."""

    async def attribute_count(self, tenant: str, attribute: str) -> int:
        """Return how many instances of an attribute exist, over all entities."""
