"""The dispatcher: from committed changes to notifications on their way, and nothing lost in between.

A change is matched (index, matching), becomes a job for each subscription that it concerns, and goes into the outbox;
from there the courier takes it to the receiver. The watermark follows (watermark).
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from tsunagu.broker.changes import UNTOLD
from tsunagu.broker.errors import NgsiError
from tsunagu.broker.operations.tallies import Tallies
from tsunagu.subscriptions.bookkeeper import Bookkeeper
from tsunagu.subscriptions.calls import CHANGES, PARKED, ROLE, WRITERS, Calls
from tsunagu.subscriptions.courier import Courier
from tsunagu.subscriptions.follower import Follower
from tsunagu.subscriptions.job import Job, Numbers, Rendered
from tsunagu.subscriptions.matching import told_of
from tsunagu.subscriptions.metrics import DeliveryMetrics
from tsunagu.subscriptions.notification import without_previous
from tsunagu.subscriptions.outbox import Outbox
from tsunagu.subscriptions.presence import Presence
from tsunagu.subscriptions.review import Review
from tsunagu.subscriptions.store import SubscriptionStore
from tsunagu.subscriptions.timers import Timers
from tsunagu.subscriptions.watermark import Mark, Marks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tsunagu.broker.changes import Change, ChangeLog
    from tsunagu.broker.jsonld.resolver import ContextResolver
    from tsunagu.broker.operations.deliveries import Previewed
    from tsunagu.broker.operations.entities import Entities
    from tsunagu.broker.operations.subscription_form import Entry
    from tsunagu.broker.storage.catalogue import Catalogue
    from tsunagu.broker.storage.deliveries import DeliveryRecords
    from tsunagu.broker.storage.leases import Leases
    from tsunagu.broker.storage.parked import ParkedDeliveries
    from tsunagu.broker.storage.shared import Fanout
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
        leases: Leases,
        fanout: Fanout,
        opens: Callable[[str], frozenset[int]],
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
        self.courier = courier = Courier(
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
            policy,
            deliver=courier.deliver,
            lookup=self.store.get,
            gave_up=self.metrics.gave_up,
            left=self._left,
        )
        self.review = Review(self, changes, courier)
        self._parked = parked
        self._catalogue = catalogue
        self._calls = Calls(self._called, fanout)
        self.presence = Presence(writer, leases, self._calls, seconds=policy.lease, gain=self._gain, lose=self._lose)
        self.follower = Follower(self, changes, leases, opens)
        self.timers = Timers(self, entities)

    async def start(self) -> None:
        """Read the subscriptions, register, and begin to deliver if no other process does. Raises Unavailable."""
        await self.store.start()
        self.outbox.parking.start()
        self.bookkeeper.start()
        await self.presence.start()
        self.timers.start()

    # --- the role of the deliverer ----------------------------------------------------------------------------------

    async def _gain(self) -> None:
        """Begin to deliver: first what is parked, then what follows in the logs. Raises Unavailable."""
        self.marks.clear()
        self.outbox.delivering = True
        for tenant in await self.tenants():
            self.expect_parked(tenant, await self._parked.subscriptions(tenant))
        self.follower.start()

    def _lose(self) -> None:
        """Deliver no more: what is in memory is forgotten, another process finds it in the log and the parking."""
        self.outbox.forget()
        self.follower.clear()
        self.marks.clear()

    def _called(self, kind: bytes, words: list[str]) -> None:
        """Take a call of another process."""
        if kind in {ROLE, WRITERS}:
            self.presence.wake()
        elif kind == CHANGES and self.presence.delivering and words[0] in self.store.indexes:
            self.follower.wake(words[0])
        elif kind == PARKED and self.presence.delivering and self.store.get((words[0], words[1])) is not None:
            self.outbox.expect([(words[0], words[1])])

    def _left(self, key: tuple[str, str]) -> None:
        """Tell the deliverer that this process has parked something."""
        self.presence.call(PARKED, *key)

    async def tenants(self) -> list[str]:
        """Return the names of all tenants. Raises Unavailable."""
        return await self._catalogue.tenants()

    async def look_for_parked(self) -> None:
        """Find what other processes have parked, should no call of theirs have come. Raises Unavailable."""
        for tenant in list(self.store.indexes):
            behind = self.outbox.parking
            keys = [(tenant, one) for one in await self._parked.subscriptions(tenant)]
            self.outbox.expect(key for key in keys if key not in behind)

    # --- changes ----------------------------------------------------------------------------------------------------

    def committed(self, changes: Sequence[Change]) -> None:
        """Take changes of one tenant in commit order; see `ChangeListener`."""
        tenant = changes[0].tenant
        if self.presence.delivering:
            self.follower.committed(changes)
        elif tenant in self.store.indexes:
            self.presence.call(CHANGES, tenant)
        else:
            self.marks.of(tenant, self.writer).passed(changes[-1].number)

    def deal_with(self, change: Change, *, recovered: bool) -> None:
        """Consider a change that the mark holds open, whatever comes of it."""
        mark = self.marks.of(change.tenant, change.writer)
        held = mark.open.get(change.number)
        try:
            self.consider(change, mark, time.time_ns() // 1_000_000, recovered=recovered)
        except Exception:
            log.exception("change_not_matched", tenant=change.tenant, change=change.key)
        if mark.open.get(change.number) is held:
            mark.close(change.number)

    def consider(self, change: Change, mark: Mark, now: int, *, recovered: bool = False) -> None:
        """Make jobs of a change for all subscriptions that it concerns; if `recovered`, that were there at its time."""
        index = self.store.indexes.get(change.tenant)
        if index is None:
            return
        late = change.meta is not None and UNTOLD in change.meta
        found = told_of(index, change, now, late=late)
        if recovered:
            found = [subscription for subscription in found if subscription.created <= change.at]
        if not found:
            return
        ticket = mark.ticket(change.number, len(found))
        shared: Rendered | None = {} if len(found) > 1 else None
        whole, tickets, renderings = (change,), (ticket,), (shared,)
        bare = (without_previous(change),)
        for subscription in found:
            changes = whole if subscription.plan.show_changes else bare
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
        self.outbox.parking.discard((tenant, subscription))

    def changed(self, old: Subscription | None, new: Subscription | None) -> None:
        """Follow a subscription from one revision to the next; see `SubscriptionObserver`."""
        self.outbox.changed(old, new)
        self.timers.changed(old, new)
        if self.presence.delivering:
            if old is not None and new is None:
                self.follower.wake(old.tenant)  # to follow its tenant no more, if it was the last one
            if new is not None and (old is None or new.late):
                # Its tenant's first one: what was committed just now is looked at before more comes, all of which would
                # have to be held in memory until then. For late data it looks into the logs again and again.
                self.follower.wake(new.tenant)

    # --- steering ---------------------------------------------------------------------------------------------------

    def expect_parked(self, tenant: str, subscriptions: Iterable[str]) -> None:
        """Say that notifications of these subscriptions have been parked; see `DeliveryControl`."""
        keys = [(tenant, subscription) for subscription in subscriptions]
        if self.presence.delivering:
            self.outbox.expect(keys)
        else:
            for key in keys:
                self._left(key)

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
            await self.presence.inherit()
            if self.presence.delivering:
                await self.follower.finish(end)
            await self.outbox.drain(end)
            if self.presence.delivering:
                await self.marks.settle()
            await self.bookkeeper.write()
            everything = self.presence.delivering and not self.marks.outstanding(self.writer)
            await self.presence.end(everything=everything)
        except (NgsiError, TimeoutError) as error:
            log.warning("not_drained", reason=str(error) or "the store did not answer in time")

    async def stop(self) -> None:
        """Close everything. What is in memory is lost to this process; the log and the parking have it."""
        await self.timers.close()
        await self.presence.close()
        await self.follower.close()
        await self._calls.close()
        await self.outbox.close()
        await self.store.close()
        await self.outbox.parking.close()
        await self.bookkeeper.close()
        await self.marks.close()
        await self._transports.close()
