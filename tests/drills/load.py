"""The load of the drills: gauges that change at a steady rate, each change with a number of its own."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from pymongo import AsyncMongoClient

HEADERS = {"Content-Type": "application/json"}


def gauge_id(number: int) -> str:
    """Return the id of a gauge."""
    return f"urn:ngsi-ld:Gauge:{number:04d}"


@dataclass
class Load:
    """Changes `entities` gauges, together `rate` times a second; of one gauge each change waits for the one before.

    `sent`: when (monotonic) each number was sent; `acknowledged`: the numbers that were answered 204, with the time of
    the answer; `unsure`: those with no answer, or 503.
    """

    url: str
    entities: int
    rate: float
    sent: dict[int, float] = field(default_factory=dict)
    acknowledged: dict[int, float] = field(default_factory=dict)
    unsure: set[int] = field(default_factory=set)
    number: int = 0
    _stop: bool = False

    async def create(self, session: aiohttp.ClientSession) -> None:
        """Create the gauges, with a level of -1."""
        for first in range(0, self.entities, 100):
            batch = [
                {"id": gauge_id(number), "type": "Gauge", "level": {"type": "Property", "value": -1}}
                for number in range(first, min(first + 100, self.entities))
            ]
            async with session.post(f"{self.url}/ngsi-ld/v1/entityOperations/upsert", json=batch) as answer:
                assert answer.status in {201, 204}, await answer.text()

    def stop(self) -> None:
        """End after the changes that are under way."""
        self._stop = True

    async def run(self, seconds: float) -> None:
        """Change the gauges for a while."""
        self._stop = False
        end = time.monotonic() + seconds
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=20)) as session:
            await asyncio.gather(*(self._change(session, number, end) for number in range(self.entities)))

    async def _change(self, session: aiohttp.ClientSession, entity: int, end: float) -> None:
        url = f"{self.url}/ngsi-ld/v1/entities/{gauge_id(entity)}/attrs"
        pause = self.entities / self.rate
        due = time.monotonic() + pause * entity / self.entities
        while due < end and not self._stop:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due = max(due + pause, time.monotonic() - 1.0)  # what fell behind for more than a second is left out
            number, self.number = self.number, self.number + 1
            body = b'{"level":{"type":"Property","value":%d}}' % number
            self.sent[number] = time.monotonic()
            try:
                async with session.patch(url, data=body, headers=HEADERS) as answer:
                    status = answer.status
                    text = await answer.text()
            except (aiohttp.ClientError, OSError, TimeoutError):
                self.unsure.add(number)
                await asyncio.sleep(0.05)
                continue
            if status == 204:
                self.acknowledged[number] = time.monotonic()
            else:
                assert status == 503, text
                self.unsure.add(number)


async def history(uri: str, attribute: str = "level") -> dict[str, list[Any]]:
    """Return from the change log the values that each entity had, in the order of its versions."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(uri)
    found: dict[str, list[Any]] = {}
    async for record in client["tsunagu"]["changes"].find({"k": {"$ne": "late"}}).sort([("e", 1), ("v", 1)]):
        for name, value in record.get("a", {}).get("attrs", {}).items():
            if name.endswith(attribute):
                found.setdefault(record["e"], []).append(value["value"])
    await client.close()
    return found


async def versions(uri: str) -> dict[Any, int]:
    """Return the place of each value in the history of its entity."""
    return {value: place for values in (await history(uri)).values() for place, value in enumerate(values)}


def percentile(figures: list[float], share: float) -> float:
    """Return the figure below which this share of all lies."""
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
