"""POST /tsunagu/v1/inbox: another broker's notifications come in here (5.3.1, 6.3.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from fastapi import APIRouter, Request, Response

from tsunagu.broker.api.bodies import check_length, parse_json, read_body
from tsunagu.broker.api.links import context_link
from tsunagu.broker.api.negotiation import is_linked_data
from tsunagu.broker.api.problems import fault_answer, problem_answer
from tsunagu.broker.api.tenants import tenant_name
from tsunagu.broker.errors import NgsiError
from tsunagu.broker.jsonld.context import CORE

if TYPE_CHECKING:
    from tsunagu.broker.api.call import Answer
    from tsunagu.broker.api.services import Services
    from tsunagu.broker.jsonld.context import Context
    from tsunagu.broker.operations.inbox import Inbox

DESCRIPTION = (
    "Takes a Notification (ETSI GS CIM 009, 5.3.1) and upserts its entities, once for each notification id. "
    "Make it the endpoint of a subscription at a neighbour's broker. 200 tells what was stored, repeated or refused."
)


def inbox_router(services: Services, inbox: Inbox) -> APIRouter:
    """Return the route of the inbox."""
    router = APIRouter(prefix="/tsunagu/v1", tags=["Tsunagu"])

    @router.post("/inbox", summary="Receive a notification of another broker", description=DESCRIPTION)
    async def receive(request: Request) -> Response:
        try:
            tenant, notification, context = await _read(request, services)
            result = await inbox.receive(tenant, notification, context)
        except NgsiError as error:
            return _response(problem_answer(error))
        except Exception as error:  # noqa: BLE001 - the outermost frame: whatever got here is a fault of ours
            return _response(fault_answer("inbox", error))
        body = {
            "stored": result.stored,
            "repeated": result.repeated,
            "refused": [{"entityId": entity_id, "error": error.problem()} for entity_id, error in result.refused],
        }
        return Response(orjson.dumps(body), 200, media_type="application/json")

    return router


async def _read(request: Request, services: Services) -> tuple[str, Any, Context]:
    """Return tenant, notification and @context of a request. Raises NgsiError subclasses."""
    headers = {name: value for name, value in request.scope["headers"]}  # noqa: C416 - names and values are bytes
    settings = services.settings
    check_length(headers.get(b"content-length"), settings.max_body)
    is_linked_data(headers.get(b"content-type"), "POST")
    tenant = tenant_name(headers.get(b"ngsild-tenant"), headers.get(b"fiware-service"))
    notification = parse_json(await read_body(request.receive, settings.max_body), settings.max_depth)
    link = headers.get(b"link")
    source = context_link(link) if link is not None else None
    if isinstance(notification, dict):
        source = _context_inside(notification) or source
    return tenant, notification, CORE if source is None else await services.resolver.resolve(source)


def _context_inside(notification: dict[str, Any]) -> Any:
    """Take the @context out of a notification, or out of its entities, where a sender may have put it."""
    found = notification.pop("@context", None)
    data = notification.get("data")
    for entity in data if isinstance(data, list) else ():
        if isinstance(entity, dict) and "@context" in entity:
            inner = entity.pop("@context")
            found = found or inner
    return found


def _response(answer: Answer) -> Response:
    headers = {name.decode(): value.decode() for name, value in answer.headers}
    return Response(answer.body, answer.status, headers=headers)
