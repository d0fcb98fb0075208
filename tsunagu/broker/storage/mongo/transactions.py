"""A group's transaction: read, then write and commit; and what became of it when MongoDB went away (decision 0024).

Over a line the statements and the commit go out together: MongoDB runs them one after the other, and once a statement
has failed the transaction is over, so that the commit fails too. Where no line is to be had, the driver does the same
one command after the other.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, Self

import bson
from bson.int64 import Int64
from pymongo import WriteConcern
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from tsunagu.broker.storage.mongo.faults import DUPLICATE_KEY, SHUTTING_DOWN
from tsunagu.broker.storage.mongo.lines import LineLost

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from pymongo.asynchronous.client_session import AsyncClientSession
    from pymongo.asynchronous.database import AsyncDatabase

    from tsunagu.broker.storage.mongo.lines import Line, Lines

    Document = dict[str, Any]
    Database = AsyncDatabase[Document]

SNAPSHOT = ReadConcern("snapshot")
DURABLE = WriteConcern(w="majority", j=True)
NO_SUCH_TRANSACTION = 251
TRANSACTION_COMMITTED = 256
PAUSES = (0.0, 0.05, 0.2, 0.5, 1.0)
"""Seconds before each attempt to learn what became of a commit."""


class Lost(Exception):
    """Another process changed an entity meanwhile: the whole transaction is to be tried again."""


class Doubtful(Exception):
    """The commit was sent, and its fate is unknown."""


class Transaction(Protocol):
    """One transaction, an asynchronous context; left without a commit, it is aborted.

    `sent` says that the commit may have taken effect: from the moment it is sent until its fate is known.
    """

    sent: bool

    async def __aenter__(self) -> Self:
        """Begin."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Abort, unless it was committed."""

    async def find(self, wanted: Sequence[tuple[str, list[str]]]) -> list[list[Document]]:
        """Return for each (collection, ids) the documents that exist. Raises the driver's errors."""

    async def commit(self, commands: Sequence[Document]) -> None:
        """Run the write commands and commit. Raises the driver's errors, Lost, Doubtful."""

    async def outcome(self) -> bool | None:
        """Tell, after a commit without an answer, whether it took effect; None: that cannot be known now."""


def find_by_ids(collection: str, ids: list[str]) -> Document:
    """Return the command that finds the documents with these ids, in one batch where they fit."""
    where = {"_id": ids[0] if len(ids) == 1 else {"$in": ids}}
    return {"find": collection, "filter": where, "batchSize": len(ids) + 1}


def check(reply: Document) -> None:
    """Raise what the reply to a write command says: Lost, or an OperationFailure."""
    failures = reply.get("writeErrors")
    if not failures:
        return
    first = failures[0]
    if first.get("code") == DUPLICATE_KEY:
        raise Lost(first.get("errmsg", ""))
    raise OperationFailure(first.get("errmsg", "write refused"), first.get("code"), first)


