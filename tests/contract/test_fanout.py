"""Calls between processes, through Redis and from memory: one suite for both."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tsunagu.broker.storage.shared import Fanout, MemoryFanout, RedisFanout
from tsunagu.up.ports import free_port

Open = Callable[[], Fanout]


class RedisServer:
    """A Redis server of the test's own, on a free port, that keeps nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        binary = shutil.which("redis-server")
        assert binary is not None, "redis-server is not installed"
        words = [binary, "--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while not _listens(self._port):
            assert time.monotonic() < end, "redis-server does not listen"
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Run a Redis server."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["memory", "redis"])
async def both(request: pytest.FixtureRequest, redis: RedisServer) -> AsyncIterator[Open]:
    """Give a function that opens what one process holds of the fanout: from memory all share one."""
    shared = MemoryFanout()
    opened: list[Fanout] = [shared]

    def open_one() -> Fanout:
        if request.param == "memory":
            return shared
        one = RedisFanout(redis.url, prefix="test")
        opened.append(one)
        return one

    yield open_one
    for one in opened:
        await one.close()


async def _until(check: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not check():
            await asyncio.sleep(0.005)


async def test_a_call_reaches_whom_it_is_for(both: Open) -> None:
    """A call to a process is heard by it, and by no other."""
    first, second = both(), both()
    heard: dict[str, list[bytes]] = {"a": [], "b": []}
    await first.start("a", heard["a"].append)
    await second.start("b", heard["b"].append)
    first.call("b", b"c")
    second.call("a", b"x\0y")
    await _until(lambda: heard["a"] and heard["b"])
    assert heard == {"a": [b"x\0y"], "b": [b"c"]}


async def test_equal_calls_that_wait_go_as_one(both: Open) -> None:
    """Many equal calls in one turn of the event loop are heard once."""
    one = both()
    heard: list[bytes] = []
    await one.start("a", heard.append)
    for _ in range(100):
        one.call("a", b"c")
    one.call("a", b"d")
    await _until(lambda: b"d" in heard)
    assert heard == [b"c", b"d"]


async def test_a_call_to_nobody_is_lost(both: Open) -> None:
    """A call to a process that is not there does no harm."""
    one = both()
    heard: list[bytes] = []
    await one.start("a", heard.append)
    one.call("gone", b"c")
    one.call("a", b"d")
    await _until(lambda: heard)
    assert heard == [b"d"]


async def test_redis_may_go_away_and_come_back(tmp_path: Path) -> None:
    """While Redis is away calls are lost and nothing else fails; when it is back they are heard again."""
    server = RedisServer(tmp_path)
    server.start()
    one = RedisFanout(server.url, prefix="test")
    heard: list[bytes] = []
    try:
        await one.start("a", heard.append)
        server.stop()
        one.call("a", b"lost")
        await asyncio.sleep(0.1)
        server.start()
        async with asyncio.timeout(10):
            while b"back" not in heard:
                one.call("a", b"back")
                await asyncio.sleep(0.05)
    finally:
        await one.close()
        server.stop()
