"""Providing temporal evolutions (5.6.11 to 5.6.16), apart from HTTP; docs/decisions/0020 tells how."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tsunagu.broker.errors import ResourceNotFound
from tsunagu.broker.operations.evolution import correct_current, tell, times_of
from tsunagu.broker.storage.writes import Write
from tsunagu.schemas.entity import iri_of
from tsunagu.schemas.times import parse_ms

AT_ONCE = 1000

if TYPE_CHECKING:
    from tsunagu.broker.changes import Document
    from tsunagu.broker.storage.history import Amendments, History
    from tsunagu.broker.storage.writes import Outcome, Writer
    from tsunagu.schemas.entity import Expanded, Instance


@dataclass(frozen=True, slots=True)
class Again:
    """An instance that is told of a time of which the history has one already; `differs`: another one."""

    attribute: str
    instance: Instance
    deleted: int | None
    fact_id: str
    differs: bool


class TemporalProvision:
    """Operations that write temporal evolutions. Each raises ResourceNotFound for what is not there, and Unavailable.

    Evolutions are in the form of `jsonld.evolution`, names are stored names.
    """

    def __init__(self, writer: Writer, history: History, amendments: Amendments) -> None:
        self._writer = writer
        self._history = history
        self._amendments = amendments

    async def upsert(self, tenant: str, evolution: Expanded) -> bool:
        """Create an evolution, or add what is told to the one that is there (5.6.11); tell whether it is new."""
        known = await self._history.exists(tenant, evolution["id"])
        await self._tell(tenant, evolution["id"], evolution, known=known)
        return not known

    async def add(self, tenant: str, entity_id: str, evolution: Expanded) -> None:
        """Add instances to an evolution (5.6.12)."""
        if not await self._history.exists(tenant, entity_id):
            raise _unknown(entity_id)
        await self._tell(tenant, entity_id, evolution, known=True)

    async def _tell(self, tenant: str, entity_id: str, evolution: Expanded, *, known: bool) -> None:
        """Tell an evolution; an instance of a time that is there already is corrected, so that twice is once."""
        again: list[Again] = []
        if known:
            again = await self._known_already(tenant, entity_id, evolution)
            known_ids = {id(told.instance) for told in again}
            left = {
                name: [one for one in told if id(one[0]) not in known_ids] for name, told in evolution["attrs"].items()
            }
            evolution = {**evolution, "attrs": left}
            for told in again:
                if told.differs:
                    await self.modify_instance(
                        tenant, entity_id, told.attribute, told.fact_id, (told.instance, told.deleted)
                    )

        def apply(before: Document | None, now: int) -> Outcome:
            return tell(before, evolution, now, known=known)

        await self._writer.submit(tenant, Write(entity_id, apply))
        if any(told.differs for told in again):
            current = [(told.attribute, told.instance) for told in again if told.differs and told.deleted is None]
            await self._writer.submit(
                tenant, Write(entity_id, lambda before, now: correct_current(before, current, now), history=False)
            )

    async def _known_already(self, tenant: str, entity_id: str, evolution: Expanded) -> list[Again]:
        """Return the instances that are told of an attribute, datasetId and observedAt that the history has."""
        told = [
            (name, instance, deleted, parse_ms(instance["observedAt"]))
            for name, found in evolution["attrs"].items()
            for instance, deleted in found
            if "observedAt" in instance
        ]
        again: list[Again] = []
        for start in range(0, len(told), AT_ONCE):
            part = told[start : start + AT_ONCE]
            facts = await self._history.observed(
                tenant, entity_id, {name for name, *_ in part}, {moment for *_, moment in part}
            )
            there = {(fact.attribute, fact.instance.get("datasetId"), fact.times["o"]): fact for fact in facts}
            for name, instance, deleted, moment in part:
                fact = there.get((name, instance.get("datasetId"), moment))
                if fact is not None:
                    again.append(Again(name, instance, deleted, fact.id, differs=fact.instance != instance))
        return again

    async def delete(self, tenant: str, entity_id: str) -> None:
        """Remove a whole evolution (5.6.16); the current state of the entity stays."""
        if not await self._amendments.erase(tenant, entity_id):
            raise _unknown(entity_id)

    async def delete_attribute(
        self, tenant: str, entity_id: str, name: str, *, dataset_id: str | None, delete_all: bool
    ) -> None:
        """Remove the instances of an attribute with a datasetId (None: the default ones), or all (5.6.13)."""
        if not await self._amendments.erase_attribute(tenant, entity_id, name, dataset_id=dataset_id, every=delete_all):
            raise ResourceNotFound(f"there is no evolution of {entity_id} with an attribute {iri_of(name)}")

    async def delete_instance(self, tenant: str, entity_id: str, name: str, instance_id: str) -> None:
        """Remove one instance (5.6.15)."""
        if not await self._amendments.erase_instance(tenant, entity_id, name, instance_id):
            raise _no_instance(entity_id, name, instance_id)

    async def modify_instance(
        self, tenant: str, entity_id: str, name: str, instance_id: str, told: tuple[Instance, int | None]
    ) -> None:
        """Put another instance in the place of one, which keeps its createdAt (5.6.14)."""
        times = times_of(*told, time.time_ns() // 1_000_000)
        if not await self._amendments.correct(tenant, entity_id, name, instance_id, instance=told[0], times=times):
            raise _no_instance(entity_id, name, instance_id)


def _unknown(entity_id: str) -> ResourceNotFound:
    return ResourceNotFound(f"there is no temporal evolution of an entity {entity_id}")


def _no_instance(entity_id: str, name: str, instance_id: str) -> ResourceNotFound:
    return ResourceNotFound(f"attribute {iri_of(name)} of {entity_id} has no instance {instance_id}")
