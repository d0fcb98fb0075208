"""Which subscriptions updates of devices would fire, for a look at a message before anything is stored."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tsunagu.broker.changes import Change
from tsunagu.broker.errors import NgsiError, ResourceNotFound
from tsunagu.broker.operations import patch
from tsunagu.subscriptions.matching import told_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tsunagu.adapters.sink import EntityUpdate
    from tsunagu.app.sink import BrokerSink
    from tsunagu.broker.changes import Document
    from tsunagu.broker.operations.entities import Entities
    from tsunagu.subscriptions.store import SubscriptionStore


class Foresight:
    """See `adapters.management.preview.Foresee`. Neighbours are told by subscriptions, too."""

    def __init__(self, sink: BrokerSink, entities: Entities, store: SubscriptionStore) -> None:
        self._sink = sink
        self._entities = entities
        self._store = store

    async def __call__(self, tenant: str, updates: Sequence[EntityUpdate]) -> list[str]:
        """Return the ids of the subscriptions that would be told of these updates, in order. Raises Unavailable."""
        states: dict[str, Document | None] = {}
        found: set[str] = set()
        for update in updates:
            if update.id not in states:
                states[update.id] = await self._state(tenant, update.id)
            try:
                change = self._change(tenant, update, states[update.id])
            except NgsiError:
                continue  # the broker would refuse it: nobody is told
            if change is not None:
                states[update.id] = change.after
                found.update(self._told(change, late=update.late))
        return sorted(found)

    async def _state(self, tenant: str, entity_id: str) -> Document | None:
        try:
            return await self._entities.retrieve(tenant, entity_id)
        except ResourceNotFound:
            return None

    def _change(self, tenant: str, update: EntityUpdate, before: Document | None) -> Change | None:
        """Return what an update would do to an entity's current state, None for nothing."""
        report = self._sink.report_of(update)
        now = time.time_ns() // 1_000_000
        outcome = patch.report(before, report.entity, now, static=report.static)
        if outcome.after is before or outcome.after is None:
            return None
        return Change(
            tenant=tenant,
            writer="",
            number=0,
            entity_id=update.id,
            kind="created" if before is None else "updated",
            at=now,
            before=before,
            after=outcome.after,
            touched=outcome.touched,
        )

    def _told(self, change: Change, *, late: bool) -> list[str]:
        index = self._store.indexes.get(change.tenant)
        return [] if index is None else [one.id for one in told_of(index, change, change.at, late=late)]
