"""What an NGSI-LD operation does to entities (5.6.1–5.6.6, 5.6.17–5.6.19, 5.6.21, 5.7.1, 5.7.2), apart from HTTP.

Tenant names are plain strings, "" is the default tenant. Attribute names are stored names (`schemas.entity`).
Every write is committed with its log record before the call returns (`storage.writes.Writer`).
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Protocol

from tsunagu.broker.errors import NgsiError, ResourceNotFound
from tsunagu.broker.operations import patch
from tsunagu.broker.storage.writes import Write

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from tsunagu.broker.changes import Document
    from tsunagu.broker.operations.patch import UpdateResult
    from tsunagu.broker.query.ast import EntityQuery
    from tsunagu.broker.storage.reads import Page, Reader
    from tsunagu.broker.storage.writes import Outcome, Writer
    from tsunagu.schemas.entity import Expanded, Instance

PURGE_CHUNK = 1000


class Entities:
    """Operations on the entities of a tenant. All raise NgsiError subclasses, Unavailable among them."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def create(self, tenant: str, entity: Expanded) -> None:
        """Create an entity (5.6.1). Raises AlreadyExists."""
        await self._writer.submit(tenant, Write(entity["id"], lambda before, now: patch.create(before, entity, now)))

    async def retrieve(self, tenant: str, entity_id: str, *, times: bool = True) -> Document:
        """Return an entity's document (5.7.1), which nobody may alter. Raises ResourceNotFound."""
        document = await self._reader.get(tenant, entity_id, times=times)
        if document is None:
            raise ResourceNotFound(f"there is no entity {entity_id}")
        return document

    async def retrieve_many(self, tenant: str, ids: Sequence[str]) -> list[Document]:
        """Return the documents that exist of these ids (linked entities, 4.5.23)."""
        return await self._reader.get_many(tenant, ids)

    async def query(
        self, tenant: str, query: EntityQuery, *, limit: int, offset: int = 0, count: bool = False, times: bool = True
    ) -> Page:
        """Return one page of the entities that match (5.7.2)."""
        return await self._reader.query(tenant, query, limit=limit, offset=offset, count=count, times=times)

    def stream(self, tenant: str, query: EntityQuery) -> AsyncIterator[Document]:
        """Yield all entities that match, by id."""
        return self._reader.stream(tenant, query)

    async def append(
        self, tenant: str, entity_id: str, fragment: Expanded, *, overwrite: bool = True, if_match: int | None = None
    ) -> UpdateResult:
        """Append attributes (5.6.3). Raises ResourceNotFound, PreconditionFailed."""

        def apply(before: Document | None, now: int) -> Outcome:
            return patch.append(before, entity_id, fragment, now, overwrite=overwrite, if_match=if_match)

        result: UpdateResult = await self._writer.submit(tenant, Write(entity_id, apply))
        return result

    async def update(
        self, tenant: str, entity_id: str, fragment: Expanded, *, if_match: int | None = None
    ) -> UpdateResult:
        """Update attributes (5.6.2). Raises ResourceNotFound, PreconditionFailed."""

        def apply(before: Document | None, now: int) -> Outcome:
            return patch.update(before, entity_id, fragment, now, if_match=if_match)

        result: UpdateResult = await self._writer.submit(tenant, Write(entity_id, apply))
        return result

    async def merge(
        self,
        tenant: str,
        entity_id: str,
        fragment: Expanded,
        *,
        observed_at: str | None = None,
        lang: str | None = None,
        if_match: int | None = None,
    ) -> UpdateResult:
        """Merge a fragment into an entity (5.6.17). Raises ResourceNotFound, PreconditionFailed."""

        def apply(before: Document | None, now: int) -> Outcome:
            return patch.merge(before, entity_id, fragment, now, observed_at=observed_at, lang=lang, if_match=if_match)

        result: UpdateResult = await self._writer.submit(tenant, Write(entity_id, apply))
        return result

    async def replace(self, tenant: str, entity_id: str, entity: Expanded, *, if_match: int | None = None) -> None:
        """Replace an entity whole (5.6.18). Raises ResourceNotFound, PreconditionFailed."""

        def apply(before: Document | None, now: int) -> Outcome:
            return patch.replace(before, entity_id, entity, now, if_match=if_match)

        await self._writer.submit(tenant, Write(entity_id, apply))

    async def partial_update(
        self,
        tenant: str,
        entity_id: str,
        attribute: str,
        value: Instance | list[Instance],
        *,
        if_match: int | None = None,
    ) -> None:
        """Update members of one attribute (5.6.4). Raises ResourceNotFound, BadRequestData, PreconditionFailed."""

        def apply(before: Document | None, now: int) -> Outcome:
            return patch.partial_update(before, entity_id, attribute, value, now, if_match=if_match)

        await self._writer.submit(tenant, Write(entity_id, apply))

    async def replace_attribute(
        self,
        tenant: str,
        entity_id: str,
        attribute: str,
        value: Instance | list[Instance],
        *,
        if_match: int | None = None,
    ) -> None:
        """Replace one attribute (5.6.19). Raises ResourceNotFound, PreconditionFailed."""

        def apply(before: Document | None, now: int) -> Outcome:
            return patch.replace_attribute(before, entity_id, attribute, value, now, if_match=if_match)

        await self._writer.submit(tenant, Write(entity_id, apply))

    async def delete_attribute(
        self,
        tenant: str,
        entity_id: str,
        attribute: str,
        *,
        dataset_id: str | None = None,
        delete_all: bool = False,
        if_match: int | None = None,
    ) -> None:
        """Delete an attribute (5.6.5); "scope" is one, too. Raises ResourceNotFound, PreconditionFailed."""

        def apply(before: Document | None, now: int) -> Outcome:
            return patch.delete_attribute(
                before, entity_id, attribute, now, dataset_id=dataset_id, delete_all=delete_all, if_match=if_match
            )

        await self._writer.submit(tenant, Write(entity_id, apply))

    async def delete(self, tenant: str, entity_id: str, *, if_match: int | None = None) -> None:
        """Delete an entity (5.6.6). Raises ResourceNotFound, PreconditionFailed."""
        await self._writer.submit(
            tenant, Write(entity_id, lambda before, _: patch.delete(before, entity_id, if_match=if_match))
        )

    async def purge(
        self,
        tenant: str,
        query: EntityQuery,
        *,
        keep: Collection[str] | None = None,
        drop: Collection[str] | None = None,
    ) -> list[tuple[str, NgsiError]]:
        """Delete the entities that match, or only attributes of them (5.6.21); return what failed, by entity id."""
        failed: list[tuple[str, NgsiError]] = []
        ids = [document["_id"] async for document in self._reader.stream(tenant, query)]
        apply = partial(_purge_one, keep=keep, drop=drop)
        for start in range(0, len(ids), PURGE_CHUNK):
            chunk = ids[start : start + PURGE_CHUNK]
            answers = await self._writer.submit_all(tenant, [Write(entity_id, apply) for entity_id in chunk])
            failed += [
                (entity_id, answer)
                for entity_id, answer in zip(chunk, answers, strict=True)
                if isinstance(answer, NgsiError)
            ]
        return failed


def _purge_one(
    before: Document | None, now: int, *, keep: Collection[str] | None, drop: Collection[str] | None
) -> Outcome:
    return patch.purge(before, now, keep=keep, drop=drop)


class Due(Protocol):
    """The side of the store that knows what has expired."""

    def due(self, now: int) -> AsyncIterator[tuple[str, list[str]]]:
        """Yield (tenant, ids of entities that have expired or have attributes that have), some at a time."""


class Sweeper:
    """Deletes what has expired (4.22), every `period` seconds, through the same log as every other change."""

    def __init__(self, writer: Writer, store: Due, *, period: float = 1.0) -> None:
        self._writer = writer
        self._store = store
        self._period = period

    async def run(self) -> None:
        """Sweep until cancelled; a store that is away is asked again at the next turn."""
        while True:
            await asyncio.sleep(self._period)
            try:
                async for tenant, ids in self._store.due(time.time_ns() // 1_000_000):
                    await self._writer.submit_all(tenant, [Write(entity_id, patch.expire) for entity_id in ids])
            except NgsiError:
                continue
