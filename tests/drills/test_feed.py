"""The live feed while workers are killed: who follows and comes back has every change, in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from tests.drills.broker import broker
from tests.drills.harness import LONG, eventually
from tests.drills.load import Load, history

pytestmark = pytest.mark.drill


@dataclass
class Page:
    """What a page with an EventSource does: follows, and after a break comes back with the last id that it had."""

    url: str
    told: dict[str, list[int]] = field(default_factory=dict)
    repeats: int = 0
    breaks: int = 0
    last: str = ""
    _seen: set[str] = field(default_factory=set)

    async def follow(self) -> None:
        """Follow until cancelled."""
        timeout = aiohttp.ClientTimeout(total=None, connect=5)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                    await self._read(session)
                self.breaks += 1
                await asyncio.sleep(0.2)

    async def _read(self, session: aiohttp.ClientSession) -> None:
        headers = {"Last-Event-ID": self.last} if self.last else {}
        async with session.get(f"{self.url}/tsunagu/v1/feed?type=Gauge", headers=headers) as answer:
            assert answer.status in (200, 503), await answer.text()
            identity = ""
            async for line in answer.content:
                if line.startswith(b"id: "):
                    identity = line[4:].decode().strip()
                elif line.startswith(b"data: "):
                    self._take(json.loads(line[6:]))
                elif line == b"\n" and identity:
                    self.last = identity

    def _take(self, told: dict[str, object]) -> None:
        if told["id"] in self._seen:
            self.repeats += 1
            return
        self._seen.add(str(told["id"]))
        for entity in told["data"]:  # type: ignore[attr-defined]
            self.told.setdefault(entity["id"], []).append(entity["level"]["value"])


async def test_followers_miss_nothing_when_workers_are_killed(tmp_path: Path) -> None:
    """(a) kill -9 of either of two workers under load: each follower has all changes of each entity, in their order."""
    rounds, rate = (5, 200) if LONG else (1, 60)
    async with broker(tmp_path / "broker", workers=2) as own, aiohttp.ClientSession() as session:
        pages = [Page(own.url) for _ in range(6)]
        following = [asyncio.create_task(page.follow()) for page in pages]
        await eventually(lambda: all(page.last for page in pages), seconds=20, what="not all feeds are open")
        load = Load(own.url, entities=20, rate=rate)
        await load.create(session)
        working = asyncio.create_task(load.run(rounds * 60))
        for _ in range(rounds):
            for worker in own.workers:
                await asyncio.sleep(3)
                await own.kill(worker)
                await asyncio.sleep(1)
                await own.start(worker)
        load.stop()
        await working
        written = await history(own.mongodb.uri)
        try:
            await eventually(
                lambda: all(page.told == written for page in pages),
                seconds=60,
                what=lambda: str([sum(map(len, page.told.values())) for page in pages]),
            )
        finally:
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)
        count = sum(map(len, written.values()))
        print(
            f"feed: {2 * rounds} x kill -9 of one of two workers at {rate}/s, {len(pages)} followers: {count} changes "
            f"in the log, missing 0, out of order 0; breaks {sum(page.breaks for page in pages)}, repeats "
            f"{sum(page.repeats for page in pages)}"
        )
