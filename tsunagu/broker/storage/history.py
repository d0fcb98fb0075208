"""The history side of the store: temporal evolutions of entities, as the operations see them (4.5.6 to 4.5.9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from tsunagu.broker.query.ast import EntityQuery, TemporalQuery
    from tsunagu.schemas.entity import Instance

SCOPE = "scope"
TimeMember = Literal["o", "c", "m", "d"]


@dataclass(frozen=True, slots=True)
class Fact:
    """One instance of an attribute in a temporal evolution, or of the scope (its `attribute` is "scope").

    `attribute` is a stored name. `instance` is in stored form; that of a deletion has the NGSI-LD Null for its value,
    an empty list for the scope. `times` are its TIMES ("c", "m", "o" as `schemas.entity` has them) and "d", deletedAt,
    of a deletion, all epoch ms. `id` is its instanceId, a URI; `at` when the broker was told.
    """

    attribute: str
    instance: Instance
    times: dict[str, Any]
    id: str
    at: int

    def moment(self, member: TimeMember | None) -> int | None:
        """Return the time that a temporal query looks at; None if the instance does not convey it (4.11).

        Without `member` it is observedAt where there is one, else the time of the change.
        """
        if member is not None:
            found: int | None = self.times.get(member)
            return found
        return int(self.times.get("o", self.times.get("d", self.at)))


@dataclass(frozen=True, slots=True)
class Wish:
    """Which instances of an evolution are asked for.

    `member`: only instances that convey this time, ordered by it; None: all, by observedAt where there is one.
    `window`: that time lies within. `attrs`: stored names, None for all; `datasets`: datasetIds, "@none" for the
    default instance, None for all. `last`: of each attribute only the last so many. `limit`: when there are so many
    instances, those of other times are left out: the later ones, with `last` the earlier ones. `spans`: the time lies
    within one of these, each start <= t < end, None for any time.
    `carry_scope`: the scope that was valid when the window began is asked for, too (C.5.16).
    """

    member: TimeMember | None = None
    window: TemporalQuery | None = None
    attrs: frozenset[str] | None = None
    datasets: tuple[str, ...] | None = None
    last: int | None = None
    limit: int = 1000
    spans: tuple[tuple[int, int], ...] | None = None
    carry_scope: bool = False

    def takes(self, fact: Fact) -> bool:
        """Return whether an instance is asked for, `last` and `limit` apart."""
        if self.attrs is not None and fact.attribute not in self.attrs and fact.attribute != SCOPE:
            return False
        if self.datasets is not None and fact.instance.get("datasetId", "@none") not in self.datasets:
            return False
        moment = fact.moment(self.member)
        if moment is None or (self.window is not None and not self.window.includes(moment)):
            return False
        return self.spans is None or any(start <= moment < end for start, end in self.spans)


@dataclass(frozen=True, slots=True)
class Evolution:
    """Part of the temporal evolution of an entity.

    `types` are IRIs; `created`, `modified`, `deleted` epoch ms, those of the entity, None where they are not known.
    `facts` are the instances asked for, oldest first; `scopes` those of the scope. `names` are all attributes that the
    evolution may have. `whole` tells that nothing was left out because of the limit.
    """

    id: str
    types: list[str]
    facts: list[Fact]
    scopes: list[Fact]
    names: frozenset[str]
    whole: bool = True
    created: int | None = None
    modified: int | None = None
    deleted: int | None = None


class Amendments(Protocol):
    """Amends temporal evolutions. All methods raise Unavailable when the store is away."""

    async def erase(self, tenant: str, entity_id: str) -> bool:
        """Remove a whole evolution; tell whether there was one."""

    async def erase_attribute(
        self, tenant: str, entity_id: str, name: str, *, dataset_id: str | None, every: bool
    ) -> bool:
        """Remove the instances of an attribute with a datasetId, or every one; tell whether it has any instance."""

    async def erase_instance(self, tenant: str, entity_id: str, name: str, instance_id: str) -> bool:
        """Remove one instance; tell whether there was one."""

    async def correct(
        self, tenant: str, entity_id: str, name: str, instance_id: str, *, instance: Instance, times: dict[str, Any]
    ) -> bool:
        """Put another instance in the place of one, keeping createdAt and datasetId; tell whether there was one."""


class History(Protocol):
    """Reads temporal evolutions. All methods raise Unavailable when the store is away."""

    async def exists(self, tenant: str, entity_id: str) -> bool:
        """Return whether there is a temporal evolution of an entity."""

    async def evolution(self, tenant: str, entity_id: str, wish: Wish) -> Evolution | None:
        """Return what is asked for of the evolution of an entity; None if there is no evolution of it at all."""

    def facts(self, tenant: str, entity_id: str, wish: Wish) -> AsyncIterator[Fact]:
        """Yield the instances that a wish takes, oldest first, regardless of its `last` and `limit`; no scopes."""

    async def observed(
        self, tenant: str, entity_id: str, names: Collection[str], moments: Collection[int]
    ) -> list[Fact]:
        """Return the instances of attributes that were observed at one of these times (epoch ms)."""

    async def scopes(self, tenant: str, entity_id: str) -> list[Fact]:
        """Return all instances of an entity's scope, oldest first."""

    async def page(
        self, tenant: str, query: EntityQuery, wish: Wish, *, limit: int, offset: int = 0, descending: bool = False
    ) -> list[str]:
        """Return ids of entities, in their order, that have instances which the wish takes.

        Of the query `ids`, `id_pattern`, `types`, `selectors` count; of the wish `member`, `window` and `attrs`.
        """

    async def count(self, tenant: str, query: EntityQuery, wish: Wish) -> int:
        """Return how many entities `page` has in all."""
