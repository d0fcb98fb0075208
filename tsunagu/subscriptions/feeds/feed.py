"""One follower's stream of changes: those that a subscription, or conditions like one's, would be told of.

A follower reads the changes that the tail keeps in memory. One who comes back, or does not keep up, reads the log from
where he stands until he has caught up; nothing is kept for him meanwhile, so that a slow reader costs nothing.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tsunagu.broker.errors import NgsiError, Unavailable
from tsunagu.broker.operations.feed import FeedEvent
from tsunagu.subscriptions.feeds.cursor import SLACK, Cursor, parse_cursor
from tsunagu.subscriptions.feeds.tail import RETRY_SECONDS, News, Tail, Tails
from tsunagu.subscriptions.review import Only
from tsunagu.subscriptions.subscription import subscription_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence

    from prometheus_client import Metric

    from tsunagu.broker.changes import Change, ChangeTail, TailReader
    from tsunagu.broker.operations.subscription_form import Entry
    from tsunagu.broker.storage.leases import Leases
    from tsunagu.subscriptions.courier import Courier
    from tsunagu.subscriptions.subscription import Subscription

    Lookup = Callable[[tuple[str, str]], Subscription | None]

log = structlog.get_logger(__name__)

ALIVE_SECONDS = 15.0
AT_ONCE = 100


class Feeds(Collector):
    """The feeds of a process; see `operations.feed.Feeds`. `lookup` returns the present revision of a subscription."""

    def __init__(
        self,
        changes: ChangeTail,
        leases: Leases,
        courier: Courier,
        lookup: Lookup,
        *,
        limit: int,
        alive: float = ALIVE_SECONDS,
    ) -> None:
        self._tails = Tails(changes, leases)
        self._courier = courier
        self._lookup = lookup
        self._limit = limit
        self._alive = alive

    @property
    def open(self) -> int:
        """How many feeds are open in this process."""
        return self._tails.followers

    def collect(self) -> Iterable[Metric]:
        """Return the metrics, for a registry of Prometheus."""
        yield GaugeMetricFamily("tsunagu_feeds_open", "Live feeds open in this process", value=self.open)

    def committed(self, changes: Sequence[Change]) -> None:
        """Take note that this process has committed changes of one tenant; see `ChangeListener`."""
        self._tails.committed(changes)

    async def follow(
        self, tenant: str, wanted: Entry, last: str | None, *, live: bool
    ) -> AsyncGenerator[FeedEvent, None]:
        """Yield what happens from the event `last` on, or from now on; see `operations.feed.Feeds`."""
        if self.open >= self._limit:
            raise Unavailable(f"{self._limit} feeds are open here already (TSUNAGU_FEED_LIMIT); try again later", 10)
        interest = _Interest(subscription_of(tenant, wanted), self._lookup if live else None)
        cursor = parse_cursor(last, now=time.monotonic()) if last is not None else None
        async with self._tails.follow(tenant) as tail:
            follower = _Follower(tail, cursor or tail.cursor.copy(), interest, self._courier)
            if cursor is not None:
                follower.behind = True
                started = await tail.changes.started(tenant, cursor.at - int(SLACK * 1000))
                cursor.meet(dict.fromkeys(started, 0), time.monotonic())
            async for event in follower.events(self._alive):
                yield event


class _Interest:
    """What a follower wants to hear of: a subscription, followed from revision to revision if `lookup` is given."""

    def __init__(self, first: Subscription, lookup: Lookup | None) -> None:
        self._lookup = lookup
        self._met = False
        self._only = Only(first)

    def present(self) -> Only | None:
        """Return what is wanted now, None when the subscription is gone."""
        if self._lookup is None:
            return self._only
        found = self._lookup(self._only.subscription.key)
        if found is None:
            return None if self._met else self._only  # this process may hear of a new one a moment later
        self._met = True
        if found is not self._only.subscription:
            self._only = Only(found)
        return self._only


class _Follower:
    """Where one follower stands: `cursor` in the log, `number` in the tail, unless he is `behind` it."""

    def __init__(self, tail: Tail, cursor: Cursor, interest: _Interest, courier: Courier) -> None:
        self._tail = tail
        self._cursor = cursor
        self._interest = interest
        self._courier = courier
        self._reader: TailReader | None = None
        self._number = tail.end
        self.behind = False

    async def events(self, alive: float) -> AsyncIterator[FeedEvent]:
        """Yield the events, and the cursor when there was none for `alive` seconds."""
        yield FeedEvent(str(self._cursor))
        told = time.monotonic()
        while self._interest.present() is not None:
            for news in await self._next(max(told + alive - time.monotonic(), 0.0)):
                event = await self._told(news)
                if event is not None:
                    yield event
                    told = time.monotonic()
            if time.monotonic() - told >= alive:
                yield FeedEvent(str(self._cursor))
                told = time.monotonic()

    async def _next(self, seconds: float) -> list[News]:
        """Return changes that come next, from the tail or the log; none when there were none for some seconds."""
        if self.behind or self._number < self._tail.first:
            try:
                return await self._from_log()
            except NgsiError as error:
                log.warning("feed_waits", reason=error.detail)
                await asyncio.sleep(RETRY_SECONDS)
                return []
        if self._number == self._tail.end:
            self._cursor.meet(self._tail.writers, time.monotonic())
            self._cursor.settle(self._tail.cursor.at, time.monotonic())
            await self._tail.wait(self._number, seconds)
        first, self._number = self._number, min(self._tail.end, self._number + AT_ONCE)
        if first < self._tail.first:
            self._number = first
            return []
        return [self._tail.at(number) for number in range(first, self._number)]

    async def _from_log(self) -> list[News]:
        """Return what the log has next; when that is all there is, the tail has what follows."""
        if self._reader is None:
            self._reader = self._tail.changes.reader(self._tail.tenant)
        self.behind = True
        self._cursor.meet(self._tail.writers, time.monotonic())
        number = self._tail.end
        found, complete = await self._reader.read(self._cursor.positions(time.monotonic()))
        if complete:
            self._number, self.behind, self._reader = number, False, None
        return [News(one) for one in found]

    async def _told(self, news: News) -> FeedEvent | None:
        """Return the event of a change that was not told yet, None if it is not wanted."""
        change = news.change
        if not self._cursor.passed(*news.key, time.monotonic()) or change is None:
            return None
        only = self._interest.present()
        if only is None or not only.concerned(change, news.effect):
            return None
        message = await self._courier.compose(only.subscription, [(change, news.shared)])
        return None if message is None else FeedEvent(str(self._cursor), message.body)
