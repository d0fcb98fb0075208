"""A subscription made ready for matching and sending."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tsunagu.broker.operations.subscription_form import NotedTerms, read_geo, read_q
from tsunagu.broker.query.ast import EntityQuery, EntitySelector
from tsunagu.broker.query.match import compile_matcher, link_depth
from tsunagu.broker.query.scope import parse_scope
from tsunagu.broker.query.types import parse_selector
from tsunagu.broker.representations import View
from tsunagu.schemas.secrets import secrets_of
from tsunagu.schemas.subscription import DEFAULT_TRIGGERS
from tsunagu.schemas.times import parse_ms
from tsunagu.subscriptions import ngsiv2

if TYPE_CHECKING:
    from collections.abc import Callable

    from tsunagu.broker.changes import Document
    from tsunagu.broker.jsonld.context import Context
    from tsunagu.broker.operations.subscription_form import Body, Entry

ENTITY_CREATED = 1
ENTITY_DELETED = 2
ATTRIBUTE_CREATED = 4
ATTRIBUTE_UPDATED = 8
ATTRIBUTE_DELETED = 16
ATTRIBUTE_ANY = ATTRIBUTE_CREATED | ATTRIBUTE_UPDATED | ATTRIBUTE_DELETED

TRIGGER_BITS = {
    "entityCreated": ENTITY_CREATED,
    "entityDeleted": ENTITY_DELETED,
    "entityUpdated": ATTRIBUTE_ANY,
    "attributeCreated": ATTRIBUTE_CREATED,
    "attributeUpdated": ATTRIBUTE_UPDATED,
    "attributeDeleted": ATTRIBUTE_DELETED,
}
NEVER = 1 << 62
SHORTEST_INTERVAL = 0.1


@dataclass(slots=True, eq=False)
class Endpoint:
    """Where and how a subscription's notifications are sent; times in seconds.

    `secrets` are the texts in it that no log line, reason or answer may show.
    """

    uri: str = field(repr=False)
    accept: str = "application/json"
    timeout: float | None = None
    cooldown: float = 0.0
    receiver: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    notifier: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(slots=True, eq=False)
class Subscription:
    """One revision of a subscription. Compared by identity: a change of it makes a new object.

    `selects`: whether an entity is among the subscribed ones (None: the index answers that); `meets`: whether it meets
    q, geoQ and scopeQ (None: no such condition, or `linked`: q asks about linked entities, which the sender has to do).
    `triggers`: bits of TRIGGER_BITS; `watched`: stored names, None for any; `expires`: epoch ms; else seconds.
    `ngsiv2`: the form of NGSIv2 that notifications have, None for NGSI-LD.
    `look` is the same for subscriptions to which a change looks alike.
    """

    tenant: str
    id: str
    rev: int
    created: int
    active: bool
    expires: int
    triggers: int
    watched: frozenset[str] | None
    datasets: frozenset[str | None] | None
    selectors: tuple[EntitySelector, ...]
    selects: Callable[[Document], bool] | None
    meets: Callable[[Document], bool] | None
    query: EntityQuery
    linked: bool
    endpoint: Endpoint
    view: View
    context_source: Any
    show_changes: bool = False
    join: str | None = None
    join_level: int = 1
    throttling: float = 0.0
    interval: float = 0.0
    coalesce: bool = False
    ngsiv2: ngsiv2.Form | None = None
    gone: bool = False
    context: Context | None = field(default=None, repr=False)
    look: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """The subscription's identity over its revisions."""
        return self.tenant, self.id

    @property
    def address(self) -> tuple[str, str]:
        """What names the queue that its notifications go through."""
        return self.tenant, self.endpoint.uri


