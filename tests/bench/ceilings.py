"""What the machine could do at most: bare uvicorn answering the same bytes, PyMongo reading 32 documents in one find.

`python -m tests.bench.ceilings serve PORT BYTES` serves; `finds(uri, database)` measures.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from typing import Any

import uvicorn
from pymongo import AsyncMongoClient

from tsunagu.up.protocol import Protocol


def bare(size: int) -> Any:
    """Return an ASGI callable that answers every request with `size` bytes of JSON."""
    body = b'{"a":"' + b"x" * max(0, size - 8) + b'"}'
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    return app


async def finds(uri: str, database: str, *, entities: int, seconds: float, in_flight: int = 2, size: int = 32) -> float:
    """Return documents a second that PyMongo reads in finds of `size` ids, `in_flight` at once."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(uri)
    done = 0
    end = time.perf_counter() + seconds

    async def work() -> None:
        nonlocal done
        while time.perf_counter() < end:
            ids = [f"urn:ngsi-ld:WaterLevelObserved:{random.randint(1, entities):06d}" for _ in range(size)]
            reply = await client[database].command(
                {"find": "entities", "filter": {"_id": {"$in": ids}}, "projection": {"sys": 0}, "batchSize": size + 1}
            )
            done += len(reply["cursor"]["firstBatch"])

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(in_flight)))
    took = time.perf_counter() - began
    await client.close()
    return done / took


if __name__ == "__main__":
    uvicorn.run(
        bare(int(sys.argv[3])),
        port=int(sys.argv[2]),
        loop="uvloop",
        http=Protocol,
        ws="none",
        lifespan="off",
        access_log=False,
        server_header=False,
        log_level="error",
    )
