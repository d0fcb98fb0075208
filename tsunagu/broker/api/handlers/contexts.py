"""/jsonldContexts and /jsonldContexts/{contextId} (5.13, 6.29, 6.30)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from tsunagu.broker.api.answers import created, no_content
from tsunagu.broker.api.call import Answer
from tsunagu.broker.api.requests import json_of
from tsunagu.broker.errors import InvalidRequest

if TYPE_CHECKING:
    from tsunagu.broker.api.call import Call
    from tsunagu.broker.api.services import Services


async def add_context(call: Call, services: Services) -> Answer:
    """Store an @context for a user (5.13.2)."""
    body = await json_of(call, services)
    if not isinstance(body, dict):
        raise InvalidRequest("the body is not a JSON object")
    identifier = await services.contexts.add(call.tenant, body)
    return created(services.settings, f"/jsonldContexts/{identifier}")


async def list_contexts(call: Call, services: Services) -> Answer:
    """Return the URLs of the stored @contexts, or what is known of them (5.13.3)."""
    found = await services.contexts.list(call.tenant, kind=call.params.get("kind"))
    known = [seen(call, services, one) for one in found]
    return as_media(call, known if call.params.get("details") else [one["URL"] for one in known])


async def serve_context(call: Call, services: Services) -> Answer:
    """Return an @context, or what is known of it (5.13.4)."""
    if call.params.get("details"):
        return as_media(call, seen(call, services, await services.contexts.details(call.tenant, call.path[0])))
    return as_media(call, await services.contexts.serve(call.tenant, call.path[0]))


async def delete_context(call: Call, services: Services) -> Answer:
    """Delete an @context, or fetch it anew (5.13.5)."""
    deed = services.contexts.reload if call.params.get("reload") else services.contexts.delete
    await deed(call.tenant, call.path[0])
    return no_content()


def seen(call: Call, services: Services, known: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of an @context with its URL as the client sees it."""
    return {**known, "URL": services.origin.seen(known["URL"], call.headers)}


def as_media(call: Call, document: Any) -> Answer:
    """Return a document, which is about @contexts and has none of its own, in the negotiated media type."""
    return Answer(200, orjson.dumps(document), [(b"content-type", call.media.encode())])
