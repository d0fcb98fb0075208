"""Batch operations (5.6.7–5.6.10, 5.6.20): every element stands or falls alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from tsunagu.broker.errors import BadRequestData, NgsiError
from tsunagu.broker.operations import patch
from tsunagu.broker.operations.patch import UpdateResult
from tsunagu.broker.storage.writes import Outcome, Write
from tsunagu.schemas.entity import iri_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tsunagu.broker.changes import Document
    from tsunagu.broker.storage.writes import Writer
    from tsunagu.schemas.entity import Expanded

Step = Callable[["Expanded", "Document | None", int], Outcome]


@dataclass(slots=True)
class BatchResult:
    """What became of a batch (5.2.16): ids that succeeded, those of them that are new, (id, error) of the others."""

    success: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    errors: list[tuple[str, NgsiError]] = field(default_factory=list)


class Batch:
    """Batch operations on the entities of a tenant; elements with one id are applied in their order (5.5.11)."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def create(self, tenant: str, entities: Sequence[Expanded]) -> BatchResult:
        """Create entities (5.6.7)."""
        return await self._run(tenant, entities, _create)

    async def upsert(
        self, tenant: str, entities: Sequence[Expanded], *, update: bool = False, receipts: Sequence[str] | None = None
    ) -> BatchResult:
        """Create entities, or replace those that are there; with `update` their attributes are updated (5.6.8).

        An element without type only updates: it is an error where there is no such entity. None has an NGSI-LD Null.
        An element whose receipt is known already counts as a success and does nothing.
        """
        return await self._run(tenant, entities, _upsert_update if update else _upsert_replace, receipts)

    async def update(self, tenant: str, entities: Sequence[Expanded], *, overwrite: bool = True) -> BatchResult:
        """Append attributes to entities, overwriting or not (5.6.9)."""
        return await self._run(tenant, entities, _update if overwrite else _append)

    async def merge(
        self, tenant: str, entities: Sequence[Expanded], *, observed_at: str | None = None, lang: str | None = None
    ) -> BatchResult:
        """Merge fragments into entities (5.6.20)."""
        return await self._run(tenant, entities, partial(_merge, observed_at=observed_at, lang=lang))

    async def delete(self, tenant: str, ids: Sequence[str]) -> BatchResult:
        """Delete entities by id (5.6.10)."""
        return await self._run(tenant, [{"id": one} for one in ids], _delete)

    async def _run(
        self, tenant: str, entities: Sequence[Expanded], step: Step, receipts: Sequence[str] | None = None
    ) -> BatchResult:
        result = BatchResult()
        writes = [Write(entity["id"], partial(step, entity)) for entity in entities]
        if receipts is not None:
            for write, receipt in zip(writes, receipts, strict=True):
                write.receipt = receipt
        answers = await self._writer.submit_all(tenant, writes)
        for entity, answer in zip(entities, answers, strict=True):
            if isinstance(answer, NgsiError):
                result.errors.append((entity["id"], answer))
                continue
            if isinstance(answer, UpdateResult) and any(name != "scope" for name, _ in answer.not_updated):
                result.errors.append((entity["id"], _partly(answer)))
                continue
            result.success.append(entity["id"])
            if answer is CREATED:
                result.created.append(entity["id"])
        return result


CREATED = object()


def _partly(answer: UpdateResult) -> BadRequestData:
    """Return the error for an element of which not everything could be done."""
    reasons = "; ".join(f"{iri_of(name)}: {reason}" for name, reason in answer.not_updated)
    return BadRequestData(f"not updated: {reasons}")


def _create(entity: Expanded, before: Document | None, now: int) -> Outcome:
    outcome = patch.create(before, entity, now)
    outcome.answer = CREATED
    return outcome


def _upsert_replace(entity: Expanded, before: Document | None, now: int) -> Outcome:
    return _create(entity, None, now) if before is None else patch.replace(before, entity["id"], entity, now)


def _upsert_update(entity: Expanded, before: Document | None, now: int) -> Outcome:
    if before is not None:
        return patch.update(before, entity["id"], entity, now, nulls=False)
    if "type" not in entity:
        raise BadRequestData(f"type: a new entity needs a type, and there is no entity {entity['id']} to update")
    return _create(entity, None, now)


def _update(entity: Expanded, before: Document | None, now: int) -> Outcome:
    return patch.update(before, entity["id"], entity, now)


def _append(entity: Expanded, before: Document | None, now: int) -> Outcome:
    return patch.append(before, entity["id"], entity, now, overwrite=False)


def _merge(
    entity: Expanded, before: Document | None, now: int, *, observed_at: str | None, lang: str | None
) -> Outcome:
    return patch.merge(before, entity["id"], entity, now, observed_at=observed_at, lang=lang)


def _delete(entity: Expanded, before: Document | None, _: int) -> Outcome:
    return patch.delete(before, entity["id"])
