"""How handlers answer: documents with their @context, empty answers, results of several parts (6.3.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from tsunagu.broker.api.call import GEO_JSON, JSON, Answer, Header
from tsunagu.broker.api.links import context_link_header, page_links
from tsunagu.broker.api.negotiation import preferences, preferred_version
from tsunagu.broker.api.params import pairs
from tsunagu.broker.api.problems import JSON_TYPE
from tsunagu.broker.jsonld.core import CORE_URL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tsunagu.broker.api.call import Call
    from tsunagu.broker.api.services import Services
    from tsunagu.broker.errors import NgsiError
    from tsunagu.broker.jsonld.context import Context
    from tsunagu.broker.settings import Settings

ROOT = "/ngsi-ld/v1"
VARY = (b"vary", b"Accept, Link, Prefer, NGSILD-Tenant")


def path_of(settings: Settings, path: str) -> str:
    """Return the path that clients use for a resource: below the path of the public URL, if there is one."""
    base = urlsplit(settings.public_url).path.rstrip("/") if settings.public_url else ""
    return f"{base}{ROOT}{path}"


def created(settings: Settings, path: str, body: Any = None) -> Answer:
    """Return 201 with the Location of what was created."""
    answer = Answer(201, None if body is None else orjson.dumps(body))
    if body is not None:
        answer.headers.append(JSON_TYPE)
    answer.headers.append((b"location", path_of(settings, path).encode()))
    return answer


def no_content() -> Answer:
    """Return 204."""
    return Answer(204)


def plain(document: Any, status: int = 200) -> Answer:
    """Return a JSON document that has no @context."""
    return Answer(status, orjson.dumps(document), [JSON_TYPE])


def multi_status(success: Iterable[str], errors: Iterable[tuple[str, NgsiError]]) -> Answer:
    """Return 207 with a BatchOperationResult (5.2.16, 5.2.17)."""
    failures = [{"entityId": entity, "error": error.problem()} for entity, error in errors]
    return plain({"success": list(success), "errors": failures}, 207)


async def document_answer(
    call: Call, services: Services, context: Context, document: Any, *, status: int = 200
) -> Answer:
    """Return a document, or a list of them, in the negotiated media type with its @context where it belongs.

    In application/json a Link header names it; in application/ld+json, and in GeoJSON unless the client prefers
    body=json, it stands in the body.
    """
    media = call.media
    if media == JSON or (media == GEO_JSON and preferences(call.headers.get(b"prefer")).get("body") == "json"):
        url = context.url or await services.contexts.implicit(call.tenant, context.source)
        headers = [(b"content-type", media.encode()), (b"link", context_link_header(url)), VARY]
    else:
        source = context.source or CORE_URL
        if isinstance(document, list):
            document = [{**one, "@context": source} for one in document]
        else:
            document = {**document, "@context": source}
        headers = [(b"content-type", media.encode()), VARY]
    version = preferred_version(call)
    if version is not None:
        headers.append((b"preference-applied", b"ngsi-ld=%d.%d" % version))
    return Answer(status, orjson.dumps(document), headers)


def add_link(answer: Answer, link: str) -> None:
    """Add links to an answer's Link header."""
    if not link:
        return
    for index, (name, value) in enumerate(answer.headers):
        if name == b"link":
            answer.headers[index] = (name, value + b", " + link.encode())
            return
    answer.headers.append((b"link", link.encode()))


def add_page(answer: Answer, call: Call, path: str, *, limit: int, offset: int, more: bool, count: int | None) -> None:
    """Add to an answer the links to the neighbouring pages and the number of results (6.3.10, 6.3.13)."""
    if limit > 0:
        media = call.media
        add_link(answer, page_links(path, pairs(call.query), limit=limit, offset=offset, more=more, media=media))
    if count is not None and call.params.get("count"):
        answer.headers.append((b"ngsild-results-count", b"%d" % count))


def with_headers(answer: Answer, *headers: Header) -> Answer:
    """Return the answer with more headers."""
    answer.headers.extend(headers)
    return answer
