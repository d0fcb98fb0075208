"""The form of a notification: its entities, its envelope, its headers (5.3.1, 5.8.6, 6.3.8)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orjson

from tsunagu.broker.jsonld.context import CORE
from tsunagu.schemas.entity import NULL, instances
from tsunagu.schemas.kinds import KINDS
from tsunagu.schemas.times import format_ms
from tsunagu.subscriptions.triggers import ATTRIBUTE_DELETED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tsunagu.broker.changes import Change, Document
    from tsunagu.broker.jsonld.context import Context
    from tsunagu.broker.representations import Linked
    from tsunagu.schemas.entity import Instance
    from tsunagu.subscriptions.subscription import Subscription

LINK = '<{}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
JSON, JSON_LD, GEO_JSON = "application/json", "application/ld+json", "application/geo+json"
OURS = frozenset({"content-type", "content-length", "host", "transfer-encoding", "connection", "link"})


def told_entity(
    change: Change, subscription: Subscription, context: Context, *, linked: Linked | None = None, levels: int = 0
) -> dict[str, Any]:
    """Return the entity as a notification tells of it, names compacted; without @context.

    With `linked`, the documents that it links to stand inline, `levels` deep.
    """
    after = change.after
    if after is None:
        return _deleted_entity(change, subscription, context)
    gone = [(touch.attribute, touch.dataset_id) for touch in change.touched if touch.deed == "deleted"]
    if not gone and not subscription.plan.show_changes:
        return subscription.plan.view.render(after, context, linked=linked, levels=levels)
    document = _with_nulls(after, change.before, gone, each=_tells_each(subscription)) if gone else after
    entity = subscription.plan.view.render(document, context, linked=linked, levels=levels)
    _tell_more(entity, change, subscription, context)
    return entity


def without_previous(change: Change) -> Change:
    """Return what a notification that tells no previous values needs of a change: mostly not the document before.

    What waits for an endpoint is many documents; of what was there before only what was deleted is told.
    """
    if change.before is None or change.after is None or any(touch.deed == "deleted" for touch in change.touched):
        return change
    return change._replace(before=None)


def _deleted_entity(change: Change, subscription: Subscription, context: Context) -> dict[str, Any]:
    """Return what is told of an entity that was deleted: little, unless changes are to be shown (5.8.6)."""
    before = change.before
    assert before is not None
    names: set[str] = set()
    if subscription.plan.show_changes:
        names = set(before["attrs"])
    elif subscription.triggers & ATTRIBUTE_DELETED:
        names = set(before["attrs"]) if subscription.watched is None else subscription.watched & before["attrs"].keys()
    gone = [(name, one.get("datasetId")) for name in names for one in instances(before["attrs"][name])]
    bare: Document = {**before, "attrs": {}, "sys": {}}
    bare.pop("scope", None)
    entity = subscription.plan.view.render(_with_nulls(bare, before, gone, each=_tells_each(subscription)), context)
    if subscription.plan.view.geojson:
        entity["properties"]["deletedAt"] = format_ms(change.at)
    else:
        entity["deletedAt"] = format_ms(change.at)
    _tell_more(entity, change, subscription, context)
    return entity


def _tells_each(subscription: Subscription) -> bool:
    """Tell whether a subscriber wants to know of each instance of an attribute that is deleted whole."""
    return subscription.plan.show_changes or subscription.datasets is not None


def _with_nulls(
    document: Document, before: Document | None, gone: Iterable[tuple[str, str | None]], *, each: bool
) -> Document:
    """Return the document with an NGSI-LD Null in the place of each instance that is gone.

    Where several instances went and none is left, one null without datasetId stands for all (046_22_08), unless `each`.
    """
    attrs, times = dict(document["attrs"]), dict(document["sys"])
    for name, dataset in gone:
        old, clock = _find(before, name, dataset)
        if old is None or before is None:
            continue
        whole = not each and name not in document["attrs"] and isinstance(before["attrs"][name], list)
        if whole and name in attrs:
            continue
        kind = KINDS[old["type"]]
        null: Instance = {"type": kind.name, kind.member: kind.null}
        if dataset is not None and not whole:
            null["datasetId"] = dataset
        if name in attrs:
            attrs[name] = [*instances(attrs[name]), null]
            times[name] = [*instances(times[name]), {"c": clock["c"], "m": clock["m"]}]
        else:
            attrs[name], times[name] = null, {"c": clock["c"], "m": clock["m"]}
    return {**document, "attrs": attrs, "sys": times}


def _find(document: Document | None, name: str, dataset: str | None) -> tuple[Instance | None, dict[str, Any]]:
    """Return an instance of a document and its system times, (None, {}) if it is not there."""
    if document is not None and name in document["attrs"]:
        both = zip(instances(document["attrs"][name]), instances(document["sys"][name]), strict=True)
        for instance, clock in both:
            if instance.get("datasetId") == dataset:
                return instance, clock
    return None, {}


def _tell_more(entity: dict[str, Any], change: Change, subscription: Subscription, context: Context) -> None:
    """Add to the rendered instances what only a notification tells: deletedAt, previous values, plain nulls."""
    view = subscription.plan.view
    members = entity["properties"] if view.geojson else entity
    for touch in change.touched:
        if touch.deed == "created":
            continue
        old, _ = _find(change.before, touch.attribute, touch.dataset_id)
        shown = context.compact_name(touch.attribute)
        if old is None or shown not in members:
            continue
        kind = KINDS[old["type"]]
        extra: dict[str, Any] = {}
        if touch.deed == "deleted" and view.sys_attrs and view.format != "simplified":
            extra["deletedAt"] = format_ms(change.at)
        if subscription.plan.show_changes:
            new, _ = _find(change.after, touch.attribute, touch.dataset_id)
            if new is None or new.get(kind.member) != old[kind.member]:
                extra[kind.previous] = kind.write(old[kind.member], context)
        if extra:
            members[shown] = _extended(members[shown], touch.dataset_id, kind.member, extra)
        elif touch.deed == "deleted" and view.format != "normalized" and not isinstance(members[shown], list):
            members[shown] = _plain_null(members[shown])


def _extended(shown: Any, dataset: str | None, member: str, extra: dict[str, Any]) -> Any:
    """Return a rendered attribute with more members in the instance with this datasetId."""
    if isinstance(shown, list):
        return [{**one, **extra} if isinstance(one, dict) and one.get("datasetId") == dataset else one for one in shown]
    if isinstance(shown, dict) and (member in shown or "type" not in shown or shown["type"] in KINDS):
        return {**shown, **extra}
    return {member: shown, **extra}  # concise form: a value without its instance


def _plain_null(shown: Any) -> Any:
    """Return the bare URI for a null in concise or simplified form (5.8.6); a datasetId keeps the longer form."""
    if isinstance(shown, dict) and ("datasetId" in shown or "dataset" in shown):
        return shown
    return NULL


def link_url(context: Context) -> str:
    """Return the address that a Link header gives for a @context."""
    return context.url or CORE.url or ""


def wants_json_body(subscription: Subscription) -> bool:
    """Tell whether the receiver of GeoJSON asked for a body without @context (6.3.8: Prefer: body=json)."""
    return any(key.lower() == "prefer" and value == "body=json" for key, value in subscription.plan.endpoint.receiver)


def headers(subscription: Subscription, context: Context) -> tuple[tuple[str, str], ...]:
    """Return the headers of a subscription's notifications."""
    endpoint = subscription.plan.endpoint
    found = [("Content-Type", endpoint.accept)]
    if endpoint.accept == JSON or (endpoint.accept == GEO_JSON and wants_json_body(subscription)):
        found.append(("Link", LINK.format(link_url(context))))
    if subscription.tenant:
        found.append(("NGSILD-Tenant", subscription.tenant))
    found.extend((key, value) for key, value in endpoint.receiver if key.lower() not in OURS)
    return tuple(found)


def envelope(subscription: Subscription, identity: str, entities: Sequence[bytes], context: Context) -> bytes:
    """Return the whole notification, entities being JSON already."""
    data = b",".join(entities)
    if subscription.plan.endpoint.accept == GEO_JSON:
        ending = b"" if wants_json_body(subscription) else b',"@context":' + orjson.dumps(context_member(context))
        data = b'{"type":"FeatureCollection","features":[' + data + b"]" + ending + b"}"
    else:
        data = b"[" + data + b"]"
    return b"".join(
        (
            b'{"id":"',
            identity.encode(),
            b'","type":"Notification","subscriptionId":',
            orjson.dumps(subscription.id),
            b',"notifiedAt":"',
            format_ms(time.time_ns() // 1_000_000).encode(),
            b'","data":',
            data,
            b"}",
        )
    )


def context_member(context: Context) -> Any:
    """Return what stands in "@context" for a context."""
    return context.url if context.url is not None else context.source
