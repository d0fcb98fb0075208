"""The outbox of a process: every job on its way to an endpoint, in memory or parked, and the way between the two.

A job goes through its subscription's throttle to the queue of its endpoint. It is parked instead when something of its
subscription is parked already, when the queue is full, when the endpoint has been away for too long, or when the
subscription is paused. What is parked is loaded again when the queue has nothing of the subscription left.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from tsunagu.background import end
from tsunagu.broker.errors import NgsiError
from tsunagu.subscriptions.job import Job
from tsunagu.subscriptions.parking import Parking
from tsunagu.subscriptions.queue import EndpointQueue, Hooks, Together
from tsunagu.subscriptions.throttle import Throttles

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from tsunagu.broker.storage.parked import ParkedDeliveries
    from tsunagu.subscriptions.policy import DeliveryPolicy
    from tsunagu.subscriptions.subscription import Subscription
    from tsunagu.subscriptions.transports.transport import Result

log = structlog.get_logger(__name__)

Key = tuple[str, str]
LOAD_AT_ONCE = 200
RETRY_SECONDS = 0.5


class Outbox:
    """See the module's docstring. `delivering`: whether this process delivers; if not, it only parks (a replay).

    `deliver` sends jobs in one notification; `lookup` returns the present revision of a subscription; `gave_up` hears
    how many notifications became dead letters; `left` what this process parked for the one that delivers.
    """

    def __init__(
        self,
        store: ParkedDeliveries,
        policy: DeliveryPolicy,
        *,
        deliver: Callable[[list[Job]], Coroutine[None, None, Result]],
        lookup: Callable[[Key], Subscription | None],
        gave_up: Callable[[int], None],
        left: Callable[[Key], None],
    ) -> None:
        self._policy = policy
        self._lookup = lookup
        self._gave_up = gave_up
        self._left = left
        self.delivering = False
        self.parking = Parking(store, self.refill)
        self._throttles = Throttles(self._enqueue, self.parking.delivered, self.parking.keep, patience=policy.patience)
        self._hooks = Hooks(deliver, self._delivered, self._give_up, self._put_away, self._refill)
        self._together = Together()
        self._queues: dict[Key, EndpointQueue] = {}
        self._users: dict[EndpointQueue, set[Key]] = {}
        self._loads: dict[EndpointQueue, asyncio.Task[None]] = {}
        self._stopping = False

    # --- in ---------------------------------------------------------------------------------------------------------

    def submit(self, job: Job) -> None:
        """Send a job on its way, as fast as its subscription's throttling allows."""
        if job.subscription.throttling:
            self._throttles.offer(job)
        else:
            self._enqueue(job)

    def park(self, job: Job) -> None:
        """Put a job into the parking, behind what is there of its subscription."""
        if job.fleeting:
            job.settle()
            return
        for part in job.parts:
            self.parking.put(part)

    def _queue(self, subscription: Subscription) -> EndpointQueue:
        key = subscription.address
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = EndpointQueue(
                *key, self._policy, self._hooks, wall=time.time, together=self._together
            )
            self._users[queue] = set()
        self._users[queue].add(subscription.key)
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

    # --- what the queues tell ---------------------------------------------------------------------------------------

    def _delivered(self, jobs: list[Job]) -> None:
        for job in jobs:
            self.parking.delivered(job)

    def _give_up(self, jobs: list[Job], reason: str) -> None:
        for job in jobs:
            if job.fleeting:
                job.settle()
                continue
            log.warning("notification_given_up", subscription=job.subscription.id, reason=reason)
            self._gave_up(len(job.parts))
            for part in job.parts:
                self.parking.bury(part, reason)

    def _put_away(self, queue: EndpointQueue) -> None:
        """Park what is in memory for an endpoint that does not answer."""
        for job in queue.withdraw_all():
            self.park(job)

    # --- back from the parking --------------------------------------------------------------------------------------

    def expect(self, keys: Iterable[Key]) -> None:
        """Say that the store holds rows of these subscriptions."""
        keys = list(keys)
        for key in keys:
            self.parking.expect(key)
        self.refill(keys)

    def refill(self, keys: Iterable[Key]) -> None:
        """Load what is parked of some subscriptions, if their endpoints can take it."""
        for key in keys:
            subscription = self._lookup(key)
            if not self.delivering:
                self.parking.forget(key)
                self._left(key)
            elif subscription is None:
                self.parking.discard(key)
            elif subscription.active:
                self._refill(self._queue(subscription))

    def _refill(self, queue: EndpointQueue) -> None:
        """Load what is parked for an endpoint, in the background."""
        if not self.delivering or self._stopping or not len(self.parking):
            return
        if queue not in self._loads and not queue.resting:
            task = asyncio.create_task(self._load(queue), name="load what is parked")
            self._loads[queue] = task
            task.add_done_callback(lambda _: self._loads.pop(queue, None))

    async def _load(self, queue: EndpointQueue) -> None:
        """Move parked jobs of an endpoint's subscriptions into its queue, as far as there is room."""
        for key in self.parking.behind():
            subscription = self._lookup(key)
            if subscription is None:
                self.parking.discard(key)
                continue
            if subscription.address != queue.address or not subscription.active or queue.holds(key) or queue.resting:
                continue
            if self._queue(subscription) is not queue:
                return  # let go meanwhile
            spare = max(self._policy.memory - self._together.count, 1)
            room = 1 if queue.failing else min(LOAD_AT_ONCE, self._policy.queue - queue.size, spare)
            if room <= 0 or (queue.failing and queue.size):
                return
            self._together.count += room  # taken while it is loaded: others load at the same time
            try:
                await self._load_some(queue, key, room)
            except NgsiError:
                await asyncio.sleep(RETRY_SECONDS)
                asyncio.get_running_loop().call_soon(self._refill, queue)
                return
            finally:
                self._together.count -= room

    async def _load_some(self, queue: EndpointQueue, key: Key, room: int) -> None:
        subscription = self._lookup(key)
        if subscription is not None and subscription.coalesce:
            await self.parking.coalesce(key)
        rows = await self.parking.load(key, room)
        subscription = self._lookup(key)
        if subscription is None:
            return
        for row in rows:
            job = Job(subscription, row.changes, row.seq, lane=row.lane, row=row.id)
            if subscription.address != queue.address or self._stopping:
                self.park(job)  # changed meanwhile: back again
            elif subscription.throttling:
                self._throttles.offer(job)
            else:
                queue.add(job)

    # --- subscriptions ----------------------------------------------------------------------------------------------

    def changed(self, old: Subscription | None, new: Subscription | None) -> None:
        """Move what waits from one revision of a subscription to the next; None before the first and after the last."""
        if old is None:
            return
        queue = self._queues.get(old.address)
        jobs = self._throttles.take(old.key, forget=new is None) if self.delivering else []
        if queue is not None:
            if self.delivering:
                jobs += queue.withdraw(old.key)
            if new is None or new.address != old.address:
                self._leave(queue, old.key)
        if not self.delivering:
            return
        if new is not None:
            self._move(jobs, new)
            return
        for job in jobs:
            job.settle()
        self.parking.discard(old.key)

    def _leave(self, queue: EndpointQueue, key: Key) -> None:
        """Let the queue of an endpoint go when none that sent to it does any more."""
        users = self._users[queue]
        users.discard(key)
        if not users:
            del self._users[queue], self._queues[queue.address]
            queue.close()

    def _move(self, jobs: list[Job], new: Subscription) -> None:
        jobs.sort(key=lambda job: job.seq)
        parked = any(part.row is not None for job in jobs for part in job.parts)
        for job in jobs:
            for part in job.parts:
                part.subscription = new
            job.subscription = new
            if parked:
                self.park(job)  # loaded from the parking: back to it, for the order's sake
            else:
                self.submit(job)
        self.refill([new.key])

    def forget(self) -> None:
        """Deliver no more, and forget what is in memory: another process delivers it."""
        self.delivering = False
        for task in self._loads.values():
            task.cancel()
        for queue in self._queues.values():
            queue.withdraw_all()
        self._throttles.take_all()
        self.parking.forget_all()

    # --- looking, and the end ---------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """How many jobs are in memory."""
        return sum(queue.size for queue in self._queues.values()) + len(self._throttles)

    @property
    def failing(self) -> int:
        """How many endpoints failed the last time they were sent anything."""
        return sum(queue.failing for queue in self._queues.values())

    async def drain(self, end: float) -> None:
        """Deliver what is in memory, until the loop's time is `end` at most, and park the rest; new jobs are parked.

        Raises TimeoutError when the store does not take what is to be parked.
        """
        loop = asyncio.get_running_loop()
        while any(queue.size and not queue.failing for queue in self._queues.values()) and loop.time() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await self.close()
        for queue in self._queues.values():
            self._put_away(queue)
        for job in self._throttles.take_all():
            self.park(job)
        async with asyncio.timeout(max(end - loop.time(), 5.0)):
            await self.parking.flushed()

    async def close(self) -> None:
        """Send nothing more; what is in memory stays there."""
        self._stopping = True
        for queue in self._queues.values():
            queue.close()
        loads = list(self._loads.values())
        await end(*loads)
        for queue in self._queues.values():
            await queue.ended()
