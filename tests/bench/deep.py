"""Deep pages: `python -m tests.bench.deep` prints what page 500 of 10,000 entities costs against the first page.

One broker, one worker, a fresh database; times in ms over HTTP, medians, first and deep pages asked in turn. Cold: the
first request of all after a restart of broker and MongoDB.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path

import httpx

from tests.bench.run import fill
from tests.drills.harness import running

ENTITIES = 10_000
PAGE = 20
ROUNDS = 100
QUERIES = {"by type": "type=WaterLevelObserved", "all": "local=true", "by q": "type=WaterLevelObserved&q=flowRate>=0"}


async def page(client: httpx.AsyncClient, query: str, offset: int) -> float:
    """Return the milliseconds that a page takes."""
    began = time.perf_counter()
    response = await client.get(f"/ngsi-ld/v1/entities?{query}&limit={PAGE}&offset={offset}")
    took = time.perf_counter() - began
    response.raise_for_status()
    return took * 1000


async def write(client: httpx.AsyncClient) -> None:
    """Write until cancelled: about 100 a second, a tenth of them new entities that go again."""
    while True:
        number = random.randrange(1, ENTITIES)
        identifier = f"urn:ngsi-ld:WaterLevelObserved:{number:06d}"
        if number % 10:
            await client.patch(f"/ngsi-ld/v1/entities/{identifier}/attrs", json={"flowRate": number})
        else:
            await client.post("/ngsi-ld/v1/entities", json={"id": identifier + "x", "type": "WaterLevelObserved"})
            await client.delete(f"/ngsi-ld/v1/entities/{identifier}x")
        await asyncio.sleep(0.01)


async def compare(client: httpx.AsyncClient, name: str, query: str) -> None:
    """Print the medians of the first page, page 500, and jumps to any page in the second half."""
    first, deep, jump = [], [], []
    for _ in range(ROUNDS):
        first.append(await page(client, query, 0))
        deep.append(await page(client, query, ENTITIES - PAGE))
        jump.append(await page(client, query, random.randrange(ENTITIES // 2, ENTITIES - PAGE)))
    a, b, c = map(statistics.median, (first, deep, jump))
    print(f"{name}: first {a:.1f} ms, page 500 {b:.1f} ms ({b / a:.1f}x), jumps {c:.1f} ms ({c / a:.1f}x)")


async def main() -> None:
    """Measure, print."""
    with tempfile.TemporaryDirectory(prefix="tsunagu-bench-") as folder:
        data = Path(folder) / "data"
        async with running(data) as up:
            await fill(up.url, ENTITIES)
        for offset in (0, ENTITIES - PAGE):
            async with running(data) as up, httpx.AsyncClient(base_url=up.url, timeout=30) as client:
                times = [f"{name} {await page(client, query, offset):.1f} ms" for name, query in QUERIES.items()]
                print(f"first requests of all after a restart, offset {offset}: {', '.join(times)}")
        async with running(data) as up, httpx.AsyncClient(base_url=up.url, timeout=30) as client:
            await asyncio.sleep(1)
            for name, query in QUERIES.items():
                await compare(client, name, query)
            writing = asyncio.create_task(write(client))
            for name, query in QUERIES.items():
                await compare(client, name + ", while others write", query)
            writing.cancel()


if __name__ == "__main__":
    asyncio.run(main())
