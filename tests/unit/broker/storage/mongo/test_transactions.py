"""Transactions over lines: what the driver would do, and nothing lost or done twice when the connection breaks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pymongo.errors import AutoReconnect, OperationFailure

from tests.unit.broker.storage.mongo.test_committer import NAME, put, remove, stored
from tsunagu.broker.errors import BadRequestData, Unavailable
from tsunagu.broker.storage.mongo import transactions as module
from tsunagu.broker.storage.mongo.lines import Line, LineLost
from tsunagu.broker.storage.mongo.transactions import DriverTransaction, Lost
from tsunagu.broker.storage.writes import DUPLICATE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.unit.broker.storage.mongo.conftest import Store

    Ask = Callable[[Line, Sequence[dict[str, Any]]], Any]


def is_commit(commands: Sequence[dict[str, Any]]) -> bool:
    return len(commands) > 1 and "commitTransaction" in commands[-1]


def break_commits(patch: pytest.MonkeyPatch, sent: Callable[[Sequence[dict[str, Any]]], Any], times: int = 1) -> None:
    """Lose the connection at the next commits; MongoDB has received of the commands what `sent` returns."""
    ask: Ask = Line.ask_all
    left = [times]

    async def ask_all(line: Line, commands: Sequence[dict[str, Any]]) -> Any:
        if not left[0] or not is_commit(commands):
            return await ask(line, commands)
        left[0] -= 1
        if arrived := sent(commands):
            await ask(line, arrived)
        line.end()
        raise LineLost

    patch.setattr(Line, "ask_all", ask_all)


@pytest.mark.parametrize("arrived", [0, 1, 2, 3])
async def test_a_connection_lost_in_a_commit_costs_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, arrived: int
) -> None:
    """However much of a commit arrived before the connection broke, the write takes effect once and is told once."""
    await store.committer.submit("", put("urn:a", 1))
    break_commits(monkeypatch, lambda commands: commands[:arrived])
    assert await store.committer.submit("", put("urn:a", 2)) == 1
    assert await stored(store, "urn:a") == 2
    assert await store.databases.of("")["changes"].count_documents({}) == 2
    assert [change.after["attrs"][NAME]["value"] for change in store.heard.changes if change.after] == [1, 2]
    assert store.committer.open_numbers("") == frozenset()


@pytest.mark.parametrize(("committed", "without_lines"), [(True, 1), (False, 1), (True, 2)])
async def test_a_commit_whose_fate_is_unknown_is_found_out_later(
    store: Store, monkeypatch: pytest.MonkeyPatch, committed: bool, without_lines: int
) -> None:
    """The caller hears 503 in time; subscribers hear of the change if, and only if, it was committed."""
    await store.committer.submit("", put("urn:a", 1))
    lines = store.databases._lines
    take = lines.take
    monkeypatch.setattr(module, "PAUSES", (0.0,))
    break_commits(monkeypatch, lambda commands: commands if committed else [])
    given = [await take(), *[None] * without_lines]

    async def taken() -> Any:
        return given.pop(0) if given else await take()

    monkeypatch.setattr(lines, "take", taken)
    with pytest.raises(Unavailable):
        await store.committer.submit("", put("urn:a", 2))
    async with asyncio.timeout(20):
        while store.committer.open_numbers(""):
            await asyncio.sleep(0.05)
    assert await stored(store, "urn:a") == (2 if committed else 1)
    assert len(store.heard.changes) == (2 if committed else 1)


async def test_without_lines_the_driver_carries_transactions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no line is to be had, writes, refusals, receipts and deletions are what they are over lines."""
    monkeypatch.setattr(store.databases._lines, "_works", False)
    assert isinstance(await store.databases.transaction(""), DriverTransaction)
    writes = [put("urn:a", 1, receipt="r"), put("urn:a", 2, receipt="r"), put("urn:huge", 2**70), remove("urn:a")]
    answers = await store.committer.submit_all("", writes)
    assert answers[0] == "created"
    assert answers[1] is DUPLICATE
    assert isinstance(answers[2], BadRequestData)
    assert answers[3] == "deleted"
    assert await store.databases.of("")["changes"].count_documents({}) == 2


async def begun(store: Store, entity_id: str) -> Any:
    """Return a transaction that has read an entity."""
    transaction = await store.databases.transaction("")
    await transaction.__aenter__()
    await transaction.find([("entities", [entity_id])])
    return transaction


def level(value: int) -> dict[str, Any]:
    """Return the command that sets the level of urn:a."""
    return {"update": "entities", "updates": [{"q": {"_id": "urn:a"}, "u": {"$set": {"attrs.x": value}}}]}


async def test_a_statement_that_fails_takes_the_commit_with_it(store: Store) -> None:
    """Statements and commit are sent together: after a failure nothing of them is there, and it is no doubtful case."""
    await store.committer.submit("", put("urn:a", 1))
    twice = {"insert": "receipts", "documents": [{"_id": "r"}, {"_id": "r"}], "ordered": False}
    bad = {"update": "entities", "updates": [{"q": {"_id": "urn:a"}, "u": {"$set": {"geo": {"type": "Point"}}}}]}
    for statement, error in ((twice, Lost), (bad, OperationFailure)):
        transaction = await begun(store, "urn:a")
        with pytest.raises(error):
            await transaction.commit([level(7), statement, {"insert": "receipts", "documents": [{"_id": "s"}]}])
        assert not transaction.sent
        await transaction.__aexit__(None, None, None)
    found = await store.databases.of("")["entities"].find_one({"_id": "urn:a"})
    assert found is not None
    assert "x" not in found["attrs"]
    assert await store.databases.of("")["receipts"].count_documents({}) == 0


async def test_a_transaction_that_is_left_is_aborted_and_one_overtaken_is_to_be_tried_again(store: Store) -> None:
    """What was read and not committed holds up nobody; what another changed meanwhile is a transient failure."""
    await store.committer.submit("", put("urn:a", 1))
    left = await begun(store, "urn:a")
    await left.__aexit__(None, None, None)
    late = await begun(store, "urn:a")
    await store.committer.submit("", put("urn:a", 2))
    with pytest.raises(OperationFailure) as failure:
        await late.commit([level(9)])
    assert failure.value.has_error_label("TransientTransactionError")
    await late.__aexit__(None, None, None)
    assert await stored(store, "urn:a") == 2


async def test_a_connection_lost_while_reading_is_an_outage(store: Store) -> None:
    """The driver's own exception says so, so that the group is tried again."""
    transaction = await begun(store, "urn:a")
    transaction._line.end()
    with pytest.raises(AutoReconnect):
        await transaction.find([("entities", ["urn:a"])])
    await transaction.__aexit__(None, None, None)


async def test_many_documents_are_read_in_pieces(store: Store) -> None:
    """What does not fit into one answer is read to its end within the transaction."""
    things = [{"_id": f"urn:{number}", "text": "x" * 4_000_000} for number in range(6)]
    await store.databases.ready("")
    await store.databases.of("")["entities"].insert_many(things)
    transaction = await store.databases.transaction("")
    async with transaction:
        ids = [thing["_id"] for thing in things]
        found, receipts = await transaction.find([("entities", ids), ("receipts", ["r"])])
    assert sorted(row["_id"] for row in found) == ids
    assert receipts == []
