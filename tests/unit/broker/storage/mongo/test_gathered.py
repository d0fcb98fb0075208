"""Reads by id that wait at the same time go out together."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tsunagu.broker.errors import Unavailable
from tsunagu.broker.storage.mongo.gathered import FURTHER, LIMIT, GatheredReads


class Finds:
    """A find that waits until it is let go; keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str], bool]] = []
        self.gate = asyncio.Event()

    async def __call__(self, tenant: str, ids: list[str], *, times: bool) -> list[dict[str, Any]]:
        self.asked.append((tenant, ids, times))
        await self.gate.wait()
        return [{"_id": one} for one in ids if one != "lost"]


async def ask(reads: GatheredReads, ids: list[str], *, tenant: str = "", times: bool = False) -> list[Any]:
    asked = [asyncio.create_task(reads.get(tenant, one, times=times)) for one in ids]
    for _ in range(4):
        await asyncio.sleep(0)
    return asked


async def test_one_turn_is_one_find() -> None:
    """Reads in one turn of the event loop share a find, each id in it once; what is not there is None."""
    finds = Finds()
    reads = GatheredReads(finds)
    asked = await ask(reads, ["a", "b", "a", "lost"])
    finds.gate.set()
    assert await asyncio.gather(*asked) == [{"_id": "a"}, {"_id": "b"}, {"_id": "a"}, None]
    assert finds.asked == [("", ["a", "b", "lost"], False)]


async def test_what_comes_later_waits_for_a_later_find() -> None:
    """A read is never answered by a find that began before it, not even of the same id; many start a second find."""
    finds = Finds()
    reads = GatheredReads(finds)
    asked = await ask(reads, ["a"])
    asked += await ask(reads, ["a", "b"])
    assert len(finds.asked) == 1
    asked += await ask(reads, [f"{number}" for number in range(FURTHER)])
    assert len(finds.asked) == 2
    asked += await ask(reads, [f"{number}" for number in range(LIMIT + 1)])
    assert len(finds.asked) == 2
    finds.gate.set()
    await asyncio.gather(*asked)
    assert [len(ids) for _, ids, _ in finds.asked] == [1, FURTHER + 2, LIMIT, 1]


async def test_tenants_and_times_are_kept_apart() -> None:
    """Each tenant has finds of its own; a find reads times when anybody in it wants them."""
    finds = Finds()
    reads = GatheredReads(finds)
    asked = await ask(reads, ["a"], tenant="x", times=True)
    asked += await ask(reads, ["a"], tenant="y")
    finds.gate.set()
    await asyncio.gather(*asked)
    assert finds.asked == [("x", ["a"], True), ("y", ["a"], False)]


async def test_a_fault_reaches_all_who_wait() -> None:
    """Every read of a find that fails gets its error, and close() waits for what is under way."""

    async def fail(tenant: str, ids: list[str], *, times: bool) -> list[Any]:
        raise Unavailable("away")

    reads = GatheredReads(fail)
    for one in await ask(reads, ["a", "a", "b"]):
        with pytest.raises(Unavailable):
            await one
    await reads.close()
