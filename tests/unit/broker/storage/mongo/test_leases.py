"""Leases in MongoDB: registration, renewal, roles."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tsunagu.broker.storage.leases import Home, Writer
from tsunagu.broker.storage.mongo.leases import MongoLeases

if TYPE_CHECKING:
    from tests.unit.broker.storage.mongo.conftest import Store

HOME = Home("machine", 12, 345)
LONG, SHORT = 60.0, 0.05


@pytest.fixture
def leases(store: Store) -> MongoLeases:
    """Give the store."""
    return MongoLeases(store.databases)


async def test_a_writer_is_overdue_when_it_does_not_renew(leases: MongoLeases) -> None:
    """A writer that renews in time is not overdue, one that does not is; both say where they run."""
    await leases.register("a", HOME, 7001, SHORT)
    await leases.register("b", HOME, 7002, SHORT)
    assert await leases.renew("b", LONG)
    await asyncio.sleep(0.1)
    assert await leases.writers() == {
        "a": Writer(HOME, 7001, overdue=True, ended=False, seen=""),
        "b": Writer(HOME, 7002, overdue=False, ended=False, seen=""),
    }


async def test_a_writer_learns_who_follows_it(leases: MongoLeases) -> None:
    """Whoever follows a writer says so in its row; a new registration begins without."""
    await leases.register("a", HOME, 7001, LONG)
    await leases.see(["a", "z"], by="d")
    assert (await leases.writers())["a"].seen == "d"
    await leases.register("a", HOME, 7001, LONG)
    assert (await leases.writers())["a"].seen == ""


async def test_an_ended_writer_is_known_until_it_is_removed(leases: MongoLeases) -> None:
    """A writer that ended and left something stays registered; one that is removed cannot renew."""
    await leases.register("a", HOME, 7001, LONG)
    await leases.end("a")
    assert (await leases.writers())["a"].ended
    await leases.remove("a")
    assert await leases.writers() == {}
    assert not await leases.renew("a", LONG)


async def test_a_role_has_one_holder(leases: MongoLeases) -> None:
    """A role is held by one writer until it gives it up or does not renew."""
    told = await asyncio.gather(*(leases.hold("deliverer", writer, LONG) for writer in "abc"))
    holder = told[0]
    assert set(told) == {holder}
    assert await leases.hold("deliverer", holder, SHORT) == holder
    await asyncio.sleep(0.1)
    assert await leases.hold("deliverer", "d", LONG) == "d"
    assert await leases.hold("deliverer", holder, LONG) == "d"
    await leases.release("deliverer", holder)
    assert await leases.hold("deliverer", holder, LONG) == "d"
    await leases.release("deliverer", "d")
    assert await leases.hold("deliverer", holder, LONG) == holder


async def test_an_overdue_role_is_left_when_not_asked_for(leases: MongoLeases) -> None:
    """Who is not sure that the holder could renew does not take the role; the holder itself still may."""
    assert await leases.hold("deliverer", "a", SHORT) == "a"
    await asyncio.sleep(0.1)
    assert await leases.hold("deliverer", "b", LONG, overdue=False) == "a"
    assert await leases.hold("deliverer", "a", LONG, overdue=False) == "a"


async def test_a_dead_holder_loses_its_role_at_once(leases: MongoLeases) -> None:
    """A role of a writer that is known to be dead is taken without waiting for its lease."""
    assert await leases.hold("deliverer", "a", LONG) == "a"
    assert await leases.hold("deliverer", "b", LONG, over=["a"]) == "b"
