"""The queue of one endpoint: order, concurrency, grouping, pauses."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.subscriptions.samples import change, subscription
from tsunagu.subscriptions.job import Job
from tsunagu.subscriptions.policy import DeliveryPolicy
from tsunagu.subscriptions.queue import EndpointQueue, Hooks, Together
from tsunagu.subscriptions.transports.transport import Result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tsunagu.subscriptions.subscription import Subscription

POLICY = DeliveryPolicy(concurrency=2, first_delay=0.02, longest_delay=0.05, jitter=0.0, patience=0.15)
WELL = Result(ok=True, status=200)
AWAY = Result(ok=False, reason="connection refused")


class Endpoint:
    """Stands for the far end of a queue: notes what it is sent, and answers what the test says."""

    def __init__(self, policy: DeliveryPolicy = POLICY) -> None:
        self.batches: list[list[str]] = []
        self.arrived: list[str] = []
        self.given_up: list[str] = []
        self.failing = 0
        self.drained = 0
        self.flying = 0
        self.most_flying = 0
        self.results: list[Result] = []
        self.delay = 0.0
        self.gate: asyncio.Event | None = None
        self.numbers = iter(range(1_000_000))
        hooks = Hooks(self.deliver, self.delivered, self.gave_up, self.failed, self.empty)
        self.queue = EndpointQueue("", "http://far.example/", policy, hooks, wall=time.time, together=Together())

    async def deliver(self, jobs: list[Job]) -> Result:
        self.batches.append([name(job) for job in jobs])
        self.flying += 1
        self.most_flying = max(self.most_flying, self.flying)
        try:
            if self.gate is not None:
                await self.gate.wait()
            await asyncio.sleep(self.delay)
        finally:
            self.flying -= 1
        return self.results.pop(0) if self.results else WELL

    def delivered(self, jobs: list[Job]) -> None:
        self.arrived.extend(map(name, jobs))

    def gave_up(self, jobs: list[Job], reason: str) -> None:
        self.given_up.extend(map(name, jobs))

    def failed(self, queue: EndpointQueue) -> None:
        self.failing += 1

    def empty(self, queue: EndpointQueue) -> None:
        self.drained += 1

    def send(self, to: Subscription, entity: str, **options: Any) -> None:
        number = next(self.numbers)
        job = Job(to, (change(entity, number=number, **options),), number, lane=entity)
        self.queue.add(job)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(3):
            while len(self.arrived) + len(self.given_up) < count:
                await asyncio.sleep(0.002)


def name(job: Job) -> str:
    return f"{job.changes[0].entity_id}{job.changes[0].number}"


@pytest.fixture
async def far() -> Iterator[Endpoint]:
    """Give an endpoint that is well."""
    one = Endpoint()
    yield one
    one.queue.close()
    await one.queue.ended()


async def test_jobs_of_one_lane_go_one_after_the_other(far: Endpoint) -> None:
    """The jobs of one subscription and entity are never on their way together, and arrive in order."""
    to = subscription()
    far.delay = 0.002
    for _ in range(10):
        far.send(to, "e")
    await far.until(10)
    assert far.most_flying == 1
    assert far.arrived == [f"e{number}" for number in range(10)]


async def test_lanes_go_side_by_side_up_to_the_limit(far: Endpoint) -> None:
    """Different entities are sent at the same time, as many notifications as the policy allows."""
    far.delay = 0.05
    for number in range(6):
        far.send(subscription(id=f"urn:s:{number}"), f"e{number}-")
    await far.until(6)
    assert far.most_flying == 2


async def test_entities_that_wait_travel_together(far: Endpoint) -> None:
    """What waits while a notification is on its way goes in the next one, but never one entity twice."""
    to = subscription()
    far.gate = asyncio.Event()
    far.send(to, "a")
    await asyncio.sleep(0.001)
    for entity in "bcdefcdef":
        far.send(to, entity)
    far.gate.set()
    await far.until(10)
    assert far.batches[0] == ["a0"]
    assert max(map(len, far.batches)) > 1
    assert all(len({one[0] for one in batch}) == len(batch) for batch in far.batches)
    assert sorted(far.arrived) == sorted(["a0", "b1", "c2", "d3", "e4", "f5", "c6", "d7", "e8", "f9"])


async def test_what_does_not_fit_goes_in_the_next_one(far: Endpoint) -> None:
    """Of a batch that is too large the first jobs go; the others follow, also after a failure."""
    to = subscription()
    far.results = [replace(WELL, told=2), replace(AWAY, told=1)]
    for entity in "abcd":
        far.send(to, entity)
    await far.until(4)
    assert far.batches == [["a0", "b1", "c2", "d3"], ["c2", "d3"], ["c2"], ["d3"]]
    assert far.arrived == ["a0", "b1", "c2", "d3"]


async def test_what_comes_at_once_travels_together(far: Endpoint) -> None:
    """Entities that change in one commit share a notification also while nothing is on its way."""
    to = subscription()
    for entity in "abc":
        far.send(to, entity)
    await far.until(3)
    assert far.batches == [["a0", "b1", "c2"]]


async def test_a_slow_answer_holds_nobody_up(far: Endpoint) -> None:
    """A notification goes beside one that is not answered yet, after the time that the policy lets changes gather."""
    to = subscription()
    far.gate = asyncio.Event()
    far.send(to, "a")
    await asyncio.sleep(0.001)
    far.send(to, "b")
    async with asyncio.timeout(3):
        while far.most_flying < 2:
            await asyncio.sleep(0.002)
    far.gate.set()
    await far.until(2)
    assert far.batches == [["a0"], ["b1"]]


async def test_many_do_not_wait_for_an_answer(far: Endpoint) -> None:
    """When enough entities wait, their notification goes at once beside the one on its way."""
    far.queue.close()
    far = Endpoint(replace(POLICY, gather=60.0))
    to = subscription()
    far.gate = asyncio.Event()
    far.send(to, "a")
    await asyncio.sleep(0.001)
    for number in range(16):
        far.send(to, f"e{number}-")
    async with asyncio.timeout(3):
        while far.most_flying < 2:
            await asyncio.sleep(0.002)
    far.gate.set()
    await far.until(17)
    far.queue.close()
    await far.queue.ended()


async def test_a_failed_notification_is_tried_again_as_it_was(far: Endpoint) -> None:
    """After a failure the same batch goes first, unchanged, so that it has the same id."""
    to = subscription()
    far.results = [AWAY, AWAY]
    far.send(to, "a")
    await far.until(1)
    assert far.batches == [["a0"], ["a0"], ["a0"]]


async def test_a_failing_endpoint_gets_one_probe_at_a_time(far: Endpoint) -> None:
    """While an endpoint fails, only one notification at a time is tried."""
    far.results = [AWAY] * 3
    far.delay = 0.005
    far.send(subscription(id="urn:s:0"), "a")
    await asyncio.sleep(0.01)
    far.most_flying = 0
    for number in range(5):
        far.send(subscription(id=f"urn:s:{number}"), f"e{number}")
    await asyncio.sleep(0.03)
    assert far.most_flying == 1
    await far.until(6)


async def test_failures_together_count_as_one(far: Endpoint) -> None:
    """Several notifications that were on their way when an endpoint fell make one failure, not several."""
    far.gate = asyncio.Event()
    far.results = [AWAY, AWAY]
    far.send(subscription(id="urn:s:0"), "a")
    far.send(subscription(id="urn:s:1"), "b")
    await asyncio.sleep(0.01)
    far.gate.set()
    await asyncio.sleep(0.005)
    assert far.queue.failures == 1
    await far.until(2)


async def test_a_refused_body_holds_up_its_lane_only(far: Endpoint) -> None:
    """What the endpoint refuses while it is well is tried again later; other entities go on meanwhile."""
    to = subscription()
    far.results = [Result(ok=False, status=400, reason="400", refused=True)]
    far.send(to, "a")
    await asyncio.sleep(0.005)
    far.send(to, "a")
    far.send(to, "b")
    await far.until(3)
    assert far.arrived == ["b2", "a0", "a1"]


async def test_a_refused_group_is_tried_one_by_one(far: Endpoint) -> None:
    """A group that is refused is taken apart, so that one bad entity does not hold up the others."""
    to = subscription()
    far.gate = asyncio.Event()
    for entity in "ab":
        far.send(to, entity)
    await asyncio.sleep(0.01)
    for entity in "cdef":
        far.send(to, entity)
    far.results = [WELL, WELL, Result(ok=False, status=422, reason="422", refused=True)]
    far.gate.set()
    await far.until(6)
    groups = [batch for batch in far.batches if len(batch) > 1]
    assert groups
    assert sorted(far.arrived) == ["a0", "b1", "c2", "d3", "e4", "f5"]


async def test_an_old_notification_is_given_up() -> None:
    """A notification that fails and is older than the policy allows is given up, and the next one tried."""
    far = Endpoint(replace(POLICY, give_up=60.0))
    far.results = [AWAY]
    to = subscription()
    far.send(to, "a", at=1)
    far.send(to, "a")
    await far.until(2)
    assert far.given_up == ["a0"]
    assert far.arrived == ["a1"]
    far.queue.close()


async def test_patience_ends(far: Endpoint) -> None:
    """An endpoint that did not answer for as long as the policy is patient is reported as failing."""
    far.results = [AWAY] * 1000
    far.send(subscription(), "a")
    await asyncio.sleep(0.1)
    assert not far.failing
    await asyncio.sleep(0.25)
    assert far.failing
    assert far.queue.exhausted


async def test_withdrawn_jobs_come_back_in_order(far: Endpoint) -> None:
    """What is withdrawn of a subscription, also what was on its way, comes back in order, and nothing more is sent."""
    far.gate = asyncio.Event()
    mine, other = subscription(id="urn:s:mine"), subscription(id="urn:s:other")
    for entity in "aabb":
        far.send(mine, entity)
    far.send(other, "c")
    await asyncio.sleep(0.01)
    assert [name(job) for job in far.queue.withdraw(mine.key)] == ["a0", "a1", "b2", "b3"]
    far.gate.set()
    await far.until(1)
    await asyncio.sleep(0.01)
    assert far.arrived == ["c4"]
    assert far.queue.size == 0


async def test_coalescing_keeps_the_latest(far: Endpoint) -> None:
    """Of the changes of one entity that wait for a coalescing subscription only the latest is sent."""
    far.gate = asyncio.Event()
    to = subscription(coalesce=True)
    for _ in range(10):
        far.send(to, "a")
    await asyncio.sleep(0.01)
    far.gate.set()
    await far.until(10)
    assert far.batches == [["a0"], ["a9"]]


async def test_retry_after_is_honoured(far: Endpoint) -> None:
    """The pause after a failure is at least what the endpoint asked for."""
    far.results = [Result(ok=False, status=503, reason="503", retry_after=0.2)]
    started = time.monotonic()
    far.send(subscription(), "a")
    await far.until(1)
    assert time.monotonic() - started >= 0.2


async def test_cooldown_is_honoured(far: Endpoint) -> None:
    """The pause after a failure is at least the subscription's cooldown."""
    far.results = [AWAY]
    started = time.monotonic()
    far.send(subscription(cooldown=200), "a")
    await far.until(1)
    assert time.monotonic() - started >= 0.2


