"""Between the subscription that a client writes and the entry that the catalogue keeps.

An *entry*::

    {"id": URI, "rev": ns of the last write, "created": epoch ms, "modified": epoch ms,
     "body":    the subscription as given, without @context, nulls and read-only members,
     "parts":   what of it depends on a @context, expanded with the one it came with:
                "entities": [{"text", "terms"}, ...], "watched": [stored name, ...], "q": {"text", "terms"},
                "geoQ": {"terms"}, "attributes": [stored name, ...], "pick": projection, "omit": projection
     "context": what the notifications' @context is made from (URL, list, object or None for the core alone),
     "url":     its URL if it has one}

`terms` is what the @context made of each term in a text: [[kind, term, expansion], ...], so that the text can be read
again without fetching the @context, at every start and whatever has become of it.
"""

from __future__ import annotations

import re
import time
import uuid
from typing import TYPE_CHECKING, Any, Protocol

from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.query.geo import parse_geo
from tsunagu.broker.query.projection import parse_projection
from tsunagu.broker.query.q import parse_q, percent_decoded
from tsunagu.broker.query.scope import parse_scope
from tsunagu.broker.query.types import parse_selector
from tsunagu.schemas.ids import is_uri
from tsunagu.schemas.secrets import MaskNotStored, masked_endpoint, restored
from tsunagu.schemas.subscription import InvalidSubscription, check, clean, renamed
from tsunagu.schemas.times import format_ms, parse_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tsunagu.broker.jsonld.context import Context
    from tsunagu.broker.query.ast import GeoQuery, QNode

Entry = dict[str, Any]
Body = dict[str, Any]
TypeText = re.compile(r"[^\s()|,;]+")

READ_TOGETHER = {"q": ("expandValues", "jsonKeys"), "expandValues": ("q",), "jsonKeys": ("q",)}


class TermReader(Protocol):
    """What the query parsers ask of a @context."""

    def attribute(self, term: str) -> str:
        """Return the stored name of an attribute."""

    def expand_term(self, term: str) -> str:
        """Return the IRI of a type or a vocabulary term."""


class RecordingTerms:
    """Reads terms with a @context and notes what it made of them."""

    def __init__(self, context: TermReader) -> None:
        self._context = context
        self._noted: dict[tuple[str, str], str] = {}

    def attribute(self, term: str) -> str:
        """Return the stored name of an attribute, and note it."""
        name = self._noted[("a", term)] = self._context.attribute(term)
        return name

    def expand_term(self, term: str) -> str:
        """Return the IRI of a type or vocabulary term, and note it."""
        iri = self._noted[("t", term)] = self._context.expand_term(term)
        return iri

    @property
    def terms(self) -> list[list[str]]:
        """What was noted: [kind, term, expansion] each."""
        return [[kind, term, expansion] for (kind, term), expansion in self._noted.items()]


class NotedTerms:
    """Reads terms as they were noted; a term that was not noted is taken as it stands."""

    def __init__(self, terms: Iterable[Sequence[str]]) -> None:
        terms = tuple(terms)
        self._attributes = {term: expansion for kind, term, expansion in terms if kind == "a"}
        self._types = {term: expansion for kind, term, expansion in terms if kind == "t"}

    def attribute(self, term: str) -> str:
        """Return the stored name of an attribute."""
        return self._attributes.get(term, term)

    def expand_term(self, term: str) -> str:
        """Return the IRI of a type or vocabulary term."""
        return self._types.get(term, term)


def new_entry(body: Body, context: Context, *, now: int) -> Entry:
    """Return the entry of a new subscription. Raises BadRequestData naming the member that is wrong."""
    body = _with_secrets(clean(renamed(body)), None)
    _checked(body, now)
    identity = body.pop("id", None) or f"urn:ngsi-ld:Subscription:{uuid.uuid4()}"
    parts: Entry = {}
    _expand(body, frozenset(body), context, parts)
    return {
        "id": identity,
        "rev": time.time_ns(),
        "created": now,
        "modified": now,
        "body": body,
        "parts": parts,
        "context": context.source,
        "url": context.url,
    }


