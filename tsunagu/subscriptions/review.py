"""Looking back: sending what was sent once more (replay), and what would have been sent (preview)."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from tsunagu.broker.errors import ResourceNotFound
from tsunagu.broker.operations.deliveries import Previewed
from tsunagu.schemas.secrets import masked_value
from tsunagu.subscriptions.index import SubscriptionIndex, candidates
from tsunagu.subscriptions.job import Job
from tsunagu.subscriptions.matching import Effect, matching
from tsunagu.subscriptions.subscription import NEVER, Subscription, subscription_of

if TYPE_CHECKING:
    from tsunagu.broker.changes import Change, ChangeLog
    from tsunagu.broker.operations.subscription_form import Entry
    from tsunagu.subscriptions.courier import Courier
    from tsunagu.subscriptions.dispatcher import Dispatcher


class Review:
    """Replay and preview of one process."""

    def __init__(self, dispatcher: Dispatcher, changes: ChangeLog, courier: Courier) -> None:
        self._dispatcher = dispatcher
        self._changes = changes
        self._courier = courier

    async def replay(self, tenant: str, subscription: str, start: int, end: int) -> int:
        """Park all changes of start <= at < end that concern a subscription, marked as a replay; return how many.

        From the parking they are delivered in order, also if this process should die meanwhile.
        """
        count = 0
        only = Only(self._present(tenant, subscription))
        async for change in self._changes.between(tenant, start, end):
            if not only.concerned(change):
                continue
            await self._dispatcher.room()
            marked = change._replace(meta={**(change.meta or {}), "replay": True})
            to = self._present(tenant, subscription)
            self._dispatcher.outbox.park(Job(to, (marked,), self._dispatcher.number(), lane=change.entity_id))
            count += 1
        return count

    def _present(self, tenant: str, subscription: str) -> Subscription:
        found = self._dispatcher.store.get((tenant, subscription))
        if found is None:
            raise ResourceNotFound(f"there is no subscription {subscription}")
        return found

    async def preview(self, tenant: str, entry: Entry, count: int) -> list[Previewed]:
        """Return which of the latest `count` changes a subscription would be told of, and how."""
        subscription = subscription_of(tenant, entry)
        only = Only(subscription)
        found: list[Previewed] = []
        async for change in self._changes.latest(tenant, count):
            if only.concerned(change):
                message = await self._courier.compose(subscription, [(change, None)])
                if message is not None:
                    found.append(Previewed(change, _shown(message.headers), message.body))
        return found


def _shown(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Return headers as they may be shown to whoever asks: the secrets among them masked."""
    return tuple((key, masked_value(key, value)) for key, value in headers)


class Only:
    """Asks of one subscription whether changes concern it, paused or expired as it may be, and periodic or not."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self._index = SubscriptionIndex()
        self._index.add(replace(subscription, active=True, expires=NEVER, interval=0.0))

    def concerned(self, change: Change, effect: Effect | None = None) -> bool:
        """Tell whether a notification of a change is due; `effect` is what it amounts to, if that is known."""
        if effect is None:
            effect = Effect(change)
        shelves = self._index.shelves_for(change.entity_id, effect.document["type"])
        return bool(matching(candidates(shelves, effect), effect, time.time_ns() // 1_000_000))
