"""The live feed on a real log: what one process commits is told by all, in order, and after an absence, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import orjson
import pytest

from tests.unit.subscriptions.rig import Rig, value
from tsunagu.broker.errors import BadRequestData, Unavailable
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.operations.feed import FeedEvent, feed_entry
from tsunagu.broker.storage.mongo.tail import MongoTail
from tsunagu.subscriptions.feeds import tail
from tsunagu.subscriptions.feeds.feed import Feeds

Start = Callable[..., Awaitable[Rig]]


def feeds_of(rig: Rig, *, limit: int = 10, alive: float = 5.0) -> Feeds:
    """Give a process feeds."""
    courier, lookup = rig.dispatcher.courier, rig.dispatcher.store.get
    return Feeds(MongoTail(rig.databases, rig.log), rig.leases, courier, lookup, limit=limit, alive=alive)


class Follower:
    """Reads one feed."""

    def __init__(self, events: AsyncIterator[FeedEvent]) -> None:
        self._events = events
        self.ids: list[str] = []
        self.told: list[dict[str, Any]] = []

    async def take(self, count: int) -> list[Any]:
        """Return the levels of the next notifications."""
        async with asyncio.timeout(15):
            before = len(self.told)
            while len(self.told) < before + count:
                event = await anext(self._events)
                self.ids.append(event.id)
                if event.data is not None:
                    self.told.append(orjson.loads(event.data))
        return [one["data"][0]["level"]["value"] for one in self.told[before:]]

    async def opened(self) -> None:
        self.ids.append((await anext(self._events)).id)


@asynccontextmanager
async def following(feeds: Feeds, last: str | None = None, **params: str) -> AsyncIterator[Follower]:
    """Open a feed on the type River."""
    events = feeds.follow("", feed_entry({"type": "River", **params}, CORE), last, live=False)
    async with aclosing(events):
        one = Follower(events)
        await one.opened()
        yield one


async def test_what_happens_is_told(rig: Rig) -> None:
    """Creations, changes and deletions of the entities that are asked for come as notifications, others do not."""
    async with following(feeds_of(rig), q="level>1") as feed:
        await rig.create("a", level=value(1))
        await rig.create("b", level=value(2))
        await rig.patch("a", level=value(3))
        await rig.create("c", type="Lake", level=value(9))
        await rig.entities.delete("", "urn:x:a")
        assert await feed.take(2) == [2, 3]
        event = await anext(feed._events)
        told = orjson.loads(event.data or b"")["data"][0]
        assert (told["id"], "deletedAt" in told) == ("urn:x:a", True)


async def test_all_processes_tell_all_changes_in_order(rigs: Start) -> None:
    """What two processes write to one entity, turn by turn, is told by either in the order of the writing."""
    one, other = await rigs(), await rigs()
    await one.create("a", level=value(0))
    async with following(feeds_of(one)) as here, following(feeds_of(other)) as there:
        for number in range(1, 41):
            await (one if number % 2 else other).patch("a", level=value(number))
        assert await here.take(40) == await there.take(40) == list(range(1, 41))


async def test_a_process_that_comes_later_is_heard(rigs: Start) -> None:
    """What a process writes that started after the feed was opened is told, too."""
    one = await rigs()
    async with following(feeds_of(one)) as feed:
        later = await rigs()
        await later.create("a", level=value(1))
        assert await feed.take(1) == [1]


async def test_a_process_that_was_thought_dead_is_not_told_from_its_beginning(
    rigs: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process with a long history that registers again is followed from then on, not from its first change on."""
    monkeypatch.setattr(tail, "SLACK", 0.0)
    one, other = await rigs(), await rigs()
    await other.create("a", level=value(0))
    home = (await one.leases.writers())[other.writer].home
    await one.leases.remove(other.writer)
    async with following(feeds_of(one)) as feed:
        await one.leases.register(other.writer, home, 0, 60.0)
        await asyncio.sleep(1.5)
        await other.patch("a", level=value(1))
        assert await feed.take(1) == [1]


