"""Subscriptions and changes for tests, made by the same functions as real ones."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tsunagu.broker.changes import Change, Touch
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.jsonld.expand import expand_entity, expand_fragment
from tsunagu.broker.operations import patch
from tsunagu.broker.operations.subscription_form import new_entry
from tsunagu.subscriptions.subscription import Subscription, subscription_of

if TYPE_CHECKING:
    from tsunagu.broker.changes import Document

NOW = 1_795_000_000_000
MS = 1000


def body(**members: Any) -> dict[str, Any]:
    """Return a subscription as a client writes it: to River entities; members override, None removes."""
    endpoint = {"uri": "http://far.example/", **members.pop("endpoint", {})}
    notification = {"endpoint": endpoint, **members.pop("notification", {})}
    whole = {"type": "Subscription", "entities": [{"type": "River"}], "notification": notification, **members}
    return {key: value for key, value in whole.items() if value is not None}


def subscription(tenant: str = "", cooldown: float | None = None, **members: Any) -> Subscription:
    """Return a compiled subscription."""
    if cooldown is not None:
        members.setdefault("endpoint", {})["cooldown"] = cooldown
    entry = new_entry(body(**members), CORE, now=NOW)
    return subscription_of(tenant, entry)


def document(entity: str = "urn:x:a", now: int = NOW, **attributes: Any) -> Document:
    """Return a stored document; attribute values become Properties unless they are instances already."""
    whole = {
        name: one if isinstance(one, dict | list) else {"type": "Property", "value": one}
        for name, one in attributes.items()
    }
    expanded = expand_entity({"id": entity, "type": "River", **whole}, CORE)
    made = patch.fresh(expanded, now, now)
    made["v"] = 1
    return made


def change(
    entity: str = "a",
    *,
    number: int = 1,
    at: int | None = None,
    before: Document | None = None,
    after: Document | None = None,
    touched: tuple[Touch, ...] = (),
    writer: str = "w",
) -> Change:
    """Return a change; without documents a creation."""
    if before is None and after is None:
        after = {"_id": entity, "type": [], "attrs": {}, "sys": {}, "created": NOW, "modified": NOW, "v": 1}
    kind = "created" if before is None else "deleted" if after is None else "updated"
    moment = time.time_ns() // 1_000_000 if at is None else at
    return Change("", writer, number, entity, kind, moment, before, after, touched)


def stored(name: str) -> str:
    """Return the stored name of an attribute of the core @context's vocabulary."""
    return CORE.attribute(name)


def update(before: Document, at: int = NOW + 1000, **attributes: Any) -> Change:
    """Return the change that an update of these attributes makes; "urn:ngsi-ld:null" deletes one."""
    whole = {
        name: one if isinstance(one, dict | list) else {"type": "Property", "value": one}
        for name, one in attributes.items()
    }
    fragment = expand_fragment(whole, CORE, allow_null=True)
    outcome = patch.update(before, before["_id"], fragment, at)
    return Change("", "w", 2, before["_id"], "updated", at, before, outcome.after, outcome.touched)


def creation(after: Document) -> Change:
    """Return the change that creates a document."""
    return Change("", "w", 1, after["_id"], "created", NOW, None, after, patch.all_touched(after, "created"))


def deletion(before: Document, at: int = NOW + 1000) -> Change:
    """Return the change that deletes a document."""
    outcome = patch.delete(before, before["_id"])
    return Change("", "w", 3, before["_id"], "deleted", at, before, None, outcome.touched)


def removal(before: Document, name: str, *, dataset_id: str | None = None, at: int = NOW + 1000) -> Change:
    """Return the change that deletes one instance of an attribute."""
    outcome = patch.delete_attribute(before, before["_id"], stored(name), at, dataset_id=dataset_id, delete_all=False)
    return Change("", "w", 4, before["_id"], "updated", at, before, outcome.after, outcome.touched)