def compile_subscription(tenant: str, entry: Entry) -> Subscription:
    """Return a subscription ready for use, from the catalogue's entry (`operations.subscription_form`)."""
    body, parts = entry["body"], entry["parts"]
    notification = body["notification"]
    query = _conditions(body, parts)
    selectors = tuple(
        parse_selector(selector, NotedTerms(part["terms"]))
        for selector, part in zip(body.get("entities", ()), parts.get("entities", ()), strict=True)
    )
    linked = link_depth(query.q) > 0
    conditional = query.q is not None or query.geo is not None or query.scope is not None
    datasets = body.get("datasetId")
    triggers = 0
    for trigger in body.get("notificationTrigger", DEFAULT_TRIGGERS):
        triggers |= TRIGGER_BITS[trigger]
    view = _view(body, parts)
    form = ngsiv2.FORMS.get(notification.get("format", ""))
    compiled = Subscription(
        tenant=tenant,
        id=entry["id"],
        rev=entry["rev"],
        created=entry["created"],
        active=body.get("isActive", True),
        expires=parse_ms(body["expiresAt"]) if "expiresAt" in body else NEVER,
        triggers=triggers,
        watched=frozenset(parts["watched"]) if "watched" in parts else None,
        datasets=frozenset(None if name == "@none" else name for name in datasets) if datasets else None,
        selectors=selectors,
        selects=None if all(map(_found_by_type, selectors)) else compile_matcher(EntityQuery(selectors=selectors)),
        meets=compile_matcher(query) if conditional and not linked else None,
        query=query,
        linked=linked,
        endpoint=_endpoint(notification["endpoint"]),
        view=view,
        context_source=entry["context"],
        show_changes=notification.get("showChanges", False),
        join=notification["join"] if notification.get("join", "@none") != "@none" else None,
        join_level=int(notification.get("joinLevel", 1)),
        throttling=body.get("throttling", 0.0),
        interval=max(body["timeInterval"], SHORTEST_INTERVAL) if "timeInterval" in body else 0.0,
        coalesce=body.get("coalesce", False),
        ngsiv2=form,
    )
    deletions = sorted(compiled.watched or ("*",)) if triggers & ATTRIBUTE_DELETED else None
    compiled.look = repr((view, compiled.endpoint.accept, compiled.show_changes, deletions, form))
    return compiled


def _found_by_type(selector: EntitySelector) -> bool:
    """Tell whether the index, by type, finds just the entities of a selector."""
    if selector.ids is not None or selector.id_pattern is not None or selector.types is None:
        return False
    return all(len(alternative) == 1 for alternative in selector.types.alternatives)


def _conditions(body: Body, parts: Entry) -> EntityQuery:
    """Return q, geoQ and scopeQ as a query."""
    q = read_q(body, NotedTerms(parts["q"]["terms"])) if "q" in body else None
    geo = read_geo(body["geoQ"], NotedTerms(parts["geoQ"]["terms"])) if "geoQ" in body else None
    scope = parse_scope(body["scopeQ"]) if "scopeQ" in body else None
    return EntityQuery(q=q, geo=geo, scope=scope)


def _endpoint(given: Body) -> Endpoint:
    receiver, notifier = (
        tuple((pair["key"], pair["value"]) for pair in given.get(member, ()))
        for member in ("receiverInfo", "notifierInfo")
    )
    return Endpoint(
        uri=given["uri"],
        accept=given.get("accept", "application/json"),
        timeout=given["timeout"] / 1000 if "timeout" in given else None,
        cooldown=given.get("cooldown", 0.0) / 1000,
        receiver=receiver,
        notifier=notifier,
        secrets=secrets_of(given["uri"], (*receiver, *notifier)),
    )


FORMATS = {"keyValues": "simplified", **dict.fromkeys(ngsiv2.FORMS, "normalized")}


def _view(body: Body, parts: Entry) -> View:
    notification = body["notification"]
    form = notification.get("format", "normalized")
    return View(
        format=FORMATS.get(form, form),
        geojson=notification["endpoint"].get("accept") == "application/geo+json",
        sys_attrs=notification.get("sysAttrs", False),
        pick=parts.get("pick"),
        omit=parts.get("omit"),
        attrs=frozenset(parts["attributes"]) if "attributes" in parts else None,
        lang=body.get("lang"),
        dataset_ids=tuple(body["datasetId"]) if "datasetId" in body else None,
    )