async def test_what_is_refused_for_long_is_given_up() -> None:
    """An entity whose notifications are refused while others are taken is given up after a while, one by one."""
    far = Endpoint(replace(POLICY, refusal=0.1, patience=60.0))
    to = subscription()

    async def picky(jobs: list[Job]) -> Result:
        far.batches.append([name(job) for job in jobs])
        return Result(ok=False, status=422, reason="422", refused=True) if name(jobs[0]).startswith("bad") else WELL

    far.queue._hooks.deliver = picky
    for entity in ("bad", "bad", "bad", "good"):
        far.send(to, entity)
    await far.until(4)
    assert far.given_up == ["bad0", "bad1", "bad2"]
    assert far.arrived == ["good3"]
    assert far.batches.count(["bad0"]) > 2
    assert far.batches.count(["bad1"]) == 1
    far.queue.close()


async def test_an_endpoint_that_refuses_everything_is_failing(far: Endpoint) -> None:
    """An endpoint that refused all it was sent for as long as the policy is patient counts as failing."""
    far.results = [Result(ok=False, status=400, reason="400", refused=True)] * 1000
    for entity in "abc":
        far.send(subscription(id=f"urn:s:{entity}"), entity)
    await asyncio.sleep(0.1)
    assert not far.failing
    await asyncio.sleep(0.25)
    assert far.failing
    assert far.given_up == []
