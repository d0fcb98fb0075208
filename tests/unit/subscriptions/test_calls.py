"""Calls between the processes of one machine, and between machines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tsunagu.broker.storage.leases import Home, Writer
from tsunagu.broker.storage.shared import MemoryFanout
from tsunagu.subscriptions.calls import CHANGES, PARKED, Calls
from tsunagu.subscriptions.home import MACHINE

Heard = list[tuple[bytes, list[str]]]


def caller(heard: Heard, fanout: MemoryFanout) -> Calls:
    return Calls(lambda kind, words: heard.append((kind, words)), fanout)


def at(machine: str, port: int) -> Writer:
    return Writer(Home(machine, 1, 1), port, overdue=False, ended=False, seen="")


async def _until(check: Callable[[], object]) -> None:
    async with asyncio.timeout(3):
        while not check():
            await asyncio.sleep(0.002)


async def test_a_process_of_this_machine_is_called_directly() -> None:
    """A call to a process of the same machine arrives with its kind and words, without the fanout."""
    heard: Heard = []
    one, other = caller([], MemoryFanout()), caller(heard, MemoryFanout())
    await one.start("a")
    port = await other.start("b")
    one.call("b", at(MACHINE, port), PARKED, "ward", "urn:s:1")
    one.call("b", at(MACHINE, port), CHANGES, "")
    await _until(lambda: len(heard) == 2)
    assert heard == [(PARKED, ["ward", "urn:s:1"]), (CHANGES, [""])]
    await one.close()
    await other.close()


async def test_another_machine_is_called_through_the_fanout() -> None:
    """A call to a process elsewhere goes through what is shared, by the writer's id."""
    heard: Heard = []
    shared = MemoryFanout()
    one, other = caller([], shared), caller(heard, shared)
    await one.start("a")
    port = await other.start("b")
    one.call("b", at("elsewhere", port), CHANGES, "ward")
    await _until(lambda: heard)
    assert heard == [(CHANGES, ["ward"])]
    await one.close()
    await other.close()
