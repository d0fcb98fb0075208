"""The live feed: what changes, told to whoever holds a connection open. Ours.

A feed is a subscription without an endpoint: one that exists, or one that lives as long as the connection.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.operations.subscription_form import Body, Entry, new_entry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from tsunagu.broker.jsonld.context import Context

NAMESPACE = uuid.UUID("0f7a53a2-6f9b-5f4c-8d43-0a3a8f6f2c0d")
NOWHERE = "http://localhost/"
EVERYTHING = ["entityCreated", "entityUpdated", "entityDeleted"]


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """One notification (JSON) and the id from which the feed goes on; without data only the id moves."""

    id: str
    data: bytes | None = None


class Feeds(Protocol):
    """The part of this process that follows the log."""

    def follow(self, tenant: str, wanted: Entry, last: str | None, *, live: bool) -> AsyncGenerator[FeedEvent, None]:
        """Yield what happens from the event `last` on, or from now on; something at least every 15 s.

        `live`: the entry is a subscription's, whose changes are followed; the feed ends when it is deleted.
        Before the first event: raises BadRequestData for a `last` that is no event's id, and Unavailable.
        """


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise BadRequestData(f"true or false is expected, not {text[:40]!r}")
    return text == "true"


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 3:  # noqa: PLR2004 - digits; the form checks the rest
        raise BadRequestData(f"a number is expected, not {text[:40]!r}")
    return int(text)


# Each parameter: where in a subscription it belongs, and how it is read.
PARAMETERS: dict[str, tuple[tuple[str, ...], Callable[[str], Any]]] = {
    "type": (("selector", "type"), str),
    "id": (("selector", "id"), _words),
    "idPattern": (("selector", "idPattern"), str),
    "attrs": (("watchedAttributes",), _words),
    "q": (("q",), str),
    "scopeQ": (("scopeQ",), str),
    "georel": (("geoQ", "georel"), str),
    "geometry": (("geoQ", "geometry"), str),
    "coordinates": (("geoQ", "coordinates"), str),
    "geoproperty": (("geoQ", "geoproperty"), str),
    "notificationTrigger": (("notificationTrigger",), _words),
    "datasetId": (("datasetId",), _words),
    "lang": (("lang",), str),
    "format": (("notification", "format"), str),
    "pick": (("notification", "pick"), lambda text: [text]),
    "omit": (("notification", "omit"), lambda text: [text]),
    "sysAttrs": (("notification", "sysAttrs"), _flag),
    "showChanges": (("notification", "showChanges"), _flag),
    "join": (("notification", "join"), str),
    "joinLevel": (("notification", "joinLevel"), _number),
    "accept": (("notification", "endpoint", "accept"), str),
}


def feed_entry(params: Mapping[str, str], context: Context) -> Entry:
    """Return the entry of a subscription that lives as long as a feed, from the feed's parameters (PARAMETERS).

    Its id, and so the ids of its notifications, follow from the parameters: they are the same when a client comes back.
    Raises BadRequestData.
    """
    body: Body = {"notification": {"endpoint": {"uri": NOWHERE}}, "notificationTrigger": EVERYTHING}
    for name, text in params.items():
        path, read = PARAMETERS[name]
        place = body
        for step in path[:-1]:
            place = place.setdefault(step, {})
        try:
            place[path[-1]] = read(text)
        except BadRequestData as error:
            raise BadRequestData(f"{name}: {error.detail}") from None
    selector = body.pop("selector", None)
    if selector is not None:
        body["entities"] = [{"type": "*", **selector}]
    elif "watchedAttributes" not in body:
        body["localOnly"] = True
    told = orjson.dumps(sorted(params.items())).decode() + str(context.source)
    identity = f"urn:ngsi-ld:Subscription:feed:{uuid.uuid5(NAMESPACE, told)}"
    return new_entry({"id": identity, "type": "Subscription", **body}, context, now=0)
