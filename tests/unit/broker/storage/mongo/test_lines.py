"""Commands over lines: the driver's answers, whatever happens to the connection."""

from __future__ import annotations

import asyncio
from typing import Any

import bson
import pytest
from bson.regex import Regex
from pymongo.errors import OperationFailure, PyMongoError

from tests.unit.broker.storage.mongo.conftest import Store
from tsunagu.broker.settings import Settings
from tsunagu.broker.storage.mongo import lines as module
from tsunagu.broker.storage.mongo.client import Databases
from tsunagu.broker.storage.mongo.lines import HEAD, OP_MSG, Line, LineLost, Lines

SLOW = {"find": "things", "filter": {"$where": "sleep(300) || true"}, "limit": 1}


@pytest.fixture
async def lines(store: Store) -> Any:
    """Give lines to a store with 20 things, four of them large."""
    things = [{"_id": number, "text": "x" * (500_000 if number < 4 else 5)} for number in range(20)]
    await store.databases.of("")["things"].insert_many(things)
    made = Lines(store.databases.client)
    yield made
    await made.close()


def opened(lines: Lines) -> list[Line]:
    return list(lines._taken)


@pytest.mark.parametrize(
    "command",
    [
        {"find": "things", "filter": {"_id": {"$gte": 3}}, "sort": {"_id": -1}},
        {"find": "things", "filter": {"text": Regex("^x{5}$")}, "projection": {"_id": 1}},
        {"find": "things", "filter": {"_id": 77}},
        {"count": "things", "query": {"_id": {"$lt": 9}}},
    ],
)
async def test_the_reply_is_the_drivers(store: Store, lines: Lines, command: dict[str, Any]) -> None:
    """A command gives what the driver gives for it, replies of several pieces included."""
    database = store.databases.of("")
    found, expected = await lines.run(database, command), await database.command(command)
    assert opened(lines)
    assert [found.get(name) for name in ("cursor", "n")] == [expected.get(name) for name in ("cursor", "n")]


async def test_each_command_gets_its_own_answer(store: Store, lines: Lines) -> None:
    """Commands at the same time are answered each with its own reply, over few connections."""
    database = store.databases.of("")

    async def ask(number: int) -> Any:
        return (await lines.run(database, {"find": "things", "filter": {"_id": number % 20}}))["cursor"]["firstBatch"]

    for _ in range(3):
        found = await asyncio.gather(*(ask(number) for number in range(200)))
        assert [rows[0]["_id"] for rows in found] == [number % 20 for number in range(200)]
    assert 0 < len(opened(lines)) <= module.LINES