def changed_entry(entry: Entry, fragment: Body, context: Context, *, now: int) -> Entry:
    """Return an entry with a fragment's members in place of its own; null removes a member (5.8.2.4, 5.5.8).

    A secret of the endpoint stays what it is if its mask is sent.
    Raises BadRequestData naming the member that is wrong.
    """
    fragment = renamed(fragment)
    given = _with_secrets(clean(fragment), entry["body"]["notification"]["endpoint"])
    if given.get("id", entry["id"]) != entry["id"]:
        raise BadRequestData(f"id: the id of a subscription cannot be changed; leave it out or send {entry['id']}")
    given.pop("id", None)
    named = frozenset(fragment) - {"id", "@context"}
    body = {key: value for key, value in entry["body"].items() if key not in named}
    body.update(given)
    body.setdefault("type", given.get("type", "Subscription") if "type" not in named else None)
    _checked(body, now if "expiresAt" in given else None)
    fresh = set(given)
    for name in named:
        fresh.update(READ_TOGETHER.get(name, ()))
    parts = {key: value for key, value in entry["parts"].items() if not _stale(key, named)}
    terms = NotedOr(entry["parts"].get("q", {}).get("terms", []), context) if "q" not in named else context
    _expand(body, frozenset(fresh), context, parts, q_terms=terms)
    return {**entry, "rev": time.time_ns(), "modified": now, "body": body, "parts": parts}


class NotedOr(NotedTerms):
    """Reads terms as they were noted, others with a @context."""

    def __init__(self, terms: Iterable[Sequence[str]], context: TermReader) -> None:
        super().__init__(terms)
        self._context = context

    def attribute(self, term: str) -> str:
        """Return the stored name of an attribute."""
        return self._attributes.get(term) or self._context.attribute(term)

    def expand_term(self, term: str) -> str:
        """Return the IRI of a type or vocabulary term."""
        return self._types.get(term) or self._context.expand_term(term)


PART_OF = {"watched": "watchedAttributes", "attributes": "notification", "pick": "notification", "omit": "notification"}


def _stale(part: str, named: frozenset[str]) -> bool:
    return PART_OF.get(part, part) in named


def _with_secrets(body: Body, stored: Body | None) -> Body:
    """Return a body with the stored endpoint's secrets in the place of their masks. Raises BadRequestData."""
    notification = body.get("notification")
    if not isinstance(notification, dict) or not isinstance(endpoint := notification.get("endpoint"), dict):
        return body
    try:
        return {**body, "notification": {**notification, "endpoint": restored(endpoint, stored)}}
    except MaskNotStored as error:
        raise BadRequestData(f"notification.endpoint.{error}") from None


def _checked(body: Body, now: int | None) -> None:
    """Check the form; and that it has not expired already at `now`, if given."""
    try:
        check(body)
    except InvalidSubscription as error:
        raise BadRequestData(str(error)) from None
    if now is not None and "expiresAt" in body and parse_ms(body["expiresAt"]) <= now:
        raise BadRequestData(f"expiresAt: {body['expiresAt']} lies in the past; give a time after {format_ms(now)}")


def _expand(
    body: Body, fresh: frozenset[str], context: Context, parts: Entry, *, q_terms: TermReader | None = None
) -> None:
    """Read the members named in `fresh` with the @context and put down what it made of them."""
    given = fresh & body.keys()
    if "entities" in given:
        parts["entities"] = [_selector(selector, context) for selector in body["entities"]]
    if "watchedAttributes" in given:
        parts["watched"] = [context.attribute(name) for name in body["watchedAttributes"]]
    if "q" in given:
        recorder = RecordingTerms(q_terms or context)
        read_q(body, recorder)
        parts["q"] = {"text": body["q"], "terms": recorder.terms}
    if "csf" in given:
        parse_q(body["csf"], context, parameter="csf")
    if "geoQ" in given:
        recorder = RecordingTerms(context)
        read_geo(body["geoQ"], recorder)
        parts["geoQ"] = {"terms": recorder.terms}
    if "scopeQ" in given:
        parse_scope(body["scopeQ"])
    if "notification" in given:
        _expand_notification(body["notification"], context, parts)


def _expand_notification(params: Body, context: Context, parts: Entry) -> None:
    if "attributes" in params:
        parts["attributes"] = [context.attribute(name) for name in params["attributes"]]
    for member in ("pick", "omit"):
        if member in params:
            parts[member] = parse_projection(params[member], context, parameter=f"notification.{member}")


