"""A broker whose processes the drill itself starts, kills and starts again: mongod, and workers that share a port."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tsunagu.up import mongod
from tsunagu.up.child import Child, Program
from tsunagu.up.ports import free_port, listening_socket

PATIENCE = 240.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Broker:
    """The processes of one broker. `store` is mongod; `workers` answer at `url`."""

    url: str
    mongodb: mongod.Mongod
    store: Child
    workers: list[Child]

    async def kill(self, child: Child) -> None:
        """Kill (-9) a process and wait for its end."""
        child.signal(signal.SIGKILL)
        await child.wait()

    async def start(self, child: Child) -> None:
        """Start a process (again) and wait until it is ready."""
        child.start()
        if child is self.store:
            await self.mongodb.ready(child)
            return
        end = time.monotonic() + PATIENCE
        while not any('"event": "started"' in line or '"event":"started"' in line for line in child.log_lines()):
            assert child.exit_code is None, child.last_words()
            assert time.monotonic() < end, child.last_words()
            await asyncio.sleep(0.02)

    def memory(self) -> int:
        """Return the resident memory of the workers in MB."""
        return sum(_status(child.pid, "VmRSS:") for child in self.workers if child.pid is not None) // 1024

    def cpu(self) -> float:
        """Return the CPU seconds that the workers have used."""
        return sum(_cpu(child.pid) for child in self.workers if child.pid is not None)


def _status(pid: int, name: str) -> int:
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/status").read_text().split(name)[1].split()[0])
    return 0


def _cpu(pid: int) -> float:
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS
    return 0.0


@contextlib.asynccontextmanager
async def broker(folder: Path, *, workers: int = 1, **settings: object) -> AsyncIterator[Broker]:
    """Run mongod and so many workers until the block ends; `settings` by their names in `broker.settings`."""
    (folder / "mongo").mkdir(parents=True)
    mongodb = mongod.Mongod(mongod.find_binary(), folder / "mongo", free_port(), folder / "mongod.log")
    listener = listening_socket("127.0.0.1", 0)
    port = listener.getsockname()[1]
    environment = {
        "TSUNAGU_MONGODB_URI": mongodb.uri,
        "TSUNAGU_PORT": str(port),
        "TSUNAGU_ALLOW_PRIVATE": "127.0.0.1",
        "TSUNAGU_MULTI_PROCESS": "true" if workers > 1 else "false",
        **{f"TSUNAGU_{name.upper()}": str(value) for name, value in settings.items()},
    }
    words = (sys.executable, "-P", "-m", "tsunagu.cli", "serve", "--fd", str(listener.fileno()))
    children = [
        Child(Program(f"worker {n}", words, folder / f"{n}.log", environment, (listener.fileno(),)))
        for n in range(workers)
    ]
    made = Broker(f"http://127.0.0.1:{port}", mongodb, Child(mongodb.program), children)
    try:
        await made.start(made.store)
        for child in children:
            await made.start(child)
        yield made
    finally:
        await asyncio.gather(*(child.stop() for child in children))
        await made.store.stop()
        listener.close()
