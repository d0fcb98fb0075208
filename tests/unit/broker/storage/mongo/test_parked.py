"""Parked notifications and dead letters in MongoDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tsunagu.broker.changes import Change, Touch
from tsunagu.broker.storage.mongo.parked import MongoParkedDeliveries
from tsunagu.broker.storage.parked import DeadLetter, Parked

if TYPE_CHECKING:
    from tests.unit.broker.storage.mongo.conftest import Store

AFTER = {
    "_id": "urn:x:1",
    "type": ["T"],
    "attrs": {"a": {"type": "Property", "value": 1}},
    "sys": {"a": {"c": 1}},
    "v": 2,
}
CHANGE = Change(
    "",
    "w",
    7,
    "urn:x:1",
    "updated",
    1_795_000_000_000,
    None,
    AFTER,
    (Touch("a", "updated", "urn:d:1"),),
    {"replay": True},
)


def row(seq: int, subscription: str = "urn:s:1", lane: str = "urn:x:1") -> Parked:
    return Parked(f"{subscription}|{seq}", subscription, seq, lane, (CHANGE,))


@pytest.fixture
def parked(store: Store) -> MongoParkedDeliveries:
    """Give the store."""
    return MongoParkedDeliveries(store.databases)


async def test_what_is_put_is_loaded_in_order(parked: MongoParkedDeliveries) -> None:
    """Rows come back as they were, in the order of their seq, after a place and up to a number."""
    await parked.put("", [row(3), row(1), row(2)])
    assert await parked.load("", "urn:s:1", after=0, limit=10) == [row(1), row(2), row(3)]
    assert await parked.load("", "urn:s:1", after=1, limit=1) == [row(2)]


async def test_a_row_is_kept_once(parked: MongoParkedDeliveries) -> None:
    """A row whose id is there already is left as it is; the others of the same call are kept."""
    await parked.put("", [row(1)])
    await parked.put("", [row(1, lane="urn:x:2"), row(2)])
    assert await parked.load("", "urn:s:1", after=0, limit=10) == [row(1), row(2)]


async def test_rows_are_removed_and_discarded(parked: MongoParkedDeliveries) -> None:
    """Rows go by id, or with their subscription."""
    await parked.put("", [row(1), row(2), row(1, subscription="urn:s:2")])
    await parked.remove("", [row(1).id])
    assert await parked.load("", "urn:s:1", after=0, limit=10) == [row(2)]
    await parked.discard("", "urn:s:1")
    assert await parked.subscriptions("") == ["urn:s:2"]


async def test_tenants_do_not_see_each_others_rows(parked: MongoParkedDeliveries) -> None:
    """What one tenant has parked another one does not load."""
    await parked.put("", [row(1)])
    assert await parked.load("ward", "urn:s:1", after=0, limit=10) == []
    assert await parked.subscriptions("ward") == []


async def test_dead_letters(parked: MongoParkedDeliveries) -> None:
    """A buried row is a dead letter with its reason, and no row any more."""
    await parked.put("", [row(1), row(2)])
    letters = [DeadLetter(row(1), 5, "500"), DeadLetter(row(9), 6, "400")]
    await parked.bury("", letters)
    assert await parked.dead("", "urn:s:1", limit=10) == letters
    assert await parked.dead("", "urn:s:1", limit=10, offset=1) == letters[1:]
    assert await parked.load("", "urn:s:1", after=0, limit=10) == [row(2)]


async def test_dead_letters_are_delivered_again(parked: MongoParkedDeliveries) -> None:
    """Dead letters become rows again: those named, those since a time, or all."""
    await parked.bury("", [DeadLetter(row(number), number * 10, "500") for number in (1, 2, 3, 4)])
    assert await parked.exhume("", "urn:s:1", ids=[row(2).id], since=None) == 1
    assert await parked.exhume("", "urn:s:1", ids=None, since=40) == 1
    assert await parked.load("", "urn:s:1", after=0, limit=10) == [row(2), row(4)]
    assert await parked.exhume("", "urn:s:1", ids=None, since=None) == 2
    assert await parked.dead("", "urn:s:1", limit=10) == []
