"""How temporal evolutions are shown: normalized, simplified and aggregated (4.5.6 to 4.5.9, 4.5.19)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from tsunagu.broker.representations.instances import write_attribute
from tsunagu.broker.representations.language import in_language
from tsunagu.broker.representations.view import shown_scope, shown_types
from tsunagu.schemas.kinds import KINDS
from tsunagu.schemas.times import format_ms, short_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tsunagu.broker.representations.aggregation import Aggregate
    from tsunagu.broker.representations.names import Names
    from tsunagu.broker.representations.view import Projection
    from tsunagu.schemas.entity import Instance


class Told(Protocol):
    """One instance of an attribute in an evolution, as the store gives it (`storage.history.Fact`)."""

    @property
    def attribute(self) -> str:
        """Stored name of the attribute."""

    @property
    def instance(self) -> Instance:
        """The instance in stored form."""

    @property
    def times(self) -> dict[str, Any]:
        """Its TIMES, with "d" if it is a deletion."""

    @property
    def id(self) -> str:
        """Its instanceId."""

    def moment(self, member: Any) -> int | None:
        """Return the time asked for, epoch ms."""


@dataclass(frozen=True, slots=True)
class Head:
    """What an evolution shows besides attributes: id, types (IRIs), times of the entity in epoch ms where known."""

    id: str
    types: list[str]
    created: int | None = None
    modified: int | None = None
    deleted: int | None = None


@dataclass(frozen=True, slots=True)
class TemporalView:
    """What a client asked to see of evolutions.

    `member` is the time that stands beside each value in the simplified form: "o" observedAt, "c", "m", "d"; None for
    observedAt or else the time of the change. `pick` and `omit` as in `View`.
    """

    format: Literal["normalized", "temporalValues", "aggregatedValues"] = "normalized"
    sys_attrs: bool = False
    pick: Projection | None = None
    omit: Projection | None = None
    lang: str | None = None
    member: Literal["o", "c", "m", "d"] | None = None

    def shows(self, name: str) -> bool:
        """Return whether pick and omit leave a member: a stored attribute name, or a plain one such as scope."""
        return (self.pick is None or name in self.pick) and (self.omit is None or name not in self.omit)

    def head(self, head: Head, context: Names) -> dict[str, Any]:
        """Return the members of an evolution that are no attributes."""
        shown: dict[str, Any] = {"id": head.id, "type": shown_types(head.types, context)}
        if self.sys_attrs:
            times = {"createdAt": head.created, "modifiedAt": head.modified, "deletedAt": head.deleted}
            shown |= {name: format_ms(moment) for name, moment in times.items() if moment is not None}
        return {name: item for name, item in shown.items() if self.shows(name)}

    def render(
        self, head: Head, facts: Iterable[Told], scopes: Iterable[Told], context: Names, *, empty: Iterable[str] = ()
    ) -> dict[str, Any]:
        """Return an evolution as a JSON object, normalized or simplified, without @context.

        `facts` and `scopes` are the instances to show, oldest first; `empty` names attributes to be shown even if there
        is no instance of them among `facts`.
        """
        shown = self.head(head, context)
        scope = list(scopes)
        if scope and self.shows("scope"):
            shown["scope"] = self._scope_pairs(scope) if self.format == "temporalValues" else self._scopes(scope)
        by_name: dict[str, list[Told]] = {name: [] for name in empty if self.shows(name)}
        for fact in facts:
            if self.shows(fact.attribute):
                by_name.setdefault(fact.attribute, []).append(fact)
        for name, told in by_name.items():
            simplified = self.format == "temporalValues"
            shown[context.shown[name]] = self._pairs(told, context) if simplified else self._instances(told, context)
        return shown

    def _instances(self, told: list[Told], context: Names) -> list[dict[str, Any]]:
        shown = []
        for fact in told:
            deleted = "d" in fact.times
            sys_attrs = self.sys_attrs and not deleted
            one = write_attribute(fact.instance, fact.times, context, sys_attrs=sys_attrs, lang=self.lang)
            one = {**one, "instanceId": fact.id}
            if deleted:
                one["deletedAt"] = format_ms(fact.times["d"])
            shown.append(one)
        return shown

    def _scopes(self, told: list[Told]) -> list[dict[str, Any]]:
        shown = []
        for fact in told:
            one: dict[str, Any] = {"type": "Property", "value": _scope_value(fact), "instanceId": fact.id}
            if "o" in fact.times:
                one["observedAt"] = format_ms(fact.times["o"])
            if "d" in fact.times:
                one["deletedAt"] = format_ms(fact.times["d"])
            elif self.sys_attrs:
                one |= {"createdAt": format_ms(fact.times["c"]), "modifiedAt": format_ms(fact.times["m"])}
            shown.append(one)
        return shown

    def _scope_pairs(self, told: list[Told]) -> dict[str, Any]:
        return {"type": "Property", "values": [[_scope_value(fact), self._time(fact)] for fact in told]}

    def _pairs(self, told: list[Told], context: Names) -> Any:
        """Return the simplified form of an attribute; an object for each datasetId, and for each kind it had."""
        groups: dict[tuple[str | None, str], dict[str, Any]] = {}
        for fact in told:
            instance = fact.instance
            if self.lang is not None and "languageMap" in instance:
                instance = in_language(instance, self.lang)
            kind = KINDS[instance["type"]]
            dataset_id = instance.get("datasetId")
            group = groups.get((dataset_id, kind.name))
            if group is None:
                group = groups[dataset_id, kind.name] = group_of(kind.name, dataset_id) | {kind.plural: []}
            value = kind.simplify(kind.write(instance[kind.member], context))
            group[kind.plural].append([value, self._time(fact)])
        return one_or_all(list(groups.values())) if groups else {"type": "Property", "values": []}

    def _time(self, fact: Told) -> str:
        if self.member in (None, "o") and "observedAt" in fact.instance:
            return str(fact.instance["observedAt"])
        return short_text(fact.moment(self.member) or 0)

    def render_aggregates(
        self, head: Head, aggregates: Mapping[tuple[str, str | None], Aggregate], context: Names
    ) -> dict[str, Any]:
        """Return an evolution with aggregated values (4.5.19), given by (stored attribute name, datasetId)."""
        shown = self.head(head, context)
        groups: dict[str, list[dict[str, Any]]] = {}
        for (name, dataset_id), aggregate in aggregates.items():
            if self.shows(name) and aggregate.rows:
                label = "Relationship" if aggregate.relationship else "Property"
                groups.setdefault(name, []).append(group_of(label, dataset_id) | aggregate.rows)
        for name, found in groups.items():
            shown[context.shown[name]] = one_or_all(found)
        return shown


def group_of(kind_name: str, dataset_id: str | None) -> dict[str, Any]:
    """Return the first members of what is shown of the instances of one datasetId."""
    return {"type": kind_name} if dataset_id is None else {"type": kind_name, "datasetId": dataset_id}


def one_or_all(groups: list[dict[str, Any]]) -> dict[str, Any] | list[dict[str, Any]]:
    """Return the only group, or the array of several."""
    return groups[0] if len(groups) == 1 else groups


def _scope_value(fact: Told) -> Any:
    value = fact.instance["value"]
    return shown_scope(value) if value else []
