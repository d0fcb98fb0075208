"""The queue of one endpoint: what waits for it, what is on its way, and when it may be tried again.

Jobs of one lane (a subscription and an entity) go one after the other. While a notification is on its way, lanes that
become ready gather, and go together in the next one: different entities, never two jobs of one lane. The next one does
not wait for the answer when many have gathered (`further`), or when the answer takes longer than `gather`; the policy's
`concurrency` bounds how many are on their way. So a lone change goes at once, and a busy endpoint gets few, full
notifications. An endpoint that fails gets one probe at a time, after growing pauses, until it answers.

What an endpoint refuses while it takes others (a body it does not like) holds up that lane only: it is tried again for
the policy's `refusal` and then given up; what follows in the lane is then tried once each, until something is taken. An
endpoint that refuses everything is failing.

The queue knows nothing of notifications' form: `deliver` sends a batch and says what became of it. It never raises.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tsunagu.subscriptions.job import Job
    from tsunagu.subscriptions.policy import DeliveryPolicy
    from tsunagu.subscriptions.transports.transport import Result

Key = tuple[str, str]


class Lane:
    """The jobs of one subscription and entity, in order; `failures` of the first one, refused since `refused`."""

    __slots__ = ("failures", "jobs", "name", "refused", "timer")

    def __init__(self, name: str) -> None:
        self.name = name
        self.jobs: list[Job] = []  # mostly one: a list is made in a quarter of a deque's time and memory
        self.failures = 0
        self.refused: float | None = None
        self.timer: asyncio.TimerHandle | None = None


@dataclass(slots=True, eq=False)
class Batch:
    """The first jobs of some lanes of one subscription, sent in one notification by `worker`."""

    subscription: Key
    lanes: list[Lane]
    jobs: list[Job]
    started: float = 0.0
    worker: asyncio.Task[None] | None = None


@dataclass(slots=True)
class Hooks:
    """What the owner of a queue does for it.

    `deliver` sends a batch; `delivered` hears of jobs that arrived, `gave_up` of jobs that are to be tried no more,
    with the reason; `failing` is called when the endpoint has not answered for the policy's patience; `drained` when
    nothing of some subscription is left in memory, and when an empty queue may be tried again.
    """

    deliver: Callable[[list[Job]], Coroutine[None, None, Result]]
    delivered: Callable[[list[Job]], None]
    gave_up: Callable[[list[Job], str], None]
    failing: Callable[[EndpointQueue], None]
    drained: Callable[[EndpointQueue], None]


class Together:
    """How many jobs all queues of a process hold."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class EndpointQueue:
    """See the module's docstring. All methods belong to the event loop's thread."""

    def __init__(
        self,
        tenant: str,
        uri: str,
        policy: DeliveryPolicy,
        hooks: Hooks,
        *,
        wall: Callable[[], float],
        together: Together,
    ) -> None:
        self.address = (tenant, uri)
        self.uri = uri
        self._policy = policy
        self._hooks = hooks
        self._wall = wall
        self._together = together
        self._loop = asyncio.get_running_loop()
        self._lanes: dict[Key, dict[str, Lane]] = {}
        self._ready: dict[Key, deque[Lane]] = {}
        self._waiting = 0
        self._again: deque[Batch] = deque()
        self._flying: set[Batch] = set()
        self._workers: set[asyncio.Task[None]] = set()
        self._starting = False
        self._gathering: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._failed_at = 0.0
        self._failing_since: float | None = None
        self._refusing_since: float | None = None
        self.failures = 0
        self.size = 0
        self.closed = False

    # --- putting in and taking out --------------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether as many jobs are in memory as may be: of this queue, or of all together where it has its share."""
        policy = self._policy
        return self.size >= policy.queue or (self.size >= policy.share and self._together.count >= policy.memory)

    @property
    def failing(self) -> bool:
        """Whether the last attempt failed."""
        return self.failures > 0

    @property
    def exhausted(self) -> bool:
        """Whether the endpoint has not answered for longer than the policy's patience."""
        return self._failing_since is not None and self._loop.time() - self._failing_since >= self._policy.patience

    @property
    def resting(self) -> bool:
        """Whether the endpoint is being left alone for a while."""
        return self._timer is not None

    @property
    def flying(self) -> int:
        """How many notifications are on their way."""
        return len(self._flying)

    def add(self, job: Job) -> None:
        """Put a job at the end of its lane."""
        key = job.subscription.key
        lanes = self._lanes.get(key)
        if lanes is None:
            lanes = self._lanes[key] = {}
        lane = lanes.get(job.lane)
        if lane is None:
            lane = lanes[job.lane] = Lane(job.lane)
            lane.jobs.append(job)
            self._make_ready(key, lane)
            self._count(1)
        elif (job.subscription.coalesce or job.fleeting) and len(lane.jobs) > 1:
            self._hooks.delivered([lane.jobs.pop()])  # superseded
            lane.jobs.append(job)
        else:
            lane.jobs.append(job)
            self._count(1)
        self._pump()

    def _count(self, more: int) -> None:
        self.size += more
        self._together.count += more

    def withdraw(self, key: Key) -> list[Job]:
        """Take all jobs of a subscription out, in order; what is on its way is broken off."""
        for batch in [batch for batch in self._flying if batch.subscription == key]:
            self._flying.discard(batch)
            if batch.worker is not None:
                batch.worker.cancel()
        self._again = deque(batch for batch in self._again if batch.subscription != key)
        self._waiting -= len(self._ready.pop(key, ()))
        jobs: list[Job] = []
        for lane in self._lanes.pop(key, {}).values():
            if lane.timer is not None:
                lane.timer.cancel()
            jobs.extend(lane.jobs)
        self._count(-len(jobs))
        jobs.sort(key=lambda job: job.seq)
        return jobs

    def withdraw_all(self) -> list[Job]:
        """Take everything out, in order."""
        jobs = [job for key in list(self._lanes) for job in self.withdraw(key)]
        jobs.sort(key=lambda job: job.seq)
        return jobs

    def holds(self, key: Key) -> bool:
        """Tell whether any job of a subscription is in memory."""
        return key in self._lanes

    # --- the work ---------------------------------------------------------------------------------------------------

    def _make_ready(self, key: Key, lane: Lane) -> None:
        waiting = self._ready.get(key)
        if waiting is None:
            waiting = self._ready[key] = deque()
        waiting.append(lane)
        self._waiting += 1

    @property
    def _allowed(self) -> int:
        return 1 if self.failures else self._policy.concurrency

    def _pump(self) -> None:
        """Start a worker if something waits that should not wait longer; none while the endpoint is left alone."""
        if self._starting or self._timer is not None or self.closed or not (self._waiting or self._again):
            return
        if not self._workers or self._waiting >= self._policy.further:
            self._spawn()
        elif self._gathering is None:
            self._gathering = self._loop.call_later(self._policy.gather, self._gathered)

    def _gathered(self) -> None:
        """Wait no longer for answers to what is on its way."""
        self._gathering = None
        if not self._starting and self._timer is None and not self.closed and (self._waiting or self._again):
            self._spawn()

    def _spawn(self) -> None:
        if len(self._workers) >= self._allowed:
            return
        self._starting = True
        task = self._loop.create_task(self._work())
        self._workers.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._workers.discard(task)
        self._starting = False  # also where it was cancelled before it began
        if not task.cancelled() and task.exception() is not None:
            self._loop.call_exception_handler({"message": "a delivery worker failed", "exception": task.exception()})
        if not (self.failures and self._flying):
            self._pump()

    async def _work(self) -> None:
        worker = asyncio.current_task()
        self._starting = False
        while (batch := self._take()) is not None:
            self._pump()
            batch.worker = worker
            batch.started = self._loop.time()
            self._flying.add(batch)
            try:
                result = await self._hooks.deliver(batch.jobs)
            except asyncio.CancelledError:
                if batch in self._flying:
                    raise
                return  # withdrawn: the jobs have another owner now
            if batch not in self._flying:
                return
            self._flying.discard(batch)
            if result.told is not None:
                self._shorten(batch, result.told)
            if result.ok:
                self._delivered(batch)
            elif result.refused:
                self._refused(batch, result)
            else:
                self._failed(batch, result)

    def _shorten(self, batch: Batch, count: int) -> None:
        """Leave the first `count` jobs in a batch; the others did not fit, and are ready again."""
        rest = batch.lanes[count:]
        del batch.lanes[count:], batch.jobs[count:]
        for lane in rest:
            self._make_ready(batch.subscription, lane)

    def _take(self) -> Batch | None:
        """Take the next batch: one that failed before, or ready lanes of the subscription whose turn it is."""
        if self._timer is not None or self.closed:
            return None
        if self.failures and self._flying:
            return None
        if self._again:
            return self._again.popleft()
        if not self._ready:
            return None
        key = next(iter(self._ready))
        waiting = self._ready.pop(key)
        before = len(waiting)
        lanes: list[Lane] = []
        while waiting and len(lanes) < self._policy.group:
            lane = waiting.popleft()
            if lane.failures or lane.name == "":
                # What was refused, and what is a group of its own, goes alone.
                if lanes:
                    waiting.append(lane)
                else:
                    lanes.append(lane)
                break
            lanes.append(lane)
        self._waiting -= before - len(waiting)
        if waiting:
            self._ready[key] = waiting  # at the end: subscriptions take turns
        return Batch(key, lanes, [lane.jobs[0] for lane in lanes])

    def _next(self, key: Key, lane: Lane) -> None:
        """Go on with a lane after its first job has left."""
        lane.failures = 0
        del lane.jobs[0]
        self._count(-1)
        if lane.jobs:
            self._make_ready(key, lane)
            return
        lanes = self._lanes.get(key)
        if lanes is not None and lanes.get(lane.name) is lane:
            del lanes[lane.name]
            if not lanes:
                del self._lanes[key]
                self._hooks.drained(self)

    def _answered(self) -> None:
        """Note that the endpoint answers."""
        self._failing_since = None
        if self.failures:
            self.failures = 0
            self._pump()

    def _delivered(self, batch: Batch) -> None:
        self._refusing_since = None
        for lane in batch.lanes:
            lane.refused = None
            self._next(batch.subscription, lane)
        self._hooks.delivered(batch.jobs)
        self._answered()

    def _refused(self, batch: Batch, result: Result) -> None:
        """Try each lane of a refused batch again, alone and later; give up what was refused for too long."""
        now = self._loop.time()
        if self._refusing_since is None:
            self._refusing_since = now
        if now - self._refusing_since >= self._policy.patience:
            self._failing_since = self._refusing_since
            self._failed(batch, result)
            return
        for lane, job in zip(batch.lanes, batch.jobs, strict=True):
            if lane.refused is None:
                lane.refused = now
            if job.fleeting or now - lane.refused >= self._policy.refusal:
                self._next(batch.subscription, lane)
                self._hooks.gave_up([job], result.reason)
                continue
            lane.failures += 1
            delay = 0.0 if len(batch.lanes) > 1 else max(self._policy.delay(lane.failures), result.retry_after or 0.0)
            lane.timer = self._loop.call_later(delay, self._rested, batch.subscription, lane)
        self._answered()

    def _rested(self, key: Key, lane: Lane) -> None:
        lane.timer = None
        self._make_ready(key, lane)
        self._pump()

    def _failed(self, batch: Batch, result: Result) -> None:
        """Leave the endpoint alone for a while; the batch goes first, and as it is, when it is tried again."""
        now = self._loop.time()
        oldest = self._wall() - self._policy.give_up
        if all(job.since < oldest or job.fleeting for job in batch.jobs):
            for lane in batch.lanes:
                self._next(batch.subscription, lane)
            self._hooks.gave_up(batch.jobs, result.reason)
        else:
            self._again.append(batch)
        if batch.started >= self._failed_at:
            # Several that were on their way together fail as one.
            self.failures += 1
            self._failed_at = now
            if self._failing_since is None:
                self._failing_since = batch.started
            cooldown = batch.jobs[0].subscription.plan.endpoint.cooldown
            self._rest(max(self._policy.delay(self.failures), cooldown, result.retry_after or 0.0))
        if self.exhausted:
            self._hooks.failing(self)

    def _rest(self, delay: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay, self._wake)

    def _wake(self) -> None:
        self._timer = None
        if self.size:
            self._pump()
        else:
            self._hooks.drained(self)

    def close(self) -> None:
        """Stop at once; what is in memory stays there for `withdraw_all`."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._gathering is not None:
            self._gathering.cancel()
        for task in list(self._workers):
            task.cancel()

    async def ended(self) -> None:
        """Wait until no worker is left."""
        await asyncio.gather(*self._workers, return_exceptions=True)
