"""Tallies and attempts in MongoDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tsunagu.broker.storage.deliveries import Attempt, Tally
from tsunagu.broker.storage.mongo.deliveries import MongoDeliveryRecords

if TYPE_CHECKING:
    from tests.unit.broker.storage.mongo.conftest import Store


@pytest.fixture
def records(store: Store) -> MongoDeliveryRecords:
    """Give the store."""
    return MongoDeliveryRecords(store.databases)


def attempt(at: int, subscription: str = "urn:s:1") -> Attempt:
    return Attempt(subscription, f"urn:n:{at}", ("w-1", "w-2"), at, True, 200, "", 12, 345, "ab" * 32)


async def test_tallies_add_up(records: MongoDeliveryRecords) -> None:
    """Counts are added to those kept; of times the latest is kept, also when an earlier one comes later."""
    await records.add("", {"urn:s:1": Tally(2, 1, 100, 100, None), "urn:s:2": Tally(1)})
    await records.add("", {"urn:s:1": Tally(3, 0, 90, None, 50)})
    assert await records.tallies("", ["urn:s:1", "urn:s:2", "urn:s:3"]) == {
        "urn:s:1": Tally(5, 1, 100, 100, 50),
        "urn:s:2": Tally(1),
    }
    assert await records.tallies("ward", ["urn:s:1"]) == {}


async def test_attempts_come_newest_first(records: MongoDeliveryRecords) -> None:
    """The attempts of a subscription come newest first, page by page."""
    await records.note("", [attempt(1), attempt(2), attempt(3), attempt(4, "urn:s:2")])
    assert await records.attempts("", "urn:s:1", limit=2) == [attempt(3), attempt(2)]
    assert await records.attempts("", "urn:s:1", limit=2, before=2) == [attempt(1)]


async def test_a_deleted_subscription_is_forgotten(records: MongoDeliveryRecords) -> None:
    """Nothing is kept of a subscription that is deleted."""
    await records.add("", {"urn:s:1": Tally(1)})
    await records.note("", [attempt(1)])
    await records.forget("", "urn:s:1")
    assert await records.tallies("", ["urn:s:1"]) == {}
    assert await records.attempts("", "urn:s:1", limit=1) == []
