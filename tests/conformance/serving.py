"""A broker on a real port, for tests that need more than ASGI: streams, other programs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import uvicorn

from tsunagu.app.application import Application
from tsunagu.app.cors import with_cors
from tsunagu.up.protocol import Protocol


class Quiet(uvicorn.Server):
    """A server that leaves the signals of the tests alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@contextlib.asynccontextmanager
async def served(broker: Application) -> AsyncIterator[str]:
    """Serve a started broker on a free port; gives its address."""
    config = uvicorn.Config(with_cors(broker, ["*"]), port=0, http=Protocol, lifespan="off", log_config=None, ws="none")
    server = Quiet(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        broker.leave()
        server.should_exit = True
        await task
