"""Leases in MongoDB: registration, renewal, takeover, roles."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tsunagu.broker.storage.leases import Home
from tsunagu.broker.storage.mongo.leases import MongoLeases

if TYPE_CHECKING:
    from tests.unit.broker.storage.mongo.conftest import Store

HOME = Home("machine", 12, 345)
LONG, SHORT = 60.0, 0.05


@pytest.fixture
def leases(store: Store) -> MongoLeases:
    """Give the store."""
    return MongoLeases(store.databases)


async def test_a_renewed_lease_is_not_taken(leases: MongoLeases) -> None:
    """A writer that renews in time is left alone."""
    await leases.register("a", HOME, SHORT)
    assert await leases.renew("a", LONG)
    await asyncio.sleep(0.1)
    assert await leases.take("b", LONG, overdue=True) is None


async def test_an_overdue_lease_is_taken_once(leases: MongoLeases) -> None:
    """Of several heirs only one gets a writer that did not renew; it is told by its renewal that it was taken."""
    await leases.register("a", HOME, SHORT)
    await asyncio.sleep(0.1)
    taken = await asyncio.gather(*(leases.take(heir, LONG, overdue=True) for heir in "bcdef"))
    assert sorted(taken, key=str) == [None, None, None, None, "a"]
    assert not await leases.renew("a", LONG)


async def test_overdue_leases_are_left_when_not_asked_for(leases: MongoLeases) -> None:
    """Who is not sure that others could renew does not take what is overdue."""
    await leases.register("a", HOME, SHORT)
    await asyncio.sleep(0.1)
    assert await leases.take("b", LONG, overdue=False) is None


async def test_a_handed_over_lease_is_taken_at_once(leases: MongoLeases) -> None:
    """A writer that handed over is taken without waiting."""
    await leases.register("a", HOME, LONG)
    await leases.hand_over("a")
    assert await leases.take("b", LONG, overdue=False) == "a"
    assert await leases.take("c", LONG, overdue=False) is None


async def test_a_writer_known_to_be_dead_is_taken_at_once(leases: MongoLeases) -> None:
    """A writer whose process is known to be gone is taken without waiting, by name."""
    await leases.register("a", HOME, LONG)
    await leases.register("z", HOME, LONG)
    assert await leases.homes() == {"a": HOME, "z": HOME}
    assert await leases.take("b", LONG, overdue=False, dead="z") == "z"
    assert await leases.homes() == {"a": HOME}


async def test_an_heir_renews_what_it_has_taken(leases: MongoLeases) -> None:
    """What an heir took stays its own as long as it renews, and is free when it does not."""
    await leases.register("a", HOME, SHORT)
    await leases.register("b", HOME, LONG)
    await leases.register("c", HOME, LONG)
    await asyncio.sleep(0.1)
    assert await leases.take("b", SHORT, overdue=True) == "a"
    await leases.renew("b", 0.2)
    await asyncio.sleep(0.1)
    assert await leases.take("c", LONG, overdue=True) is None
    await asyncio.sleep(0.2)
    assert await leases.take("c", LONG, overdue=True) == "a"


async def test_a_removed_writer_is_nobodys(leases: MongoLeases) -> None:
    """A writer that left nothing is not taken, and its renewal fails."""
    await leases.register("a", HOME, SHORT)
    await leases.remove("a")
    await asyncio.sleep(0.1)
    assert await leases.take("b", LONG, overdue=True) is None
    assert not await leases.renew("a", LONG)


async def test_a_role_has_one_holder(leases: MongoLeases) -> None:
    """A role is held by one writer until it gives it up or does not renew."""
    held = await asyncio.gather(*(leases.hold("timers", writer, LONG) for writer in "abc"))
    assert sorted(held) == [False, False, True]
    holder = "abc"[held.index(True)]
    assert await leases.hold("timers", holder, SHORT)
    await asyncio.sleep(0.1)
    assert await leases.hold("timers", "d", LONG)
    assert not await leases.hold("timers", holder, LONG)
    await leases.release("timers", holder)
    assert not await leases.hold("timers", holder, LONG)
    await leases.release("timers", "d")
    assert await leases.hold("timers", holder, LONG)