async def test_who_comes_back_misses_nothing(rigs: Start) -> None:
    """After an absence a follower gets from the log what happened since his last event, each change once."""
    one, other = await rigs(), await rigs()
    await one.create("a", level=value(0))
    await other.create("b", level=value(0))
    async with following(feeds_of(one)) as feed:
        for number in range(1, 4):
            await one.patch("a", level=value(number))
        assert await feed.take(3) == [1, 2, 3]
        last = feed.ids[-2]
    for number in range(4, 30):
        await (one if number % 2 else other).patch("a", level=value(number))
    third = await rigs()
    await third.patch("a", level=value(30))
    async with following(feeds_of(other), last) as again:
        assert await again.take(28) == list(range(3, 31))
        await one.patch("a", level=value(31))
        assert await again.take(1) == [31]
        assert again.told[0]["id"] == feed.told[2]["id"]


async def test_a_long_absence_is_read_in_pages(rigs: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit into one reading of the log comes in several, in order per entity and each change once."""
    monkeypatch.setattr("tsunagu.broker.storage.mongo.tail.AT_ONCE", 7)
    one, other = await rigs(), await rigs()
    async with following(feeds_of(one)) as feed:
        last = feed.ids[0]
    for name in "ab":
        await one.create(name, level=value(0))
    for number in range(1, 30):
        await (one if number % 3 else other).patch("a", level=value(number))
        await (one if number % 2 else other).patch("b", level=value(number))
    async with following(feeds_of(other), last) as again:
        await again.take(60)
    for name in "ab":
        told = [one["data"][0] for one in again.told if one["data"][0]["id"] == f"urn:x:{name}"]
        assert [one["level"]["value"] for one in told] == list(range(30))


async def test_a_slow_follower_is_sent_to_the_log(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not take events while more happens than is kept in memory gets them all the same, in order."""
    monkeypatch.setattr(tail, "KEPT", 5)
    await rig.create("a", level=value(0))
    feeds = feeds_of(rig)
    rig.committer.listener = feeds
    async with following(feeds) as slow, following(feeds) as quick:
        for number in range(1, 31):
            await rig.patch("a", level=value(number))
            assert await quick.take(1) == [number]
        assert len(feeds._tails._tails[""]._kept) == 5
        assert await slow.take(30) == list(range(1, 31))


async def test_an_existing_subscription_is_followed(rig: Rig) -> None:
    """A feed of a subscription tells what it would be told of, by its latest revision, and ends with it."""
    subscribed = await rig.subscribe("http://127.0.0.1:9/", q="level>5", isActive=False)
    entry = await rig.subscriptions.entry("", subscribed)
    events = feeds_of(rig, alive=0.1).follow("", entry, None, live=True)
    feed = Follower(events)
    await feed.opened()
    for number in (1, 6):
        await rig.create(f"a{number}", level=value(number))
    assert await feed.take(1) == [6]
    await rig.subscriptions.update("", subscribed, {"q": "level>8"}, CORE)
    for number in (7, 9):
        await rig.create(f"a{number}", level=value(number))
    assert await feed.take(1) == [9]
    assert feed.told[0]["subscriptionId"] == subscribed
    await rig.subscriptions.delete("", subscribed)
    async with asyncio.timeout(5):
        assert [event.data async for event in events if event.data is not None] == []


async def test_silence_is_broken(rig: Rig) -> None:
    """When nothing happens an event without data moves the id on."""
    async with following(feeds_of(rig, alive=0.05)) as feed:
        first = feed.ids[0]
        event = await anext(feed._events)
        assert event.data is None
        await rig.create("lake", type="Lake", level=value(1))
        async with asyncio.timeout(5):
            while (await anext(feed._events)).id.partition(".")[2] == first.partition(".")[2]:
                pass


async def test_nothing_runs_when_nobody_follows(rig: Rig) -> None:
    """The log is read only while a feed is open; the number of feeds has a limit."""
    feeds = feeds_of(rig, limit=1)
    async with following(feeds):
        assert feeds.open == 1
        with pytest.raises(Unavailable, match="TSUNAGU_FEED_LIMIT"):
            async with following(feeds):
                pass
    assert feeds.open == 0
    assert feeds._tails._tails == {}


async def test_an_id_of_somebody_else_is_refused(rig: Rig) -> None:
    """An event id that is none is BadRequestData."""
    with pytest.raises(BadRequestData, match="Last-Event-ID"):
        async with following(feeds_of(rig), "nonsense"):
            pass
