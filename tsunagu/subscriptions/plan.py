"""What a subscription's conditions are and how its notifications are made; compiled from the catalogue's entry.

Equal parts are shared: thousands of subscriptions mostly differ in an id, a threshold or an address.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from tsunagu.broker.operations.subscription_form import NotedTerms, read_geo, read_q
from tsunagu.broker.query.ast import EntityQuery, EntitySelector
from tsunagu.broker.query.match import compile_matcher, compile_types, link_depth
from tsunagu.broker.query.scope import parse_scope
from tsunagu.broker.query.types import parse_selector, parse_types
from tsunagu.broker.representations import View
from tsunagu.schemas.secrets import secrets_of
from tsunagu.schemas.subscription import DEFAULT_TRIGGERS
from tsunagu.subscriptions import ngsiv2
from tsunagu.subscriptions.triggers import ATTRIBUTE_DELETED, TRIGGER_BITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tsunagu.broker.changes import Document
    from tsunagu.broker.operations.subscription_form import Body, Entry
    from tsunagu.broker.query.ast import TypeSelection

FORMATS: dict[str, Literal["simplified"]] = {"keyValues": "simplified"}
SHARED = 10_000
UNCONDITIONAL = EntityQuery()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How a subscription's notifications are sent; times in seconds.

    `secrets` are the texts in it and its address that no log line, reason or answer may show.
    """

    accept: str = "application/json"
    timeout: float | None = None
    cooldown: float = 0.0
    receiver: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    notifier: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(slots=True, eq=False)
class Plan:
    """The conditions and the notifications of one revision of a subscription.

    `selects`: whether an entity is among the subscribed ones (None: the index answers that); `meets`: whether it meets
    q, geoQ and scopeQ (None: no such condition, or `linked`: q asks about linked entities, which the sender has to do).
    `ngsiv2`: the form of NGSIv2 that notifications have, None for NGSI-LD.
    `look` is the same for subscriptions to which a change looks alike.
    """

    selectors: tuple[EntitySelector, ...]
    selects: Callable[[Document], bool] | None
    meets: Callable[[Document], bool] | None
    query: EntityQuery
    linked: bool
    endpoint: Endpoint
    view: View
    look: str
    context_source: Any
    show_changes: bool
    join: str | None
    join_level: int
    ngsiv2: ngsiv2.Form | None


def compile_plan(entry: Entry) -> Plan:
    """Return the plan of a subscription from "body", "parts" and "context" of its entry (`subscription_form`)."""
    body, parts = entry["body"], entry["parts"]
    notification = body["notification"]
    query = conditions_of(body, parts)
    selectors = tuple(
        _selector(selector, part)
        for selector, part in zip(body.get("entities", ()), parts.get("entities", ()), strict=True)
    )
    linked = link_depth(query.q) > 0
    endpoint = _endpoint(notification["endpoint"])
    form = ngsiv2.form_of(endpoint.accept, notification.get("format", ""))
    view = _view(body, parts, normalized=form is not None)
    show_changes = notification.get("showChanges", False)
    deletions = sorted(parts.get("watched", ("*",))) if _tells_deletions(body) else None
    look, view = _shared(repr((view, endpoint.accept, show_changes, deletions, form)), view)
    return Plan(
        selectors=selectors,
        selects=_selects(selectors),
        meets=compile_matcher(query) if query is not UNCONDITIONAL and not linked else None,
        query=query,
        linked=linked,
        endpoint=endpoint,
        view=view,
        look=look,
        context_source=entry["context"],
        show_changes=show_changes,
        join=notification["join"] if notification.get("join", "@none") != "@none" else None,
        join_level=int(notification.get("joinLevel", 1)),
        ngsiv2=form,
    )


_looks: dict[str, tuple[str, View]] = {}


def _shared(look: str, view: View) -> tuple[str, View]:
    """Return a look and a view that equal these, the same ones for all."""
    if len(_looks) > SHARED:
        _looks.clear()
    return _looks.setdefault(look, (look, view))


def _tells_deletions(body: Body) -> bool:
    return any(TRIGGER_BITS[one] & ATTRIBUTE_DELETED for one in body.get("notificationTrigger", DEFAULT_TRIGGERS))


def conditions_of(body: Body, parts: Entry) -> EntityQuery:
    """Return q, geoQ and scopeQ as a query; UNCONDITIONAL if there is none of them."""
    q = read_q(body, NotedTerms(parts["q"]["terms"])) if "q" in body else None
    geo = read_geo(body["geoQ"], NotedTerms(parts["geoQ"]["terms"])) if "geoQ" in body else None
    scope = parse_scope(body["scopeQ"]) if "scopeQ" in body else None
    return EntityQuery(q=q, geo=geo, scope=scope) if (q, geo, scope) != (None, None, None) else UNCONDITIONAL


def types_of(part: Entry) -> TypeSelection | None:
    """Return the types of a selector from the entry's "parts"; None for all."""
    return _types(part["text"], tuple(map(tuple, part["terms"])))


@lru_cache(SHARED)
def _types(text: str, terms: tuple[tuple[str, str, str], ...]) -> TypeSelection | None:
    return parse_types(text, NotedTerms(terms), parameter="entities.type")


def _selector(selector: Body, part: Entry) -> EntitySelector:
    read = parse_selector({**selector, "type": "*"}, NotedTerms(()))
    return EntitySelector(types_of(part), read.ids, read.id_pattern)


def _selects(selectors: tuple[EntitySelector, ...]) -> Callable[[Document], bool] | None:
    """Return what the index, by id or type, leaves to ask of an entity."""
    if all(map(_found_by_type, selectors)):
        return None
    if len(selectors) == 1 and selectors[0].ids is not None:
        types = selectors[0].types
        return _has_types(types) if types is not None else None
    return compile_matcher(EntityQuery(selectors=selectors))


_has_types = lru_cache(SHARED)(compile_types)


def _found_by_type(selector: EntitySelector) -> bool:
    """Tell whether the index, by type, finds just the entities of a selector."""
    if selector.ids is not None or selector.id_pattern is not None or selector.types is None:
        return False
    return all(len(alternative) == 1 for alternative in selector.types.alternatives)


def _endpoint(given: Body) -> Endpoint:
    receiver, notifier = (
        tuple((pair["key"], pair["value"]) for pair in given.get(member, ()))
        for member in ("receiverInfo", "notifierInfo")
    )
    return _same_endpoint(
        Endpoint(
            accept=given.get("accept", "application/json"),
            timeout=given["timeout"] / 1000 if "timeout" in given else None,
            cooldown=given.get("cooldown", 0.0) / 1000,
            receiver=receiver,
            notifier=notifier,
            secrets=secrets_of(given["uri"], (*receiver, *notifier)),
        )
    )


@lru_cache(SHARED)
def _same_endpoint(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint that equals this one, the same for all."""
    return endpoint


def _view(body: Body, parts: Entry, *, normalized: bool) -> View:
    notification = body["notification"]
    form = notification.get("format", "normalized")
    return View(
        format="normalized" if normalized else FORMATS.get(form, form),
        geojson=notification["endpoint"].get("accept") == "application/geo+json",
        sys_attrs=notification.get("sysAttrs", False),
        pick=parts.get("pick"),
        omit=parts.get("omit"),
        attrs=frozenset(parts["attributes"]) if "attributes" in parts else None,
        lang=body.get("lang"),
        dataset_ids=tuple(body["datasetId"]) if "datasetId" in body else None,
    )