def _selector(selector: Body, context: Context) -> Entry:
    recorder = RecordingTerms(context)
    parse_selector(selector, recorder)
    return {"text": selector["type"], "terms": recorder.terms}


def read_q(body: Body, terms: TermReader) -> QNode:
    """Return the parsed q of a subscription. Raises BadRequestData, TooComplexQuery."""
    expand, json = (_names(body.get(member)) for member in ("expandValues", "jsonKeys"))
    return parse_q(percent_decoded(body["q"]), terms, expand_values=expand, json_keys=json)


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in text.split(",")] if text else []


def read_geo(geo: Body, terms: TermReader) -> GeoQuery:
    """Return the parsed geoQ of a subscription (5.2.13). Raises BadRequestData."""
    try:
        return parse_geo(
            percent_decoded(geo["georel"]), geo["geometry"], geo["coordinates"], geo.get("geoproperty"), terms
        )
    except BadRequestData as error:
        raise BadRequestData(f"geoQ.{error.detail}") from None


def status_of(entry: Entry, now: int) -> str:
    """Return "active", "paused" or "expired" (5.2.12-2)."""
    body = entry["body"]
    if "expiresAt" in body and parse_ms(body["expiresAt"]) <= now:
        return "expired"
    return "active" if body.get("isActive", True) else "paused"


def present(entry: Entry, context: Context, delivery: Mapping[str, Any], *, now: int, sys_attrs: bool = False) -> Body:
    """Return a subscription as clients read it, names compacted with their @context, secrets masked; without @context.

    `delivery` is what happened to its notifications: timesSent, timesFailed (numbers), lastNotification, lastSuccess,
    lastFailure (epoch ms), status ("ok", "failed"), each only if there is any.
    """
    body, parts = entry["body"], entry["parts"]
    result: Body = {"id": entry["id"], "type": "Subscription", **body}
    if "entities" in body:
        both = zip(body["entities"], parts["entities"], strict=True)
        result["entities"] = [{**selector, "type": _shown_types(part, context)} for selector, part in both]
    if "watched" in parts:
        result["watchedAttributes"] = [context.compact_name(name) for name in parts["watched"]]
    if "geoQ" in body:
        result["geoQ"] = dict(body["geoQ"])
        for kind, term, name in parts["geoQ"]["terms"]:
            if kind == "a" and term == body["geoQ"].get("geoproperty"):
                result["geoQ"]["geoproperty"] = context.compact_name(name)
    notification = result["notification"] = dict(body["notification"])
    notification["endpoint"] = masked_endpoint(notification["endpoint"])
    if "attributes" in parts:
        notification["attributes"] = [context.compact_name(name) for name in parts["attributes"]]
    for member in ("pick", "omit"):
        if member in parts:
            notification[member] = _shown_projection(parts[member], context)
    for member, value in delivery.items():
        notification[member] = format_ms(value) if member.startswith("last") else value
    if "jsonldContext" not in result and entry["url"] is not None:
        result["jsonldContext"] = entry["url"]
    result.setdefault("notificationTrigger", ["attributeCreated", "attributeUpdated"])
    result["status"] = status_of(entry, now)
    if sys_attrs:
        result["createdAt"] = format_ms(entry["created"])
        result["modifiedAt"] = format_ms(entry["modified"])
    return result


def _shown_types(part: Entry, context: Context) -> str:
    known = {term: expansion for _, term, expansion in part["terms"]}
    return TypeText.sub(lambda match: context.compact_iri(known.get(match[0], match[0])), part["text"])


def _shown_projection(projection: Mapping[str, Any], context: Context) -> list[str]:
    shown = []
    for name, inner in projection.items():
        text = context.compact_name(name)
        shown.append(f"{text}{{{','.join(_shown_projection(inner, context))}}}" if inner else text)
    return shown


def require_uri(identity: str) -> None:
    """Raise BadRequestData unless a subscription's id in a path is a URI (5.8.2.4)."""
    if not is_uri(identity):
        raise BadRequestData(
            f"the id of a subscription must be a URI such as urn:ngsi-ld:Subscription:1, not {identity[:80]!r}"
        )
