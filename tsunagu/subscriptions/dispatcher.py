"""The dispatcher: from committed changes to notifications on their way, and nothing lost in between.

A change is matched (index, matching), becomes a job for each subscription that it concerns, and goes through the
subscription's throttle to the queue of its endpoint (queue) and from there to the receiver (courier, transports), or
into the parking when the endpoint is away or too much waits. The watermark follows (watermark).
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
from tsunagu.subscriptions.parking import Parking
from tsunagu.subscriptions.queue import EndpointQueue, Hooks
from tsunagu.subscriptions.recovery import Recovery
from tsunagu.subscriptions.review import Review
from tsunagu.subscriptions.store import SubscriptionStore
from tsunagu.subscriptions.throttle import Throttles
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

Key = tuple[str, str]
LOAD_AT_ONCE = 200
RETRY_SECONDS = 0.5
UNSAVED_AT_MOST = 2000
ROOM_SECONDS = 0.01


class Dispatcher:
    """Delivers the changes of one process: its ChangeListener and SubscriptionFollower. See the module's docstring."""

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
        self.store = SubscriptionStore(catalogue, self)
        self.marks = Marks(changes, interval=policy.mark_interval)
        self.parking = Parking(parked, writer, self._refill_keys)
        self.bookkeeper = Bookkeeper(records, self.tallies, interval=policy.tally_interval)
        self.throttles = Throttles(self._enqueue, self.parking.delivered, self.parking.keep, patience=policy.patience)
        self._transports = transports
        self.metrics = DeliveryMetrics(self)
        self._courier = Courier(
            transports,
            resolver,
            entities,
            self.tallies,
            policy,
            note=self.bookkeeper.note,
            count=self.metrics.attempt,
        )
        self.review = Review(self, changes, self._courier)
        self._hooks = Hooks(self._courier.deliver, self._delivered, self._give_up, self._put_away, self._refill)
        self._queues: dict[Key, EndpointQueue] = {}
        self._loads: dict[EndpointQueue, asyncio.Task[None]] = {}
        self._numbers = Numbers()
        self._stopping = False
        self.recovery: Recovery | None = None
        if leases is not None:
            self.recovery = Recovery(self, changes, leases, parked, catalogue, seconds=policy.lease)
        self.timers = Timers(self, entities, leases, seconds=policy.lease)

    async def start(self) -> None:
        """Read the subscriptions, dispatch what dead processes left, and be ready for changes. Raises Unavailable."""
        await self.store.start()
        self.parking.start()
        self.bookkeeper.start()
        if self.recovery is not None:
            await self.recovery.start()
        await self.timers.start()

    # --- changes in -------------------------------------------------------------------------------------------------

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
        for subscription in found:
            job = Job(
                subscription,
                (change,),
                self._numbers.next(),
                lane=change.entity_id,
                tickets=(ticket,),
                shared=(shared,),
            )
            self.submit(job)

    def submit(self, job: Job) -> None:
        """Send a job on its way, as fast as its subscription's throttling allows."""
        if job.subscription.throttling:
            self.throttles.offer(job)
        else:
            self._enqueue(job)

    def number(self) -> int:
        """Return the next number by which jobs are ordered."""
        return self._numbers.next()

    def expect_parked(self, tenant: str, subscriptions: Iterable[str]) -> None:
        """Say that this process now owns parked notifications of these subscriptions."""
        keys = [(tenant, subscription) for subscription in subscriptions]
        for key in keys:
            self.parking.expect(key)
        self._refill_keys(keys)

    async def room(self) -> None:
        """Wait while too much is on its way into the parking for more to be read from a log."""
        while self.parking.unsaved > UNSAVED_AT_MOST:  # noqa: ASYNC110
            await asyncio.sleep(ROOM_SECONDS)

    # --- to the endpoints -------------------------------------------------------------------------------------------

    def _queue(self, subscription: Subscription) -> EndpointQueue:
        key = (subscription.tenant, subscription.endpoint.uri)
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = EndpointQueue(*key, self.policy, self._hooks, wall=time.time)
        return queue

    def _enqueue(self, job: Job) -> None:
        """Put a job into its endpoint's queue, or behind what is parked of its subscription."""
        subscription = job.subscription
        if subscription.key in self.parking or self._stopping:
            self.park(job)
            return
        queue = self._queue(subscription)
        probe = job.fleeting and not queue.resting and not queue.size
        if not subscription.active or queue.full or (queue.exhausted and not probe):
            self.park(job)
        else:
            queue.add(job)

    def park(self, job: Job) -> None:
        """Put a job into the parking, behind what is there of its subscription."""
        if job.fleeting:
            job.settle()
            return
        for part in job.parts:
            self.parking.put(part)

    def _delivered(self, jobs: list[Job]) -> None:
        for job in jobs:
            self.parking.delivered(job)

    def _give_up(self, jobs: list[Job], reason: str) -> None:
        for job in jobs:
            if job.fleeting:
                job.settle()
            else:
                log.warning("notification_given_up", subscription=job.subscription.id, reason=reason)
                self.metrics.gave_up(len(job.parts))
                for part in job.parts:
                    self.parking.bury(part, reason)

    def _put_away(self, queue: EndpointQueue) -> None:
        """Park what is in memory for an endpoint that does not answer."""
        for job in queue.withdraw_all():
            self.park(job)

    # --- and back from the parking ----------------------------------------------------------------------------------

    def _refill_keys(self, keys: Iterable[Key]) -> None:
        """Load what is parked of some subscriptions, if their endpoints can take it."""
        for key in keys:
            subscription = self.store.get(key)
            if subscription is None:
                self.parking.discard(key)
            elif subscription.active:
                self._refill(self._queue(subscription))

    def _refill(self, queue: EndpointQueue) -> None:
        """Load what is parked for an endpoint, in the background."""
        if len(self.parking) and queue not in self._loads and not self._stopping and not queue.resting:
            task = asyncio.create_task(self._load(queue), name=f"load {queue.uri}")
            self._loads[queue] = task
            task.add_done_callback(lambda _: self._loads.pop(queue, None))

    async def _load(self, queue: EndpointQueue) -> None:
        """Move parked jobs of an endpoint's subscriptions into its queue, as far as there is room."""
        for key in self.parking.behind():
            subscription = self.store.get(key)
            if subscription is None:
                self.parking.discard(key)
                continue
            if subscription.endpoint.uri != queue.uri or key[0] != queue.tenant:
                continue
            if not subscription.active or queue.holds(key) or queue.resting:
                continue
            room = 1 if queue.failing else min(LOAD_AT_ONCE, self.policy.queue - queue.size)
            if room <= 0 or (queue.failing and queue.size):
                return
            try:
                await self._load_some(queue, key, room)
            except NgsiError:
                await asyncio.sleep(RETRY_SECONDS)
                asyncio.get_running_loop().call_soon(self._refill, queue)
                return

    async def _load_some(self, queue: EndpointQueue, key: Key, room: int) -> None:
        rows = await self.parking.load(key, room)
        subscription = self.store.get(key)
        if subscription is None:
            return
        for row in rows:
            job = Job(subscription, row.changes, row.seq, lane=row.lane, row=row.id)
            if subscription.endpoint.uri != queue.uri or self._stopping:
                self.park(job)  # changed meanwhile: back again
            elif subscription.throttling:
                self.throttles.offer(job)
            else:
                queue.add(job)

    # --- subscriptions ----------------------------------------------------------------------------------------------

    def subscription_written(self, tenant: str, entry: Entry) -> None:
        """Take a new or changed subscription into effect; see `SubscriptionFollower`."""
        self.store.put(tenant, entry)

    def subscription_deleted(self, tenant: str, subscription: str) -> None:
        """Send nothing more for a subscription; see `SubscriptionFollower`."""
        self.store.drop((tenant, subscription))

    def changed(self, old: Subscription | None, new: Subscription | None) -> None:
        """Move what waits from one revision of a subscription to the next; see `SubscriptionObserver`."""
        if old is not None:
            jobs = self.throttles.take(old.key, forget=new is None)
            queue = self._queues.get((old.tenant, old.endpoint.uri))
            if queue is not None:
                jobs += queue.withdraw(old.key)
            if new is None:
                for job in jobs:
                    job.settle()
                self.parking.discard(old.key)
            else:
                self._move(jobs, new)
            if queue is not None and not queue.size and not queue.failing and queue not in self._loads:
                self._queues.pop((old.tenant, old.endpoint.uri), None)
        self.timers.changed(old, new)

    def _move(self, jobs: list[Job], new: Subscription) -> None:
        jobs.sort(key=lambda job: job.seq)
        parked = any(part.row is not None for job in jobs for part in job.parts)
        for job in jobs:
            job.subscription = new
            if parked:
                self.park(job)  # loaded from the parking: back to it, for the order's sake
            else:
                self.submit(job)
        self._refill_keys([new.key])

    async def replay(self, tenant: str, subscription: str, start: int, end: int) -> int:
        """Send changes again; see `operations.deliveries.DeliveryControl`."""
        return await self.review.replay(tenant, subscription, start, end)

    async def preview(self, tenant: str, entry: Entry, count: int) -> list[Previewed]:
        """Show what would have been sent; see `operations.deliveries.DeliveryControl`."""
        return await self.review.preview(tenant, entry, count)

    async def written(self) -> None:
        """Wait until the attempts made so far are on record. Raises Unavailable."""
        await self.bookkeeper.write()

    # --- the end ----------------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """How many jobs are in memory."""
        return sum(queue.size for queue in self._queues.values()) + len(self.throttles)

    @property
    def failing(self) -> int:
        """How many endpoints failed the last time they were sent anything."""
        return sum(queue.failing for queue in self._queues.values())

    async def drain(self, seconds: float) -> None:
        """Deliver what is in memory, for so long at most; park the rest, and write the marks.

        After this nothing is in memory; changes that still come are parked. Raises Unavailable when the store is away.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        await self.timers.close()
        while any(queue.size and not queue.failing for queue in self._queues.values()) and loop.time() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        self._stopping = True
        for queue in self._queues.values():
            queue.close()
        for queue in self._queues.values():
            await queue.ended()
            self._put_away(queue)
        for job in self.throttles.take_all():
            self.park(job)
        async with asyncio.timeout(max(end - loop.time(), 5.0)):
            await self.parking.flushed()
        await self.marks.settle()
        await self.bookkeeper.write()
        if self.recovery is not None:
            await self.recovery.end()

    async def stop(self) -> None:
        """Close everything. What is in memory is lost to this process; the log and the parking have it."""
        self._stopping = True
        await self.timers.close()
        if self.recovery is not None:
            await self.recovery.close()
        for queue in self._queues.values():
            queue.close()
        for task in list(self._loads.values()):
            task.cancel()
        await asyncio.gather(*self._loads.values(), return_exceptions=True)
        for queue in self._queues.values():
            await queue.ended()
        await self.store.close()
        await self.parking.close()
        await self.bookkeeper.close()
        await self.marks.close()
        await self._transports.close()
