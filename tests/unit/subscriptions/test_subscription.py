"""A subscription in memory: small until it is needed, equal parts shared."""

from __future__ import annotations

from tests.unit.subscriptions.samples import creation, document, subscription
from tsunagu.subscriptions.index import SubscriptionIndex, candidates
from tsunagu.subscriptions.matching import Effect, matching
from tsunagu.subscriptions.subscription import Subscription


def _matched(index: SubscriptionIndex, entity: str) -> list[Subscription]:
    effect = Effect(creation(document(entity, a=1)))
    return matching(candidates(index.shelves_for(entity, effect.document["type"]), effect), effect, 1)


def test_the_plan_is_compiled_when_a_change_may_concern_it() -> None:
    """What no change may concern stays as it is stored; the others are compiled once."""
    index = SubscriptionIndex()
    met, other = (subscription(entities=[{"type": "River", "id": f"urn:x:{name}"}]) for name in "ab")
    index.add(met)
    index.add(other)
    assert (met._plan, other._plan) == (None, None)
    assert _matched(index, "urn:x:a") == [met]
    assert other._plan is None
    assert met.plan is met.plan


def test_equal_parts_are_shared() -> None:
    """Subscriptions that differ in id, entity and address have types, endpoint, view and watched names in common."""
    one, two = (
        subscription(
            entities=[{"type": "River", "id": f"urn:x:{name}"}],
            endpoint={"uri": f"http://far.example/{name}", "receiverInfo": [{"key": "a", "value": "b"}]},
            watchedAttributes=["level"],
        )
        for name in "ab"
    )
    assert one.watched is two.watched
    assert one.plan.view is two.plan.view
    assert one.plan.look is two.plan.look
    assert one.plan.endpoint is two.plan.endpoint
    assert one.plan.query is two.plan.query
    assert one.plan.selects is two.plan.selects
    assert one.plan.selectors[0].types is two.plan.selectors[0].types
    assert one.uri != two.uri


def test_one_entity_is_asked_for_its_type_too() -> None:
    """A selector with id and type selects the entity with this id only while it has the type."""
    index = SubscriptionIndex()
    lake = subscription(entities=[{"type": "Lake", "id": "urn:x:a"}])
    anything = subscription(entities=[{"type": "*", "id": "urn:x:a"}])
    for one in (lake, anything):
        index.add(one)
    assert _matched(index, "urn:x:a") == [anything]
