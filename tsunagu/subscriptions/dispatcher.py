"""The dispatcher: from committed changes to notifications on their way, and nothing lost in between.

A change is matched (index, matching), becomes a job for each subscription that it concerns, and goes into the outbox;
from there the courier takes it to the receiver. The watermark follows (watermark).
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from tsunagu.broker.errors import NgsiError
from tsunagu.broker.operations.tallies import Tallies
from tsunagu.subscriptions.bookkeeper import Bookkeeper
from tsunagu.subscriptions.courier import Courier
from tsunagu.subscriptions.index import candidates
from tsunagu.subscriptions.job import Job, Numbers, Rendered
from tsunagu.subscriptions.matching import Effect, matching
from tsunagu.subscriptions.metrics import DeliveryMetrics
from tsunagu.subscriptions.outbox import Outbox
from tsunagu.subscriptions.recovery import Recovery
from tsunagu.subscriptions.review import Review
from tsunagu.subscriptions.store import SubscriptionStore
from tsunagu.subscriptions.timers import Timers
from tsunagu.subscriptions.watermark import Mark, Marks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tsunagu.broker.changes import Change, ChangeLog
    from tsunagu.broker.jsonld.resolver import ContextResolver
    from tsunagu.broker.operations.deliveries import Previewed
    from tsunagu.broker.operations.entities import Entities
    from tsunagu.broker.operations.subscription_form import Entry
    from tsunagu.broker.storage.catalogue import Catalogue
    from tsunagu.broker.storage.deliveries import DeliveryRecords
    from tsunagu.broker.storage.leases import Leases
    from tsunagu.broker.storage.parked import ParkedDeliveries
    from tsunagu.subscriptions.policy import DeliveryPolicy
    from tsunagu.subscriptions.subscription import Subscription
    from tsunagu.subscriptions.transports import Transports

log = structlog.get_logger(__name__)

UNSAVED_AT_MOST = 2000
ROOM_SECONDS = 0.01


class Dispatcher:
    """Delivers the changes of one process: its ChangeListener, SubscriptionFollower and DeliveryControl."""

    def __init__(
        self,
        *,
        writer: str,
        changes: ChangeLog,
        catalogue: Catalogue,
        records: DeliveryRecords,
        parked: ParkedDeliveries,
        entities: Entities,
        resolver: ContextResolver,
        transports: Transports,
        policy: DeliveryPolicy,
        leases: Leases | None = None,
    ) -> None:
        self.writer = writer
        self.policy = policy
        self.tallies = Tallies(records)
        self.metrics = DeliveryMetrics(self)
        self.store = SubscriptionStore(catalogue, self)
        self.marks = Marks(changes, interval=policy.mark_interval)
        self.bookkeeper = Bookkeeper(records, self.tallies, interval=policy.tally_interval)
        self._numbers = Numbers()
        self._transports = transports
        courier = Courier(
            transports,
            resolver,
            entities,
            self.tallies,
            policy,
            note=self.bookkeeper.note,
            count=self.metrics.attempt,
        )
        self.outbox = Outbox(
            parked,
            writer,
            policy,
            deliver=courier.deliver,
            lookup=self.store.get,
            gave_up=self.metrics.gave_up,
        )
        self.review = Review(self, changes, courier)
        self.recovery: Recovery | None = None
        if leases is not None:
            self.recovery = Recovery(self, changes, leases, parked, catalogue, seconds=policy.lease)
        self.timers = Timers(self, entities, leases, seconds=policy.lease)

    async def start(self) -> None:
        """Read the subscriptions, dispatch what dead processes left, and be ready for changes. Raises Unavailable."""
        await self.store.start()
        self.outbox.parking.start()
        self.bookkeeper.start()
        if self.recovery is not None:
            await self.recovery.start()
        await self.timers.start()

    # --- changes ----------------------------------------------------------------------------------------------------

    def committed(self, changes: Sequence[Change]) -> None:
        """Take changes of one tenant in commit order; see `ChangeListener`."""
        mark = self.marks.of(changes[0].tenant, changes[0].writer)
        if changes[0].tenant in self.store.indexes:
            now = time.time_ns() // 1_000_000
            for change in changes:
                try:
                    self.consider(change, mark, now)
                except Exception:
                    log.exception("change_not_matched", tenant=change.tenant, change=change.key)
        mark.passed(changes[-1].number)

    def consider(self, change: Change, mark: Mark, now: int, *, recovered: bool = False) -> None:
        """Make jobs of a change for all subscriptions that it concerns; if `recovered`, that were there at its time."""
        index = self.store.indexes.get(change.tenant)
        if index is None:
            return
        document = change.after if change.after is not None else change.before
        assert document is not None
        shelves = index.shelves_for(change.entity_id, document["type"])
        if not shelves:
            return
        effect = Effect(change)
        if not effect.bits:
            return
        found = matching(candidates(shelves, effect), effect, now)
        if recovered:
            found = [subscription for subscription in found if subscription.created <= change.at]
        if not found:
            return
        ticket = mark.ticket(change.number, len(found))
        shared: Rendered | None = {} if len(found) > 1 else None
        changes, tickets, renderings = (change,), (ticket,), (shared,)
        for subscription in found:
            seq = self._numbers.next()
            job = Job(subscription, changes, seq, lane=change.entity_id, tickets=tickets, shared=renderings)
            self.outbox.submit(job)

    def number(self) -> int:
        """Return the next number by which jobs are ordered."""
        return self._numbers.next()

    async def room(self) -> None:
        """Wait while too much is on its way into the parking for more to be read from a log."""
        while self.outbox.parking.unsaved > UNSAVED_AT_MOST:  # noqa: ASYNC110
            await asyncio.sleep(ROOM_SECONDS)

    # --- subscriptions ----------------------------------------------------------------------------------------------

    def subscription_written(self, tenant: str, entry: Entry) -> None:
        """Take a new or changed subscription into effect; see `SubscriptionFollower`."""
        self.store.put(tenant, entry)

    def subscription_deleted(self, tenant: str, subscription: str) -> None:
        """Send nothing more for a subscription; see `SubscriptionFollower`."""
        self.store.drop((tenant, subscription))
        self.outbox.parking.discard((tenant, subscription), of_all=True)

    def changed(self, old: Subscription | None, new: Subscription | None) -> None:
        """Follow a subscription from one revision to the next; see `SubscriptionObserver`."""
        self.outbox.changed(old, new)
        self.timers.changed(old, new)

    # --- steering ---------------------------------------------------------------------------------------------------

    def expect_parked(self, tenant: str, subscriptions: Iterable[str]) -> None:
        """Say that this process now owns parked notifications of these subscriptions; see `DeliveryControl`."""
        self.outbox.expect((tenant, subscription) for subscription in subscriptions)

    async def replay(self, tenant: str, subscription: str, start: int, end: int) -> int:
        """Send changes again; see `DeliveryControl`."""
        return await self.review.replay(tenant, subscription, start, end)

    async def preview(self, tenant: str, entry: Entry, count: int) -> list[Previewed]:
        """Show what would have been sent; see `DeliveryControl`."""
        return await self.review.preview(tenant, entry, count)

    async def written(self) -> None:
        """Wait until the attempts made so far are on record. Raises Unavailable."""
        await self.bookkeeper.write()

    # --- the end ----------------------------------------------------------------------------------------------------

    async def drain(self, seconds: float) -> None:
        """Deliver what is in memory, for so long at most; park the rest, write the marks, and give the lease up.

        What cannot be written because the store is away is found in the log by the next process.
        """
        end = asyncio.get_running_loop().time() + seconds
        await self.timers.close()
        try:
            await self.outbox.drain(end)
            await self.marks.settle()
            await self.bookkeeper.write()
            if self.recovery is not None:
                await self.recovery.end()
        except (NgsiError, TimeoutError) as error:
            log.warning("not_drained", reason=str(error) or "the store did not answer in time")

    async def stop(self) -> None:
        """Close everything. What is in memory is lost to this process; the log and the parking have it."""
        await self.timers.close()
        if self.recovery is not None:
            await self.recovery.close()
        await self.outbox.close()
        await self.store.close()
        await self.outbox.parking.close()
        await self.bookkeeper.close()
        await self.marks.close()
        await self._transports.close()
