"""Which changes concern which subscriptions (5.8.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.subscriptions.samples import NOW, change, creation, deletion, document, removal, subscription, update
from tsunagu.broker.changes import Touch
from tsunagu.subscriptions.index import SubscriptionIndex, candidates
from tsunagu.subscriptions.matching import Effect, matching

if TYPE_CHECKING:
    from tsunagu.broker.changes import Change

RIVER = document(level=1, name="Kawa")
CHANGES = {
    "created": creation(RIVER),
    "updated": update(RIVER, level=2),
    "appended": update(RIVER, flow=3),
    "removed": removal(RIVER, "level"),
    "deleted": deletion(RIVER),
}


def notified(what: Change, now: int = NOW, **members: Any) -> bool:
    """Tell whether a subscription is notified of a change, through the index."""
    one = subscription(**members)
    index = SubscriptionIndex()
    index.add(one)
    effect = Effect(what)
    shelves = index.shelves_for(what.entity_id, effect.document["type"])
    return matching(candidates(shelves, effect), effect, now) == [one]


@pytest.mark.parametrize(
    ("trigger", "fires"),
    [
        (None, {"created", "updated", "appended"}),
        ("entityCreated", {"created"}),
        ("entityDeleted", {"deleted"}),
        ("entityUpdated", {"created", "updated", "appended", "removed", "deleted"}),
        ("attributeCreated", {"created", "appended"}),
        ("attributeUpdated", {"updated"}),
        ("attributeDeleted", {"removed", "deleted"}),
    ],
)
def test_triggers(trigger: str | None, fires: set[str]) -> None:
    """Each of the six triggers, and their default, fires on just the changes that the standard names (5.2.12)."""
    members = {} if trigger is None else {"notificationTrigger": [trigger]}
    assert {kind for kind, what in CHANGES.items() if notified(what, **members)} == fires


def test_an_update_to_an_equal_value_is_no_change() -> None:
    """An update that leaves the value as it was notifies nobody."""
    assert not notified(update(RIVER, level=1))


def test_a_changed_sub_attribute_is_a_change() -> None:
    """A change of a child of the attribute's node is a change of the attribute."""
    assert notified(update(RIVER, level={"type": "Property", "value": 1, "unitCode": "MTR"}))


def test_only_watched_attributes_count() -> None:
    """A change of another attribute than the watched ones notifies nobody."""
    assert notified(update(RIVER, level=2), watchedAttributes=["level", "flow"])
    assert not notified(update(RIVER, name="Gawa"), watchedAttributes=["level", "flow"])


def test_watching_without_entities_means_any_entity() -> None:
    """With watchedAttributes alone, entities of every type are subscribed to."""
    assert notified(update(RIVER, level=2), entities=None, watchedAttributes=["level"])
    assert not notified(update(RIVER, flow=2), entities=None, watchedAttributes=["level"])


def test_a_creation_counts_for_watchers_of_its_attributes_only() -> None:
    """EntityCreated with watchedAttributes asks for an entity that has one of them."""
    assert notified(CHANGES["created"], notificationTrigger=["entityCreated"], watchedAttributes=["level"])
    assert not notified(CHANGES["created"], notificationTrigger=["entityCreated"], watchedAttributes=["flow"])


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({"type": "River"}, True),
        ({"type": "Lake"}, False),
        ({"type": "(River|Lake)"}, True),
        ({"type": "(River;Lake)"}, False),
        ({"type": "*"}, True),
        ({"type": "River", "id": "urn:x:a"}, True),
        ({"type": "River", "id": ["urn:x:b", "urn:x:a"]}, True),
        ({"type": "River", "id": "urn:x:b"}, False),
        ({"type": "Lake", "id": "urn:x:a"}, False),
        ({"type": "River", "idPattern": "^urn:x:[a-c]$"}, True),
        ({"type": "River", "idPattern": "^urn:y:"}, False),
        ({"type": "*", "idPattern": "^urn:x:"}, True),
        ({"type": "River", "id": "urn:x:a", "idPattern": "^urn:y:"}, True),
    ],
)
def test_selectors(selector: dict[str, Any], expected: bool) -> None:
    """Entities are selected by type expression, id and idPattern; id goes before idPattern (5.2.33)."""
    assert notified(update(RIVER, level=2), entities=[selector]) is expected


