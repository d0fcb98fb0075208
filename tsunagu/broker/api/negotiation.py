"""Which representation the client wants, which one it sends, and which @context goes with it.

ETSI GS CIM 009 v1.9.1: 6.3.4 (Accept, Content-Type), 6.3.5 (@context of a request), 6.3.6 (answers), 4.3.6.8 (Prefer).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tsunagu.broker.api.call import GEO_JSON, JSON, LD_JSON, MERGE_PATCH
from tsunagu.broker.api.links import context_link
from tsunagu.broker.api.problems import NotAcceptable, UnsupportedMediaType
from tsunagu.broker.errors import BadRequestData

if TYPE_CHECKING:
    from tsunagu.broker.api.call import Call

# What an operation can answer with, in the order of 6.3.4: the earlier one wins among equals.
DOCUMENTS = (JSON, LD_JSON)
ENTITIES = (JSON, LD_JSON, GEO_JSON)

NEWEST = (1, 9)
VERSION = re.compile(r"1\.\d{1,2}", re.ASCII)


@lru_cache(maxsize=1024)
def negotiate(accept: bytes, offers: tuple[str, ...]) -> str:
    """Return the offered media type that an Accept header prefers (RFC 9110, 12.5.1). Raises NotAcceptable.

    Each offer gets the weight of the most specific range that matches it; weight 0 refuses it; the first of the
    heaviest offers wins.
    """
    ranges = [media_range(part) for part in accept.decode("latin-1").split(",") if part.strip()]
    weights = {offer: weight_of(offer, ranges) for offer in offers}
    best = max(offers, key=lambda offer: weights[offer])
    if weights[best] <= 0:
        raise NotAcceptable(f"Accept: nothing of it is available here; available are {', '.join(offers)}", offers)
    return best


def media_range(text: str) -> tuple[str, float]:
    """Return a media range of an Accept header and its weight; a malformed weight counts as none, which is 1."""
    media, *parameters = text.split(";")
    weight = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                weight = min(max(float(value.strip()), 0.0), 1.0)
            except ValueError:
                weight = 1.0
    return media.strip().lower(), weight if weight == weight else 1.0  # noqa: PLR0124 - NaN is malformed too


def weight_of(offer: str, ranges: list[tuple[str, float]]) -> float:
    """Return the weight of the most specific range that matches an offer, 0 if none does."""
    for pattern in (offer, offer.partition("/")[0] + "/*", "*/*"):
        matching = [weight for media, weight in ranges if media == pattern]
        if matching:
            return max(matching)
    return 0.0


@lru_cache(maxsize=256)
def is_linked_data(content_type: bytes | None, method: str) -> bool:
    """Return whether a request body is application/ld+json (True) or plain JSON (False).

    Raises UnsupportedMediaType for anything else; a PATCH may be application/merge-patch+json.
    """
    media = (content_type or b"").partition(b";")[0].strip().lower().decode("latin-1")
    if media == LD_JSON:
        return True
    if media == JSON or (media == MERGE_PATCH and method == "PATCH"):
        return False
    raise UnsupportedMediaType


def linked_context(call: Call) -> str | None:
    """Return the URL of the @context that the Link header names, None if it names none. Raises BadRequestData."""
    link = call.headers.get(b"link")
    return None if link is None else context_link(link)


def body_context(call: Call, body: dict[str, Any]) -> Any:
    """Take the @context out of a body and return the one that applies to it: URL, list, object, or None (core only).

    Raises BadRequestData when the Content-Type and the place of the @context do not go together (6.3.5).
    """
    if not is_linked_data(call.headers.get(b"content-type"), call.route.method):
        if "@context" in body:
            raise BadRequestData(
                "@context: a body of type application/json has none; name it in a Link header "
                "or send application/ld+json"
            )
        return linked_context(call)
    refuse_link(call)
    if body.get("@context") is None:
        raise BadRequestData("@context: a body of type application/ld+json must have one")
    return body.pop("@context")


def refuse_link(call: Call) -> None:
    """Raise BadRequestData if a body of type application/ld+json comes with a Link header to an @context."""
    if linked_context(call) is not None:
        raise BadRequestData("Link header: a body of type application/ld+json brings its own @context; drop the header")


@lru_cache(maxsize=256)
def preferences(header: bytes | None) -> dict[str, str]:
    """Return the preferences of a Prefer header by lower-case name, without their parameters (RFC 7240)."""
    found: dict[str, str] = {}
    for part in (header or b"").decode("latin-1").split(","):
        name, _, value = part.partition(";")[0].partition("=")
        found.setdefault(name.strip().lower(), value.strip().strip('"'))
    return found


def preferred_version(call: Call) -> tuple[int, int] | None:
    """Return the version of the standard that the client wants the answer to conform to, None if it does not say.

    A version newer than ours gives ours.
    """
    header = call.headers.get(b"prefer")
    if header is None:
        return None
    text = preferences(header).get("ngsi-ld", "")
    if not VERSION.fullmatch(text):
        return None
    major, minor = text.split(".")
    return min((int(major), int(minor)), NEWEST)