class LineTransaction:
    """A transaction over a line, in the line's own session."""

    def __init__(self, lines: Lines, line: Line, database: Database) -> None:
        self.sent = False
        self._lines = lines
        self._line = line
        self._database = database
        self._own: Document = {}
        self._open = False

    async def __aenter__(self) -> Self:
        """Give the transaction a number; MongoDB hears of it with the first command."""
        line = self._line
        line.transactions += 1
        self._own = {"lsid": line.session, "txnNumber": Int64(line.transactions), "autocommit": False}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Abort, unless it was committed or has failed, and give the line back."""
        try:
            if self._open and not self._line.lost:
                await self._line.ask({"abortTransaction": 1, **self._own, "$db": "admin"})
        except LineLost:
            pass  # MongoDB ends the transaction
        finally:
            self._lines.give_back(self._line)

    async def find(self, wanted: Sequence[tuple[str, list[str]]]) -> list[list[Document]]:
        """Return for each (collection, ids) the documents that exist; all are asked for at once."""
        commands = [self._in_it(find_by_ids(collection, ids)) for collection, ids in wanted]
        commands[0].update(startTransaction=True, readConcern=SNAPSHOT.document)
        self._open = True
        found = []
        for (collection, _), reply in zip(wanted, await self._ask(commands), strict=True):
            rows = reply["cursor"]["firstBatch"]
            while reply["cursor"]["id"]:
                more = self._in_it({"getMore": reply["cursor"]["id"], "collection": collection})
                reply = (await self._ask([more]))[0]  # noqa: PLW2901 - the next piece of the same result
                rows.extend(reply["cursor"]["nextBatch"])
            found.append(rows)
        return found

    async def commit(self, commands: Sequence[Document]) -> None:
        """Send the write commands and the commit at once."""
        self.sent = True
        try:
            replies = await self._line.ask_all([*(self._in_it(command) for command in commands), self._commit_command])
        except LineLost:
            await self._go_by_outcome(AutoReconnect("the connection to MongoDB was lost during a commit"))
            return
        except (PyMongoError, ValueError, OverflowError):
            self.sent = False  # it could not be encoded
            raise
        decoded = self._decoded(replies)
        try:
            for reply in decoded[:-1]:
                self._raise_for(reply)
                check(reply)
        except (Lost, PyMongoError):
            self.sent = self._open = False  # a transaction with a statement that failed is over
            raise
        await self._conclude(decoded[-1])

    async def _conclude(self, reply: Document) -> None:
        """Go by the answer to the commit, all statements having been run."""
        if _is_done(reply):
            self.sent = self._open = False
            return
        refused = OperationFailure(str(reply.get("errmsg", "the commit was refused")), reply.get("code"), reply)
        if refused.has_error_label("TransientTransactionError"):
            self.sent = self._open = False
            raise refused
        await self._go_by_outcome(refused)

    async def outcome(self) -> bool | None:
        """Learn by aborting whether the transaction was committed.

        After an abort nothing of it can take effect any more, also of commands that MongoDB has still to read.
        """
        for pause in PAUSES:
            await asyncio.sleep(pause)
            line = await self._lines.take()
            if line is None:
                continue
            try:
                reply = bson.decode(await line.ask({"abortTransaction": 1, **self._own, "$db": "admin"}))
            except LineLost:
                continue
            finally:
                self._lines.give_back(line)
            code = reply.get("code")
            if reply.get("ok") == 1 or code == NO_SUCH_TRANSACTION:
                return False
            if code == TRANSACTION_COMMITTED and await self._is_durable():
                return True
            if code in SHUTTING_DOWN:
                line.end()
        return None

    async def _go_by_outcome(self, error: PyMongoError) -> None:
        """Return if the transaction was committed after all. Raises `error` if it was not, or Doubtful."""
        committed = await self.outcome()
        if committed is None:
            raise Doubtful(str(error)) from error
        self.sent = self._open = False
        if not committed:
            raise error

    async def _is_durable(self) -> bool:
        """Wait for the durability of what is committed; tell whether MongoDB says that it is reached."""
        line = await self._lines.take()
        if line is None:
            return False
        try:
            return _is_done(bson.decode(await line.ask(self._commit_command)))
        except LineLost:
            return False
        finally:
            self._lines.give_back(line)

    @property
    def _commit_command(self) -> Document:
        return {"commitTransaction": 1, "writeConcern": DURABLE.document, **self._own, "$db": "admin"}

    def _in_it(self, command: Document) -> Document:
        return {**command, **self._own, "$db": self._database.name}

    def _decoded(self, answers: list[bytes]) -> list[Document]:
        options = self._database.codec_options
        return [bson.decode(answer, options) for answer in answers]

    async def _ask(self, commands: list[Document]) -> list[Document]:
        """Return the replies to commands that read. Raises the driver's errors."""
        try:
            answers = await self._line.ask_all(commands)
        except LineLost:
            raise AutoReconnect("the connection to MongoDB was lost") from None
        replies = self._decoded(answers)
        for reply in replies:
            self._raise_for(reply)
        return replies

    def _raise_for(self, reply: Document) -> None:
        """Raise an OperationFailure if a reply says that its command failed; leave a server that takes no writes."""
        if reply.get("ok") == 1:
            return
        if reply.get("code") in SHUTTING_DOWN:
            self._line.end()
        raise OperationFailure(str(reply.get("errmsg")), reply.get("code"), reply)


def _is_done(reply: Document) -> bool:
    return reply.get("ok") == 1 and "writeConcernError" not in reply


class DriverTransaction:
    """A transaction in a session of the driver, one command after the other."""

    def __init__(self, database: Database) -> None:
        self.sent = False
        self._database = database
        self._session: AsyncClientSession = database.client.start_session()

    async def __aenter__(self) -> Self:
        """Begin."""
        await self._session.start_transaction(read_concern=SNAPSHOT, write_concern=DURABLE)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Abort, unless it was committed."""
        await self._session.end_session()

    async def find(self, wanted: Sequence[tuple[str, list[str]]]) -> list[list[Document]]:
        """Return for each (collection, ids) the documents that exist."""
        return [await self._rows(collection, ids) for collection, ids in wanted]

    async def _rows(self, collection: str, ids: list[str]) -> list[Document]:
        reply = await self._database.command(find_by_ids(collection, ids), session=self._session)
        found: list[Document] = reply["cursor"]["firstBatch"]
        while reply["cursor"]["id"]:
            more = {"getMore": reply["cursor"]["id"], "collection": collection}
            reply = await self._database.command(more, session=self._session)
            found.extend(reply["cursor"]["nextBatch"])
        return found

    async def commit(self, commands: Sequence[Document]) -> None:
        """Run the write commands, then commit, asking again while the answer is unknown."""
        for command in commands:
            check(await self._database.command(command, session=self._session))
        self.sent = True
        for pause in (*PAUSES[1:], 0.0):
            try:
                await self._session.commit_transaction()
            except PyMongoError as error:
                if not error.has_error_label("UnknownTransactionCommitResult"):
                    self.sent = False
                    raise
                if not pause:
                    raise Doubtful(str(error)) from error
                await asyncio.sleep(pause)
            else:
                self.sent = False
                return

    async def outcome(self) -> bool | None:
        """Tell nothing: the driver has given up."""
        return None
