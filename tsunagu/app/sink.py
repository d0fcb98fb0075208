"""The sink of the adapters, over the broker's reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.adapters.sink import REPEATED, STORED, Outcome, SinkUnavailable
from tsunagu.broker.errors import BadRequestData, NgsiError, ResourceNotFound, Unavailable
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.jsonld.expand import expand_entity
from tsunagu.broker.operations.reports import Report
from tsunagu.broker.representations import View
from tsunagu.broker.storage.writes import DUPLICATE

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Awaitable, Sequence

    from tsunagu.adapters.sink import EntityUpdate, Succession
    from tsunagu.broker.operations.entities import Entities
    from tsunagu.broker.operations.reports import Reports
    from tsunagu.schemas.entity import Expanded

STATICS_KEPT = 20_000
PLAIN = View()


class BrokerSink:
    """Expands entity updates with the core @context and commits them; see `adapters.sink.Sink`."""

    def __init__(self, reports: Reports, entities: Entities) -> None:
        self._reports = reports
        self._entities = entities
        self._statics: dict[int, tuple[Any, Expanded]] = {}

    def write(
        self, tenant: str, updates: Sequence[EntityUpdate], *, succession: Succession | None = None
    ) -> Awaitable[list[Outcome]]:
        """Queue the updates, in order, before it returns; see `adapters.sink.Sink`. Raises SinkUnavailable."""
        outcomes: list[Outcome | None] = [None] * len(updates)
        reports: list[Report] = []
        places: list[int] = []
        for place, update in enumerate(updates):
            try:
                reports.append(self.report_of(update))
                places.append(place)
            except BadRequestData as error:
                outcomes[place] = Outcome("refused", error.detail)
        try:
            answers = self._reports.take(tenant, reports, succession=succession)
        except Unavailable as error:
            raise SinkUnavailable(error.detail, error.retry_after) from error
        return _outcomes(outcomes, places, answers)

    def report_of(self, update: EntityUpdate) -> Report:
        """Return the report of an update. Raises BadRequestData."""
        entity = expand_entity({"id": update.id, "type": update.type, **update.attrs}, CORE)
        static = self._static(update) if update.static else None
        return Report(entity, static, update.receipt, fresh=update.fresh, history=update.history, late=update.late)

    def _static(self, update: EntityUpdate) -> Expanded:
        """Return the expanded static attributes; they are the same object for all messages of a device."""
        known = self._statics.get(id(update.static))
        if known is not None and known[0] is update.static:
            return known[1]
        expanded = expand_entity({"id": update.id, "type": update.type, **update.static}, CORE)
        if len(self._statics) >= STATICS_KEPT:
            self._statics.clear()
        self._statics[id(update.static)] = (update.static, expanded)
        return expanded

    async def read(self, tenant: str, entity_id: str) -> dict[str, Any] | None:
        """Return the entity's current attributes, normalized, by term, or None. Raises SinkUnavailable."""
        try:
            document = await self._entities.retrieve(tenant, entity_id)
        except ResourceNotFound:
            return None
        except Unavailable as error:
            raise SinkUnavailable(error.detail, error.retry_after) from error
        rendered = PLAIN.render(document, CORE)
        return (
            {key: value for key, value in rendered.items() if key not in {"id", "type", "scope"}} if rendered else None
        )


async def _outcomes(outcomes: list[Outcome | None], places: list[int], answers: Future[list[Any]]) -> list[Outcome]:
    """Wait for the answers and put what they say into their places. Raises SinkUnavailable."""
    for place, answer in zip(places, await answers, strict=True):
        if isinstance(answer, Unavailable):
            raise SinkUnavailable(answer.detail, answer.retry_after)
        if isinstance(answer, NgsiError):
            outcomes[place] = Outcome("refused", answer.detail)
        else:
            outcomes[place] = REPEATED if answer is DUPLICATE else STORED
    return [outcome for outcome in outcomes if outcome is not None]