def test_any_selector_suffices() -> None:
    """Of several selectors one that the entity meets is enough, and it is notified once."""
    assert notified(update(RIVER, level=2), entities=[{"type": "Lake"}, {"type": "River"}, {"type": "*"}])


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("level>1.5", True),
        ("level>2", False),
        ("level>=2", True),
        ("level<3", True),
        ("level<2", False),
        ("level<=2", True),
        ("level==2", True),
        ("level==3", False),
        ("level!=3", True),
        ('name=="Kawa"', True),
        ('name=="Gawa"', False),
        ('level>1;name=="Kawa"', True),
        ('level>5;name=="Kawa"', False),
        ('level>5|name=="Kawa"', True),
        ("level==1..3", True),
        ("flow", False),
        ("!flow", True),
        ("name~=^Ka", True),
    ],
)
def test_q(q: str, expected: bool) -> None:
    """The entity after the change must meet q."""
    assert notified(update(RIVER, level=2), q=q) is expected


def test_q_is_asked_of_the_entity_before_its_deletion() -> None:
    """A deleted entity is looked at as it was."""
    assert notified(CHANGES["deleted"], q="level==1", notificationTrigger=["entityDeleted"])
    assert not notified(CHANGES["deleted"], q="level==2", notificationTrigger=["entityDeleted"])


def test_a_list_passes_the_gate_of_the_index() -> None:
    """A Property with an array matches if an element does, also through the index by value."""
    assert notified(update(RIVER, level=[5, 2]), q="level==2")


def test_geo_and_scope() -> None:
    """GeoQ and scopeQ are conditions on the entity."""
    place = {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [139.7, 35.6]}}
    river = document(level=1, location=place)
    river["scope"] = ["/river/ara"]
    near = {"georel": "near;maxDistance==1000", "geometry": "Point", "coordinates": [139.7, 35.6]}
    far = {**near, "coordinates": [130.0, 33.0]}
    assert notified(update(river, level=2), geoQ=near)
    assert not notified(update(river, level=2), geoQ=far)
    assert notified(update(river, level=2), scopeQ="/river/#")
    assert not notified(update(river, level=2), scopeQ="/lake/#")


def test_datasets() -> None:
    """A subscription to some instances is not concerned by changes of others (5.2.12 datasetId)."""
    other = {"type": "Property", "value": 5, "datasetId": "urn:d:1"}
    assert notified(update(RIVER, level=other), datasetId=["urn:d:1"])
    assert not notified(update(RIVER, level=other), datasetId=["@none"])
    assert notified(update(RIVER, level=2), datasetId=["@none"])


def test_paused_expired_and_periodic_subscriptions_are_not_notified() -> None:
    """Only an active subscription without timeInterval is notified of changes."""
    assert not notified(update(RIVER, level=2), isActive=False)
    assert notified(update(RIVER, level=2), expiresAt="2099-01-01T00:00:00Z")
    assert not notified(update(RIVER, level=2), now=NOW + 10**13, expiresAt="2099-01-01T00:00:00Z")
    assert not notified(update(RIVER, level=2), timeInterval=5)


def test_an_empty_entity_is_created() -> None:
    """An entity without attributes notifies those that wait for its creation, not those that wait for attributes."""
    bare = document()
    assert notified(creation(bare), notificationTrigger=["entityCreated"])
    assert not notified(creation(bare))


def test_a_touch_of_an_unknown_instance_does_no_harm() -> None:
    """A touch that names an instance which neither document has is looked at without fault."""
    what = change("urn:x:a", before=RIVER, after={**RIVER}, touched=(Touch("nothing", "updated", "urn:d:1"),))
    assert not notified(what)
