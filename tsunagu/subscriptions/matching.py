"""Which subscriptions a change concerns (5.8.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from tsunagu.subscriptions.index import candidates
from tsunagu.subscriptions.triggers import (
    ATTRIBUTE_ANY,
    ATTRIBUTE_CREATED,
    ATTRIBUTE_DELETED,
    ATTRIBUTE_UPDATED,
    ENTITY_CREATED,
    ENTITY_DELETED,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tsunagu.broker.changes import Change, Document
    from tsunagu.subscriptions.index import SubscriptionIndex
    from tsunagu.subscriptions.subscription import Subscription

log = structlog.get_logger(__name__)

DEED_BITS = {"created": ATTRIBUTE_CREATED, "updated": ATTRIBUTE_UPDATED, "deleted": ATTRIBUTE_DELETED}


class Effect:
    """What a change amounts to for subscriptions.

    `bits`: the triggers it fires; `names`: of each touched attribute (stored name) the bits of its instances that
    really differ (5.8.6: an update to an equal value is no change); `instances`: the same by (name, datasetId);
    `document`: what conditions are evaluated on, the entity after the change, or before its deletion.
    """

    __slots__ = ("bits", "document", "instances", "names")

    def __init__(self, change: Change) -> None:
        before, after = change.before, change.after
        self.document: Document = after if after is not None else before  # type: ignore[assignment] # one of them is there
        bits = ENTITY_CREATED if before is None else ENTITY_DELETED if after is None else 0
        names: dict[str, int] = {}
        instances: dict[tuple[str, str | None], int] = {}
        for touch in change.touched:
            bit = DEED_BITS[touch.deed]
            name, dataset = touch.attribute, touch.dataset_id
            if bit == ATTRIBUTE_UPDATED and before is not None and after is not None:
                old, new = before["attrs"].get(name), after["attrs"].get(name)
                if old is new or old == new or _instance(old, dataset) == _instance(new, dataset):
                    continue
            bits |= bit
            names[name] = names.get(name, 0) | bit
            instances[name, dataset] = bit
        self.bits = bits
        self.names = names
        self.instances = instances


def _instance(value: Any, dataset: str | None) -> Any:
    """Return the instance of an attribute with this datasetId, None for the default one."""
    if isinstance(value, dict):
        return value if value.get("datasetId") == dataset else None
    for instance in value or ():
        if instance.get("datasetId") == dataset:
            return instance
    return None


def concerns(subscription: Subscription, effect: Effect, now: int) -> bool:
    """Tell whether a notification is due for a change; `now` is epoch ms. Linked conditions are left to the sender."""
    fired = subscription.triggers & effect.bits
    if not fired or not subscription.active or subscription.expires <= now or subscription.interval:
        return False
    if subscription.watched is not None or subscription.datasets is not None:
        wanted = ATTRIBUTE_ANY if fired & (ENTITY_CREATED | ENTITY_DELETED) else fired
        if not _touches(subscription, effect, wanted):
            return False
    document = effect.document
    plan = subscription.plan
    if plan.selects is not None and not plan.selects(document):
        return False
    return plan.meets is None or plan.meets(document)


def _touches(subscription: Subscription, effect: Effect, wanted: int) -> bool:
    """Tell whether the change did to a watched attribute what the subscription waits for."""
    watched, datasets = subscription.watched, subscription.datasets
    if datasets is not None:
        return any(
            bit & wanted and dataset in datasets and (watched is None or name in watched)
            for (name, dataset), bit in effect.instances.items()
        )
    names = effect.names
    return any(names.get(name, 0) & wanted for name in watched or names)


def matching(looked_at: Iterable[Subscription], effect: Effect, now: int) -> list[Subscription]:
    """Return those of these subscriptions that a notification is due for.

    A condition that cannot be evaluated (a fault of ours) is logged; the others get their notifications.
    """
    found: list[Subscription] = []
    for subscription in looked_at:
        try:
            if concerns(subscription, effect, now):
                found.append(subscription)
        except Exception:
            log.exception("subscription_not_matched", tenant=subscription.tenant, subscription=subscription.id)
    return found


def told_of(index: SubscriptionIndex, change: Change, now: int, *, late: bool) -> list[Subscription]:
    """Return the subscriptions that a change is told to; of one that came too late (`late`) those that ask for such."""
    if late and not index.late:
        return []
    document = change.after if change.after is not None else change.before
    assert document is not None
    shelves = index.shelves_for(change.entity_id, document["type"])
    if not shelves:
        return []
    effect = Effect(change)
    if not effect.bits:
        return []
    found = matching(candidates(shelves, effect), effect, now)
    return [subscription for subscription in found if subscription.late] if late else found
