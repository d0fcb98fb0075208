"""Commands that read, over connections of their own, without the driver's detours (docs/decisions/0022).

PyMongo opens a connection, secures and authenticates it; then a line takes it over and speaks MongoDB's wire protocol:
a message there, a message back. PyMongo's asynchronous way costs 200 to 280 µs of CPU for the same, in tasks, timers
and sessions. All that is out of the ordinary stays with the driver: when no line is to be had, when one is lost or
MongoDB refuses, the driver runs the command (again), and it knows elections, retries and which exception says what.
"""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING, Any

import bson
import structlog
from pymongo.errors import PyMongoError
from pymongo.read_preferences import ReadPreference

from tsunagu.broker.storage.mongo.faults import SHUTTING_DOWN

if TYPE_CHECKING:
    from pymongo.asynchronous.database import AsyncDatabase
    from pymongo.asynchronous.mongo_client import AsyncMongoClient
    from pymongo.topology_description import TopologyDescription

    Document = dict[str, Any]

log = structlog.get_logger(__name__)

LINES = 64  # connections of one process that reads have to themselves
OP_MSG = 2013
HEAD = struct.Struct("<iiiiIB")  # length, number, number answered, OP_MSG, flags, kind of section (a document)
LENGTH = struct.Struct("<i")


class LineLost(Exception):
    """The connection ended, or something came that is no answer."""


class Line(asyncio.Protocol):
    """One connection, which answers one message after the other."""

    def __init__(self, transport: asyncio.Transport, before: asyncio.BaseProtocol) -> None:
        self.transport = transport
        self.lost = False
        self._before = before
        self._number = 0
        self._received = bytearray()
        self._waiting: asyncio.Future[bytes] | None = None
        transport.set_protocol(self)
        transport.resume_reading()

    async def ask(self, command: Document) -> bytes:
        """Send a command, `$db` in it; return the BSON document that MongoDB answers with. Raises LineLost.

        Whoever stops waiting ends the connection, because an answer to nobody would follow.
        """
        body = bson.encode(command)
        if self.lost:
            raise LineLost
        self._number += 1
        self._waiting = asyncio.get_running_loop().create_future()
        self.transport.write(HEAD.pack(HEAD.size + len(body), self._number, 0, OP_MSG, 0, 0) + body)
        try:
            return await self._waiting
        except asyncio.CancelledError:
            self.end()
            raise
        finally:
            self._waiting = None

    def data_received(self, data: bytes) -> None:
        """Gather what comes until it is an answer."""
        received = self._received
        received += data
        if len(received) < HEAD.size:
            return
        length, _, number, operation, flags, kind = HEAD.unpack_from(received)
        if len(received) < length:
            return
        waiting = self._waiting
        right = (number, operation, flags, kind, length) == (self._number, OP_MSG, 0, 0, len(received))
        if waiting is None or waiting.done() or not right:
            self.end()
            return
        self._received = bytearray()
        waiting.set_result(bytes(memoryview(received)[HEAD.size :]))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits, and the driver, which counts its connections."""
        self.lost = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(LineLost())
        self._before.connection_lost(exc)

    def end(self) -> None:
        """End the connection."""
        self.lost = True
        self.transport.abort()


class Lines:
    """The lines of one client, at most LINES, opened as they are needed; call close() before the client's."""

    def __init__(self, client: AsyncMongoClient[Document]) -> None:
        self._client = client
        self._idle: list[Line] = []
        self._taken: dict[Line, tuple[Any, Any]] = {}  # checkout and connection of the driver
        self._opening = 0
        self._seen: TopologyDescription | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._works = True

    async def run(self, database: AsyncDatabase[Document], command: Document) -> Document:
        """Run a command that reads and may be repeated; return MongoDB's reply. Raises what the driver raises."""
        line = await self._line()
        if line is None:
            return await database.command(command)
        answer = None
        try:
            answer = await line.ask({**command, "$db": database.name})
        except LineLost:
            pass
        finally:
            self._give_back(line)
        if answer is not None:
            reply: Document = bson.decode(answer, database.codec_options)
            if reply.get("ok") == 1:
                return reply
            if reply.get("code") in SHUTTING_DOWN:
                line.end()
        return await database.command(command)

    async def _line(self) -> Line | None:
        """Return a line to the server that takes writes; None if there is none to be had."""
        if self._client.topology_description is not self._seen:
            self._look_around()
        while self._idle:
            line = self._idle.pop()
            if not line.lost:
                return line
            self._give_back(line)
        if not self._works or len(self._taken) + self._opening >= LINES:
            return None
        self._opening += 1
        try:
            return await self._opened()
        finally:
            self._opening -= 1

    def _look_around(self) -> None:
        """End idle lines to servers that do not take writes any more: after an election, say."""
        self._seen = self._client.topology_description
        servers = self._seen.server_descriptions()
        for line in self._idle:
            server = servers.get(self._taken[line][1].address)
            if server is None or not server.is_writable:
                line.end()

    async def _opened(self) -> Line | None:
        """Have the driver open a connection and take it over."""
        try:
            checkout = await self._client._conn_for_reads(ReadPreference.PRIMARY, None, "find")  # noqa: SLF001
            connection, _ = await checkout.__aenter__()
        except PyMongoError:
            return None  # the driver will say it again, with its retries
        except (AttributeError, TypeError) as error:
            self._give_up(error)
            return None
        try:
            interface = connection.conn.get_conn
            line = Line(interface.transport, interface)
        except AttributeError as error:
            await self._forget(checkout, connection)
            self._give_up(error)
            return None
        self._taken[line] = (checkout, connection)
        return line

    def _give_up(self, error: Exception) -> None:
        """Leave everything to the driver, which is another than the one that this was written for."""
        self._works = False
        log.warning("no_lines_with_this_driver", reason=str(error))

    def _give_back(self, line: Line) -> None:
        """Keep a line for the next command, or, if it is lost, tell the driver."""
        if not line.lost:
            self._idle.append(line)
            return
        task = asyncio.create_task(self._forget(*self._taken.pop(line)), name="end of a line to MongoDB")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @staticmethod
    async def _forget(checkout: Any, connection: Any) -> None:
        await connection.close_conn(None)
        await checkout.__aexit__(None, None, None)

    async def close(self) -> None:
        """End all lines."""
        for line in list(self._idle):
            line.end()
            self._give_back(line)
        self._idle.clear()
        await asyncio.gather(*self._tasks, return_exceptions=True)
