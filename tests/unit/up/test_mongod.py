"""The embedded MongoDB: starting, moving to another port, and what is said when it cannot run."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from pymongo import AsyncMongoClient

from tsunagu.up import mongod
from tsunagu.up.child import Child, Program
from tsunagu.up.ports import free_port
from tsunagu.up.problem import UpError

if TYPE_CHECKING:
    from pathlib import Path


async def _started(folder: Path) -> tuple[mongod.Mongod, Child]:
    server = mongod.Mongod(mongod.find_binary(), folder, free_port(), folder / "mongod.log")
    child = Child(server.program)
    child.start()
    await asyncio.wait_for(server.ready(child), 30)
    return server, child


async def test_data_is_found_again_on_another_port(tmp_path: Path) -> None:
    """A second start on the same folder and another port is a primary again and has the first one's data."""
    first, child = await _started(tmp_path)
    try:
        async with AsyncMongoClient(first.uri) as client:
            await client.town.gauges.insert_one({"_id": "F012", "level": 2.14})
    finally:
        await child.stop()
    second, child = await _started(tmp_path)
    try:
        async with AsyncMongoClient(second.uri) as client:
            assert second.port != first.port
            assert await client.town.gauges.find_one({"_id": "F012"}) == {"_id": "F012", "level": 2.14}
    finally:
        await child.stop()


async def test_transactions_work_and_compressors_are_off(mongo_uri: str) -> None:
    """The shared MongoDB is a replica set that takes multi-document transactions and compresses no message."""
    async with AsyncMongoClient(mongo_uri) as client:
        async with client.start_session() as session:
            await session.with_transaction(lambda s: client.up_test.things.insert_one({"a": 1}, session=s))
        assert await client.up_test.things.count_documents({}) == 1
        await client.drop_database("up_test")
        options = await client.admin.command("getCmdLineOpts")
        if not os.environ.get("TSUNAGU_TEST_MONGODB_URI"):
            assert options["parsed"]["net"]["compression"]["compressors"] == "disabled"
            assert options["parsed"]["net"]["bindIp"] == "127.0.0.1"


async def test_mongod_of_an_earlier_run_is_named(tmp_path: Path) -> None:
    """A mongod that still lives on the data folder is reported with its process id and what to do."""
    _, child = await _started(tmp_path)
    try:
        assert mongod.holder(tmp_path) == child.pid
        with pytest.raises(UpError, match=rf"process {child.pid}.* kill {child.pid} .*--data"):
            await mongod.wait_for_earlier(tmp_path, patience=0.2)
    finally:
        await child.stop()


async def test_mongod_of_an_earlier_run_may_take_its_time_to_end(tmp_path: Path) -> None:
    """A start waits for an earlier mongod that is just ending."""
    _, child = await _started(tmp_path)
    waiting = asyncio.create_task(mongod.wait_for_earlier(tmp_path))
    child.signal(signal.SIGTERM)
    await child.wait()
    await waiting
    assert mongod.holder(tmp_path) is None


def test_a_lock_left_behind_holds_nobody_up(tmp_path: Path) -> None:
    """A mongod.lock with the id of a process that is no mongod on this folder means nothing."""
    (tmp_path / "mongod.lock").write_text(f"{os.getpid()}\n")
    assert mongod.holder(tmp_path) is None


async def test_second_mongod_on_the_folder_says_why(tmp_path: Path) -> None:
    """The reason that mongod gives in its log is part of the message."""
    _, child = await _started(tmp_path)
    second = Child(mongod.Mongod(mongod.find_binary(), tmp_path, free_port(), tmp_path / "second.log").program)
    try:
        second.start()
        assert await second.wait() != 0
        assert "lock" in mongod.explain(second)
        assert "MONGODB_URI" in mongod.explain(second)
    finally:
        await child.stop()


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (
            "import sys; sys.exit('mongod: error while loading shared libraries: libcurl.so.4: cannot open')",
            r"libcurl\.so\.4 is missing: install libcurl4, or set MONGODB_URI",
        ),
        ("import os; os.kill(os.getpid(), 4)", "lacks AVX.* set MONGODB_URI"),
    ],
)
async def test_a_machine_where_the_wheel_does_not_run(tmp_path: Path, script: str, expected: str) -> None:
    """A missing library and an old processor are named, with what to install or set."""
    child = Child(Program("mongod", (sys.executable, "-c", script), tmp_path / "mongod.log"))
    child.start()
    await child.wait()
    assert re.search(expected, mongod.explain(child))


async def test_own_mongodb_that_is_not_there() -> None:
    """An unreachable MONGODB_URI is reported with the variable and without the password."""
    with pytest.raises(UpError, match="MONGODB_URI: MongoDB does not answer") as caught:
        await mongod.check_own(f"mongodb://clerk:secret@127.0.0.1:{free_port()}/", "MONGODB_URI", patience=0.5)
    assert "secret" not in str(caught.value)


async def test_own_mongodb_that_is_no_connection_string() -> None:
    """A MONGODB_URI of another scheme is refused by name."""
    with pytest.raises(UpError, match="MONGODB_URI is not a MongoDB connection string"):
        await mongod.check_own("http://127.0.0.1", "MONGODB_URI")


async def test_own_mongodb_that_is_no_replica_set(tmp_path: Path) -> None:
    """A MongoDB without a replica set is refused, since transactions need one."""
    port = free_port()
    words = (str(mongod.find_binary()), "--dbpath", str(tmp_path), "--port", str(port), "--bind_ip", "127.0.0.1")
    child = Child(Program("mongod", words, tmp_path / "log"))
    child.start()
    try:
        with pytest.raises(UpError, match=r"not a replica set.*rs\.initiate"):
            await mongod.check_own(f"mongodb://127.0.0.1:{port}/", "MONGODB_URI")
    finally:
        await child.stop()
