"""Batches of a door on their way to the commit: several at once, acknowledged in the order of their arrival.

While one batch is being committed the next ones wait in the store's queue already, so that a group can follow a group
without a pause, and two of different entities can be in flight. No batch overtakes another: once one could not be
committed, those behind it fail too, and all are tried again one after the other, for ever.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from tsunagu.adapters.sink import SinkUnavailable, Succession
from tsunagu.background import end

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tsunagu.adapters.pipeline import Pipeline
    from tsunagu.adapters.work import Work

T = TypeVar("T")

FIRST_PAUSE = 0.1

log = structlog.get_logger(__name__)


async def persist(step: Callable[[], Awaitable[T]], *, longest_wait: float) -> T:
    """Try a step until it is done: what is not committed must not be lost, whatever the reason."""
    wait = FIRST_PAUSE
    while True:
        try:
            return await step()
        except SinkUnavailable as unavailable:
            log.warning("device messages wait for the broker", reason=str(unavailable), seconds=round(wait, 1))
        except Exception:
            log.exception("device messages wait: a fault of the broker", seconds=round(wait, 1))
        await asyncio.sleep(wait)
        wait = min(wait * 2, longest_wait)


@dataclass(slots=True)
class Batch:
    """What arrived together, as the door and as the pipeline know it, its bytes, and its way through the commit."""

    arrivals: Sequence[Any]
    work: Sequence[Work]
    size: int
    committing: asyncio.Task[None]


class Batches:
    """The batches under way. `done` is called with the arrivals of each once it, and all before it, are committed."""

    def __init__(self, pipeline: Pipeline, *, done: Callable[[Sequence[Any]], None], longest_wait: float) -> None:
        self._pipeline = pipeline
        self._done = done
        self._longest_wait = longest_wait
        self._under_way: deque[Batch] = deque()
        self._succession = Succession()

    def __len__(self) -> int:
        """How many batches are under way."""
        return len(self._under_way)

    @property
    def messages(self) -> int:
        """How many messages are under way."""
        return sum(len(batch.arrivals) for batch in self._under_way)

    @property
    def size(self) -> int:
        """The bytes of payload that are under way."""
        return sum(batch.size for batch in self._under_way)

    def start(self, arrivals: Sequence[Any], work: Sequence[Work], size: int) -> None:
        """Queue a batch, with so many bytes of payload, behind those that are under way."""
        commit = self._pipeline.commit(work, self._succession)
        self._under_way.append(Batch(arrivals, work, size, asyncio.create_task(commit, name="mqtt-commit")))

    async def wait(self, arrived: asyncio.Event) -> None:
        """Wait until something arrived, or the first batch has come to an end one way or the other."""
        arriving = asyncio.create_task(arrived.wait())
        await asyncio.wait({arriving, self._under_way[0].committing}, return_when=asyncio.FIRST_COMPLETED)
        arriving.cancel()

    async def settle(self) -> None:
        """Hand on what is committed; if the first batch failed, bring all that are under way to their commit."""
        while self._under_way and self._under_way[0].committing.done():
            if self._under_way[0].committing.exception() is not None:
                await self._again()
                return
            self._done(self._under_way.popleft().arrivals)

    async def finish(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way:
            await asyncio.wait({self._under_way[0].committing})
            await self.settle()

    async def abandon(self) -> None:
        """Give up what is under way; it is not acknowledged."""
        await end(*(batch.committing for batch in self._under_way))
        self._under_way.clear()
        self._succession = Succession()

    async def _again(self) -> None:
        """Try the batches under way again, one after the other."""
        await asyncio.wait({batch.committing for batch in self._under_way})
        self._succession.broken = False
        while self._under_way:
            batch = self._under_way[0]
            if batch.committing.exception() is not None:
                await persist(lambda batch=batch: self._pipeline.commit(batch.work), longest_wait=self._longest_wait)  # type: ignore[misc]
            self._done(self._under_way.popleft().arrivals)
