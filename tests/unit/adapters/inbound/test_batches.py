"""Batches on their way to the commit: several at once, acknowledged in order, none overtaking another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tsunagu.adapters.inbound.batches import Batches
from tsunagu.adapters.message import Message
from tsunagu.adapters.sink import STORED, EntityUpdate, Outcome, SinkUnavailable, Succession

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.adapters.memory import Site


class SlowSink:
    """A sink whose writes are queued at once and committed when the test says so; `queued` has their values."""

    def __init__(self) -> None:
        self.queued: list[list[Any]] = []
        self.futures: list[asyncio.Future[list[Outcome]]] = []

    def write(
        self, tenant: str, updates: Sequence[EntityUpdate], *, succession: Succession | None = None
    ) -> asyncio.Future[list[Outcome]]:
        """Queue updates."""
        assert tenant == ""
        if succession is not None and succession.broken:
            raise SinkUnavailable("out of turn")
        self.queued.append([update.attrs["n"]["value"] for update in updates])
        self.futures.append(asyncio.get_running_loop().create_future())
        return self.futures[-1]

    def commit(self, number: int) -> None:
        """Commit the write with this number, the first is 0."""
        self.futures[number].set_result([STORED] * len(self.queued[number]))

    def fail(self, number: int, succession: Succession) -> None:
        """Fail a write, and those that follow."""
        succession.broken = True
        for future in self.futures[number:]:
            if not future.done():
                future.set_exception(SinkUnavailable("away"))


@pytest.fixture
async def sink(empty_site: Site) -> SlowSink:
    """Give the sink of a site that knows the devices of these tests."""
    await empty_site.store.create_groups("", "/", [{"resource": "/iot/json", "entity_type": "Gauge", "apikey": "k"}])
    empty_site.pipeline.sink = sink = SlowSink()
    return sink


async def start(site: Site, batches: Batches, number: int) -> None:
    """Start a batch of one message."""
    body = orjson.dumps({"n": number})
    message = Message("iotagent_json", body, 1_800_000_000_000, {"apikey": "k", "device": "g"}, "test")
    batches.start([number], await site.pipeline.prepare([message]), len(body))


async def settle(batches: Batches) -> None:
    """Let tasks run, then have the batches settled."""
    for _ in range(5):
        await asyncio.sleep(0)
    await batches.settle()


async def test_batches_wait_in_the_queue_together_and_are_acknowledged_in_order(
    empty_site: Site, sink: SlowSink
) -> None:
    """A batch that is committed before an earlier one is acknowledged after it."""
    done: list[Any] = []
    batches = Batches(empty_site.pipeline, done=done.extend, longest_wait=0.1)
    for number in range(3):
        await start(empty_site, batches, number)
    assert sink.queued == [[0], [1], [2]]
    sink.commit(1)
    await settle(batches)
    assert done == []
    sink.commit(0)
    await settle(batches)
    assert done == [0, 1]
    assert len(batches) == 1
    sink.commit(2)
    await batches.finish()
    assert done == [0, 1, 2]


async def test_what_fails_is_tried_again_before_what_followed(empty_site: Site, sink: SlowSink) -> None:
    """After an outage the batches are written again in their order, once each, also one that came in the meantime."""
    done: list[Any] = []
    batches = Batches(empty_site.pipeline, done=done.extend, longest_wait=0.1)
    for number in range(3):
        await start(empty_site, batches, number)
    sink.commit(0)
    sink.fail(1, batches._succession)
    await start(empty_site, batches, 3)  # before anybody has noticed
    assert sink.queued == [[0], [1], [2]]
    settling = asyncio.create_task(batches.finish())
    for place in (3, 4, 5):
        async with asyncio.timeout(10):
            while len(sink.futures) <= place:
                await asyncio.sleep(0.01)
        assert len(sink.futures) == place + 1
        sink.commit(place)
    await settling
    assert sink.queued[3:] == [[1], [2], [3]]
    assert done == [0, 1, 2, 3]
    assert not batches._succession.broken


async def test_a_fault_of_ours_holds_up_its_batch_and_loses_none(
    empty_site: Site, sink: SlowSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sink that breaks in a way nobody expected is tried again like one that is away."""
    done: list[Any] = []
    batches = Batches(empty_site.pipeline, done=done.extend, longest_wait=0.1)
    with monkeypatch.context() as broken:
        broken.setattr(sink, "write", None)
        await start(empty_site, batches, 0)
    await start(empty_site, batches, 1)
    finishing = asyncio.create_task(batches.finish())
    for place in (0, 1):
        async with asyncio.timeout(10):
            while len(sink.futures) <= place:
                await asyncio.sleep(0.01)
        sink.commit(place)
    await finishing
    assert sink.queued == [[0], [1]]
    assert done == [0, 1]


async def test_what_is_abandoned_is_not_acknowledged(empty_site: Site, sink: SlowSink) -> None:
    """A door that stops in the middle of a commit acknowledges nothing of it."""
    done: list[Any] = []
    batches = Batches(empty_site.pipeline, done=done.extend, longest_wait=0.1)
    await start(empty_site, batches, 0)
    assert (batches.messages, batches.size) == (1, len(b'{"n":0}'))
    await asyncio.sleep(0)
    await batches.abandon()
    assert not batches
    assert done == []
