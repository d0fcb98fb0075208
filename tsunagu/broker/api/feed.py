"""GET /tsunagu/v1/feed: changes as they happen, as Server-Sent Events (HTML standard, 9.2). Ours."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog
from fastapi import APIRouter, Request, Response

from tsunagu.background import end
from tsunagu.broker.api.deliveries import ProblemRoute
from tsunagu.broker.api.links import context_link
from tsunagu.broker.api.params import pairs
from tsunagu.broker.api.tenants import tenant_name
from tsunagu.broker.errors import BadRequestData, NgsiError, NonexistentTenant
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.operations.feed import PARAMETERS, feed_entry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping

    from tsunagu.broker.api.services import Services
    from tsunagu.broker.jsonld.context import Context
    from tsunagu.broker.operations.feed import FeedEvent, Feeds

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

log = structlog.get_logger(__name__)

RETRY_MS = 2000
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
OWN = ("jsonldContext", "lastEventId", "subscription", "tenant")
DESCRIPTION = (
    "Server-Sent Events, for `EventSource` in a browser and `curl -N`: one notification (5.3.1) in each event, with "
    "the changes of all processes, as they are committed. `subscription` follows what a subscription would be told of; "
    "without it the parameters are those of a query: "
    + ", ".join(f"`{name}`" for name in PARAMETERS)
    + ". `Last-Event-ID` (or `lastEventId`) goes on from an event, from the log. `tenant` and `jsonldContext` stand "
    "for the headers NGSILD-Tenant and Link, which a browser's EventSource cannot send."
)


class Streams:
    """The event streams of a process: `close` ends them all, so that the process can end."""

    def __init__(self) -> None:
        self.closing = asyncio.Event()

    def close(self) -> None:
        """End all streams; clients come back, to another process, and go on from their last event."""
        self.closing.set()


class EventStream(Response):
    """An answer of Server-Sent Events. It ends when the client goes, when the events end, or when `closing` is set."""

    media_type = "text/event-stream"

    def __init__(self, first: FeedEvent, events: AsyncGenerator[FeedEvent, None], closing: asyncio.Event) -> None:
        super().__init__(headers=HEADERS)
        self._first = first
        self._events = events
        self._closing = closing
        del self.headers["content-length"]

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events. No faster than the client takes them: nothing is kept for one that is slow."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        tasks = [
            asyncio.create_task(self._pump(send), name="feed's events"),
            asyncio.create_task(_gone(receive), name="feed's client"),
            asyncio.create_task(self._closing.wait(), name="feed's end"),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end(*tasks)
            await self._events.aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pump(self, send: Send) -> None:
        async def tell(text: bytes) -> None:
            await send({"type": "http.response.body", "body": text, "more_body": True})

        await tell(b"retry: %d\n" % RETRY_MS + event_text(self._first))
        try:
            async for event in self._events:
                await tell(event_text(event))
        except NgsiError as error:
            log.warning("feed_ended", reason=error.detail)
        except Exception:
            log.exception("feed_failed")


async def _gone(receive: Receive) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def event_text(event: FeedEvent) -> bytes:
    """Return an event as it is sent; one without data moves the id on, and keeps the connection alive."""
    if event.data is None:
        return b": \nid: %s\n\n" % event.id.encode()
    return b"id: %s\ndata: %s\n\n" % (event.id.encode(), event.data)


def feed_router(services: Services, feeds: Feeds, streams: Streams) -> APIRouter:
    """Return the route of the live feed."""
    router = APIRouter(prefix="/tsunagu/v1", tags=["Tsunagu"], route_class=ProblemRoute)

    @router.get("/feed", summary="What changes, as Server-Sent Events", description=DESCRIPTION)
    async def feed(request: Request) -> Response:
        params = _params(request.scope["query_string"])
        headers = dict(request.scope["headers"])
        tenant = _tenant(headers, params.pop("tenant", None))
        if not await services.tenant_exists(tenant):
            raise NonexistentTenant(f"there is no tenant {tenant}")
        context = await _context(headers, params.pop("jsonldContext", None), services)
        last = _last(headers, params.pop("lastEventId", None))
        subscription = params.pop("subscription", None)
        if subscription is not None and params:
            raise BadRequestData(f"{min(params)}: give subscription or conditions, not both")
        if subscription is not None:
            entry = await services.subscriptions.entry(tenant, subscription)
        else:
            entry = feed_entry(params, context)
        events = feeds.follow(tenant, entry, last, live=subscription is not None)
        return EventStream(await anext(events), events, streams.closing)

    return router


def _params(query: bytes) -> dict[str, str]:
    """Return the parameters by name. Raises BadRequestData, InvalidRequest."""
    found: dict[str, str] = {}
    for name, value in pairs(query):
        if name not in PARAMETERS and name not in OWN:
            raise BadRequestData(
                f"parameter {name[:60]!r} is unknown; a feed takes {', '.join(sorted((*PARAMETERS, *OWN)))}"
            )
        if name in found:
            raise BadRequestData(f"parameter {name!r} is given twice; give it once")
        found[name] = value
    return found


def _tenant(headers: dict[bytes, bytes], param: str | None) -> str:
    given = tenant_name(headers.get(b"ngsild-tenant"), headers.get(b"fiware-service"))
    named = tenant_name(param.encode(), None) if param else given
    if given and named != given:
        raise BadRequestData(f"tenant: the header names another one, {given}")
    return named


async def _context(headers: dict[bytes, bytes], param: str | None, services: Services) -> Context:
    url = param or (context_link(headers[b"link"]) if b"link" in headers else None)
    return CORE if url is None else await services.resolver.resolve(url)


def _last(headers: dict[bytes, bytes], param: str | None) -> str | None:
    """Return the id of the last event that the client has: what EventSource sends itself is newer than its address."""
    return headers[b"last-event-id"].decode("latin-1") if headers.get(b"last-event-id") else param or None