async def test_more_commands_than_lines_go_through_the_driver(
    store: Store, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When all lines are taken, nobody waits for one: the driver answers."""
    monkeypatch.setattr(module, "LINES", 1)
    slow = asyncio.create_task(lines.run(store.databases.of(""), SLOW))
    await asyncio.sleep(0.05)
    found = await lines.run(store.databases.of(""), {"count": "things"})
    assert not slow.done()
    assert found["n"] == 20
    assert len((await slow)["cursor"]["firstBatch"]) == 1
    assert len(opened(lines)) == 1


async def test_a_line_that_is_lost_costs_nobody_an_answer(store: Store, lines: Lines) -> None:
    """Connections that end, idle or while a command is under way, are replaced; the driver runs the command again."""
    database = store.databases.of("")
    await lines.run(database, {"count": "things"})
    opened(lines)[0].transport.abort()
    assert (await lines.run(database, {"count": "things"}))["n"] == 20
    await asyncio.sleep(0)
    assert (await lines.run(database, {"count": "things"}))["n"] == 20
    slow = asyncio.create_task(lines.run(database, SLOW))
    await asyncio.sleep(0.05)
    for line in opened(lines):
        line.transport.abort()
    assert len((await slow)["cursor"]["firstBatch"]) == 1
    assert (await lines.run(database, {"count": "things"}))["n"] == 20
    await lines.close()
    assert not opened(lines)


async def test_whoever_stops_waiting_ends_the_line(store: Store, lines: Lines) -> None:
    """A command that is cancelled leaves no answer behind that another one could take for its own."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await lines.run(store.databases.of(""), SLOW)
    assert (await lines.run(store.databases.of(""), {"count": "things"}))["n"] == 20
    assert len(opened(lines)) == 1


async def test_what_mongodb_refuses_raises_what_the_driver_raises(store: Store, lines: Lines) -> None:
    """A refused command raises the driver's exception, and the line serves the next one."""
    with pytest.raises(OperationFailure) as refused:
        await lines.run(store.databases.of(""), {"find": "things", "filter": {"$nonsense": 1}})
    assert refused.value.code == 2
    with pytest.raises(OverflowError):
        await lines.run(store.databases.of(""), {"find": "things", "filter": {"_id": 2**70}})
    (line,) = opened(lines)
    assert (await lines.run(store.databases.of(""), {"count": "things"}))["n"] == 20
    assert opened(lines) == [line]


async def test_lines_to_a_server_that_takes_no_writes_are_ended(store: Store, lines: Lines) -> None:
    """When the driver has seen another topology, lines to what is no primary any more are not used."""
    database = store.databases.of("")
    await lines.run(database, {"count": "things"})
    (line,) = opened(lines)
    lines._taken[line][1].address = ("another.example", 27017)
    lines._seen = None
    assert (await lines.run(database, {"count": "things"}))["n"] == 20
    assert line.lost
    assert line not in opened(lines)


async def test_without_mongodb_the_drivers_error_is_raised() -> None:
    """Where nothing can be reached a command raises what the driver raises, after its bounded wait."""
    settings = Settings.from_environment({"MONGODB_URI": "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=100"})
    databases = Databases(settings)
    with pytest.raises(PyMongoError):
        await databases.read("", {"count": "things"})
    await databases.close()


async def test_another_driver_is_left_to_itself(store: Store, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a driver that is built otherwise inside, every command goes its way."""
    monkeypatch.setattr(type(store.databases.client), "_conn_for_reads", None)
    assert (await lines.run(store.databases.of(""), {"count": "things"}))["n"] == 20
    assert not opened(lines)


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: Any = None
        self.written: list[bytes] = []
        self.closing = False

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def resume_reading(self) -> None:
        pass

    def write(self, data: Any) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.protocol.connection_lost(None)


def message(number: int, *, operation: int = OP_MSG, flags: int = 0, more: bytes = b"") -> bytes:
    body = bson.encode({"ok": 1})
    return HEAD.pack(HEAD.size + len(body), 9, number, operation, flags, 0) + body + more


@pytest.mark.parametrize(
    "wrong", [message(2), message(1, operation=1), message(1, flags=2), message(1, more=b"more"), b"\0" * 30]
)
async def test_what_is_no_answer_ends_the_line(wrong: bytes) -> None:
    """A message that is not the answer to the command under way ends the line; a right one in pieces is taken."""
    for data, right in ((message(1), True), (wrong, False)):
        line = Line(Wire(), asyncio.Protocol())
        asked = asyncio.create_task(line.ask({"ping": 1, "$db": "x"}))
        await asyncio.sleep(0)
        line.data_received(data[:3])
        line.data_received(data[3:])
        if right:
            assert bson.decode(await asked) == {"ok": 1}
        else:
            with pytest.raises(LineLost):
                await asked
        assert line.lost is not right


async def test_a_connection_that_was_dead_when_it_was_taken_over_is_lost() -> None:
    """Of the driver's connections one may have ended unnoticed: whoever asks over it hears so, and nothing is sent."""
    wire = Wire()
    line = Line(wire, asyncio.Protocol())
    wire.closing = True
    with pytest.raises(LineLost):
        await line.ask({"ping": 1, "$db": "x"})
    assert line.lost
    assert not wire.written
