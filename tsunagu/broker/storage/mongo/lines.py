"""Commands over connections of our own, without the driver's detours (docs/decisions/0022, 0024).

PyMongo opens a connection, secures and authenticates it; then a line takes it over and speaks MongoDB's wire protocol:
a message there, a message back. PyMongo's asynchronous way costs 200 to 280 µs of CPU for the same, in tasks, timers
and sessions. All that is out of the ordinary stays with the driver: when no line is to be had, when one is lost or
MongoDB refuses, the driver runs a reading command (again), and it knows elections, retries and which exception says
what. Transactions have their own way of going on, see `transactions.py`.
"""

from __future__ import annotations

import asyncio
import struct
import uuid
from typing import TYPE_CHECKING, Any

import bson
import structlog
from bson.binary import Binary
from pymongo.errors import DocumentTooLarge, PyMongoError
from pymongo.read_preferences import ReadPreference

from tsunagu.broker.storage.mongo.faults import SHUTTING_DOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymongo.asynchronous.database import AsyncDatabase
    from pymongo.asynchronous.mongo_client import AsyncMongoClient
    from pymongo.topology_description import TopologyDescription

    Document = dict[str, Any]

log = structlog.get_logger(__name__)

LINES = 64  # connections of one process beside those of the driver
OP_MSG = 2013
HEAD = struct.Struct("<iiiiIB")  # length, number, number answered, OP_MSG, flags, kind of section (a document)
LARGEST = 16 * 1024 * 1024  # bytes of a command


class LineLost(Exception):
    """The connection ended, or something came that is no answer."""


class Line(asyncio.Protocol):
    """One connection, which answers one message after the other.

    `session` is its own session for transactions (a logical session id), `transactions` how many it has begun.
    """

    def __init__(self, transport: asyncio.Transport, before: asyncio.BaseProtocol) -> None:
        self.transport = transport
        self.lost = False
        self._next = 0
        self._before = before
        self.session = {"id": Binary.from_uuid(uuid.uuid4())}
        self.transactions = 0
        self._number = 0
        self._received = bytearray()
        self._answers: list[bytes] = []
        self._waiting: asyncio.Future[list[bytes]] | None = None
        transport.set_protocol(self)
        transport.resume_reading()

    async def ask(self, command: Document) -> bytes:
        """Send a command, `$db` in it; return the BSON document that MongoDB answers with. Raises LineLost."""
        return (await self.ask_all((command,)))[0]

    async def ask_all(self, commands: Sequence[Document]) -> list[bytes]:
        """Send several commands at once; return the answers, in order: MongoDB runs all, one after the other.

        Whoever stops waiting ends the connection, because an answer to nobody would follow. Raises LineLost, and
        before anything is sent what `bson.encode` raises, or DocumentTooLarge.
        """
        bodies = [bson.encode(command) for command in commands]
        if max(map(len, bodies)) > LARGEST:
            raise DocumentTooLarge("a command is larger than 16 MiB")
        if self.transport.is_closing():  # perhaps since before it was taken over, so that nobody would tell
            self.lost = True
        if self.lost:
            raise LineLost
        numbered = list(enumerate(bodies, self._number + 1))
        self._next, self._number = self._number + 1, self._number + len(bodies)
        self._answers = []
        self._waiting = asyncio.get_running_loop().create_future()
        pieces: list[bytes] = []
        for number, body in numbered:
            pieces += (HEAD.pack(HEAD.size + len(body), number, 0, OP_MSG, 0, 0), body)
        self.transport.writelines(pieces)
        try:
            return await self._waiting
        except asyncio.CancelledError:
            self.end()
            raise
        finally:
            self._waiting = None

    def data_received(self, data: bytes) -> None:
        """Gather what comes until it is an answer, and answers until there is one to each command."""
        received = self._received
        received += data
        while len(received) >= HEAD.size:
            length, _, number, operation, flags, kind = HEAD.unpack_from(received)
            if len(received) < length:
                return
            waiting = self._waiting
            right = (number, operation, flags, kind) == (self._next, OP_MSG, 0, 0)
            more = number == self._number and len(received) > length
            if waiting is None or waiting.done() or not right or more:
                self.end()
                return
            self._answers.append(bytes(memoryview(received)[HEAD.size : length]))
            received = self._received = received[length:]
            if number == self._number:
                waiting.set_result(self._answers)
            self._next += 1

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
        line = await self.take()
        if line is None:
            return await database.command(command)
        answer = None
        try:
            answer = await line.ask({**command, "$db": database.name})
        except LineLost:
            pass
        finally:
            self.give_back(line)
        if answer is not None:
            reply: Document = bson.decode(answer, database.codec_options)
            if reply.get("ok") == 1:
                return reply
            if reply.get("code") in SHUTTING_DOWN:
                line.end()
        return await database.command(command)

    async def take(self) -> Line | None:
        """Return a line to the server that takes writes, to be given back; None if there is none to be had."""
        if self._client.topology_description is not self._seen:
            self._look_around()
        while self._idle:
            line = self._idle.pop()
            if not line.lost:
                return line
            self.give_back(line)
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

    def give_back(self, line: Line) -> None:
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
            self.give_back(line)
        self._idle.clear()
        await asyncio.gather(*self._tasks, return_exceptions=True)
