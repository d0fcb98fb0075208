"""Which subscriptions a device message would fire, told before anything is stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.unit.subscriptions.samples import document, subscription
from tsunagu.adapters.sink import EntityUpdate
from tsunagu.app.foresight import Foresight
from tsunagu.app.sink import BrokerSink
from tsunagu.broker.errors import ResourceNotFound
from tsunagu.subscriptions.index import SubscriptionIndex

if TYPE_CHECKING:
    from tsunagu.broker.changes import Document
    from tsunagu.subscriptions.subscription import Subscription


@dataclass
class Store:
    """Subscriptions, by tenant."""

    indexes: dict[str, SubscriptionIndex] = field(default_factory=dict)

    def add(self, one: Subscription) -> str:
        self.indexes.setdefault(one.tenant, SubscriptionIndex()).add(one)
        return one.id


@dataclass
class Entities:
    """What is stored."""

    documents: dict[str, Document] = field(default_factory=dict)

    async def retrieve(self, tenant: str, entity_id: str) -> Document:
        del tenant
        try:
            return self.documents[entity_id]
        except KeyError:
            raise ResourceNotFound(entity_id) from None


def reading(level: Any, minute: int = 10, **more: Any) -> EntityUpdate:
    at = f"2026-07-19T12:{minute:02d}:00Z"
    return EntityUpdate("urn:x:a", "River", {"level": {"type": "Property", "value": level, "observedAt": at}}, **more)


async def test_those_are_named_whose_conditions_the_new_state_meets() -> None:
    """Of an entity that is not there yet, and of one that is; in the order of the updates."""
    store, entities = Store(), Entities()
    every = store.add(subscription(notificationTrigger=["entityCreated", "attributeUpdated"]))
    high = store.add(subscription(q="level>3", notificationTrigger=["entityCreated", "attributeUpdated"]))
    store.add(subscription(entities=[{"type": "Camera"}]))
    store.add(subscription(tenant="north"))
    foresee = Foresight(BrokerSink(None, None), entities, store)  # type: ignore[arg-type]
    assert await foresee("", [reading(2.0)]) == [every]
    assert await foresee("", [reading(4.0)]) == sorted([every, high])
    assert await foresee("", [reading(2.0), reading(4.0, 20)]) == sorted([every, high])
    assert await foresee("south", [reading(4.0)]) == []
    entities.documents["urn:x:a"] = document(level=reading(2.0, 30).attrs["level"])
    assert await foresee("", [reading(4.0, 20)]) == [], "it would go to the history alone"
    assert await foresee("", [reading(4.0, 40)]) == sorted([every, high])


async def test_a_late_reading_would_fire_those_who_ask_for_it() -> None:
    """And what the broker would refuse fires nobody."""
    store = Store()
    store.add(subscription(notificationTrigger=["entityCreated"]))
    asks = store.add(subscription(notificationTrigger=["entityCreated"], lateData=True))
    foresee = Foresight(BrokerSink(None, None), Entities(), store)  # type: ignore[arg-type]
    assert await foresee("", [reading(4.0, late=True)]) == [asks]
    assert await foresee("", [EntityUpdate("no uri", "River", {})]) == []
