"""What the drills share: a running `tsunagu up`, a sink for notifications, killing by process id."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from aiohttp import web

from tests.drills.running import Up

LONG = os.environ.get("TSUNAGU_DRILLS") == "long"


def children_of(pid: int) -> dict[int, str]:
    """Return the child processes of a process with their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                if parent == pid:
                    found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
    return found


@dataclass
class Running:
    """A `tsunagu up` in a folder of its own."""

    up: Up
    url: str
    mqtt: str

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.up.folder

    @property
    def mongodb_uri(self) -> str:
        """The connection string of the embedded MongoDB."""
        port = json.loads((self.data / "ports.json").read_text())["mongod"]
        return f"mongodb://127.0.0.1:{port}/?directConnection=true"

    def pids(self, words: str) -> list[int]:
        """Return the ids of the child processes whose command line has these words."""
        return [pid for pid, line in children_of(self.up.process.pid).items() if words in line]

    def kill(self, words: str) -> int:
        """Kill (-9) the first child with these words; returns its id."""
        pid = self.pids(words)[0]
        os.kill(pid, signal.SIGKILL)
        return pid

    def memory(self, words: str = "tsunagu.cli serve") -> int:
        """Return the resident memory, in MB, of the children with these words together."""
        kilobytes = 0
        for pid in self.pids(words):
            with contextlib.suppress(OSError, IndexError):
                kilobytes += int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0])
        return kilobytes // 1024


@contextlib.asynccontextmanager
async def running(data: Path, *words: str, environment: dict[str, str] | None = None) -> AsyncIterator[Running]:
    """Run `tsunagu up` on a free port until the block ends."""
    with Up(data, *words, variables={**os.environ, **(environment or {})}) as up:
        found = await asyncio.to_thread(up.ready)
        try:
            yield Running(up, found["tsunagu"], found.get("mqtt", ""))
        finally:
            up.process.terminate()
            await asyncio.to_thread(up.ended)


@dataclass
class Sink:
    """An HTTP endpoint that keeps the notifications it gets, with the time (monotonic) of each."""

    url: str
    received: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    delay: float = 0.0
    status: int = 200

    def values(self, attribute: str) -> list[Any]:
        """Return the values of an attribute in the order of arrival."""
        return [
            entity[attribute]["value"] for _, body in self.received for entity in body["data"] if attribute in entity
        ]


@contextlib.asynccontextmanager
async def sink() -> AsyncIterator[Sink]:
    """Run a notification endpoint on a free port of 127.0.0.1."""
    kept = Sink("")

    async def take(request: web.Request) -> web.Response:
        body = await request.json()
        if kept.delay:
            await asyncio.sleep(kept.delay)
        kept.received.append((time.monotonic(), body))
        return web.Response(status=kept.status)

    application = web.Application()
    application.router.add_post("/{tail:.*}", take)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    kept.url = f"http://127.0.0.1:{port}/notify"
    try:
        yield kept
    finally:
        await runner.cleanup()


async def subscribe(client: httpx.AsyncClient, url: str, *, endpoint: str, **more: Any) -> str:
    """Create a subscription to the type Gauge; returns its path."""
    body = {
        "type": "Subscription",
        "entities": [{"type": "Gauge"}],
        "notification": {"endpoint": {"uri": endpoint, "accept": "application/json"}},
        **more,
    }
    answer = await client.post(f"{url}/ngsi-ld/v1/subscriptions", json=body)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


async def eventually(check: Any, *, seconds: float, what: Any, every: float = 0.05) -> None:
    """Wait until `check()` is true. Fails with `what`, a text or a function that makes one, after `seconds`."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, what() if callable(what) else what
        await asyncio.sleep(every)
