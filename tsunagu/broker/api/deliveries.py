"""/tsunagu/v1/subscriptions/{id}/…: what became of a subscription's notifications, and steering them. Ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from tsunagu.broker.api.bodies import parse_json, read_body
from tsunagu.broker.api.links import context_link
from tsunagu.broker.api.problems import fault_answer, problem_answer
from tsunagu.broker.api.tenants import tenant_name
from tsunagu.broker.errors import BadRequestData, NgsiError
from tsunagu.broker.jsonld.context import CORE
from tsunagu.schemas.times import format_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tsunagu.broker.api.services import Services
    from tsunagu.broker.jsonld.context import Context
    from tsunagu.broker.operations.deliveries import Deliveries, Previewed

DEFAULT_PREVIEW = 100


class ProblemRoute(APIRoute):
    """A route whose NgsiErrors are answered as problem documents."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler with the answer to errors around it."""
        handler = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except NgsiError as error:
                found = problem_answer(error)
            except Exception as error:  # noqa: BLE001 - the outermost frame: whatever got here is a fault of ours
                found = fault_answer("deliveries", error)
            return Response(found.body, found.status, headers={k.decode(): v.decode() for k, v in found.headers})

        return answer


def deliveries_router(services: Services, deliveries: Deliveries) -> APIRouter:
    """Return the routes under /tsunagu/v1/subscriptions/{id}."""
    router = APIRouter(prefix="/tsunagu/v1/subscriptions/{subscription}", tags=["Deliveries"], route_class=ProblemRoute)

    @router.get("/deliveries", summary="Each attempt to deliver: when, which changes, status, latency, size, hash")
    async def attempts(request: Request, subscription: str) -> Response:
        before = request.query_params.get("before")
        return _json(
            await deliveries.attempts(
                _tenant(request), subscription, limit=_number(request, "limit", 100), before=before
            )
        )

    @router.get("/deadletters", summary="The notifications that were given up")
    async def dead_letters(request: Request, subscription: str) -> Response:
        limit, offset = _number(request, "limit", 100), _number(request, "offset", 0)
        return _json(await deliveries.dead_letters(_tenant(request), subscription, limit=limit, offset=offset))

    @router.post(
        "/deadletters/redeliver", summary="Deliver dead letters again: all, those named (ids), or since a time"
    )
    async def redeliver(request: Request, subscription: str) -> Response:
        body = await _body(request, services)
        ids, since = body.get("ids"), body.get("since")
        if ids is not None and not (isinstance(ids, list) and all(isinstance(one, str) for one in ids)):
            raise BadRequestData("ids: an array of the ids of dead letters is expected")
        return _json({"redelivered": await deliveries.redeliver(_tenant(request), subscription, ids=ids, since=since)})

    @router.post("/replay", summary="Send all changes between two times (from, to) again, marked as a replay, in order")
    async def replay(request: Request, subscription: str) -> Response:
        start, end = request.query_params.get("from"), request.query_params.get("to")
        if start is None or end is None:
            raise BadRequestData("from, to: two DateTimes are needed, such as from=2026-11-21T05:46:00Z")
        return _json({"replayed": await deliveries.replay(_tenant(request), subscription, start=start, end=end)}, 202)

    @router.get("/preview", summary="Which of the last changes would have fired, with the bodies; nothing is sent")
    async def preview(request: Request, subscription: str) -> Response:
        count = _number(request, "last", DEFAULT_PREVIEW)
        context = await _context(request, services)
        found = await deliveries.preview(_tenant(request), subscription, context, count=count)
        return _json([_shown(one) for one in found])

    @router.post("/pause", summary="Send nothing more until resumed; what waits already is kept", status_code=204)
    async def pause(request: Request, subscription: str) -> Response:
        await deliveries.pause(_tenant(request), subscription, await _context(request, services))
        return Response(status_code=204)

    @router.post("/resume", summary="Send again, first what waited", status_code=204)
    async def resume(request: Request, subscription: str) -> Response:
        await deliveries.resume(_tenant(request), subscription, await _context(request, services))
        return Response(status_code=204)

    return router


def _tenant(request: Request) -> str:
    headers = dict(request.scope["headers"])
    return tenant_name(headers.get(b"ngsild-tenant"), headers.get(b"fiware-service"))


async def _context(request: Request, services: Services) -> Context:
    link = dict(request.scope["headers"]).get(b"link")
    url = context_link(link) if link is not None else None
    return CORE if url is None else await services.resolver.resolve(url)


async def _body(request: Request, services: Services) -> dict[str, Any]:
    """Return the JSON object of a body that may be left out. Raises BadRequestData, InvalidRequest."""
    content = await read_body(request.receive, services.settings.max_body)
    if not content:
        return {}
    body = parse_json(content, services.settings.max_depth)
    if not isinstance(body, dict):
        raise BadRequestData("the body is not a JSON object")
    return body


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9:  # noqa: PLR2004 - digits of a large page
        raise BadRequestData(f"{name}: a number is expected, not {text[:50]!r}")
    return int(text)


def _shown(one: Previewed) -> dict[str, Any]:
    change = one.change
    return {
        "change": change.key,
        "entity": change.entity_id,
        "at": format_ms(change.at),
        "headers": dict(one.headers),
        "body": orjson.Fragment(one.body),
    }


def _json(document: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, media_type="application/json")
