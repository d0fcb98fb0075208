"""The ASGI application of one broker process.

In front of everything stand the two hot doors, each a plain ASGI callable: NGSI-LD under /ngsi-ld/v1, device messages
under /iot. FastAPI serves the rest: status, provisioning, what is Tsunagu's own, and the OpenAPI document of it all.
FIWARE's two ports, if the settings name them, serve provisioning alone and device messages alone.
"""

from __future__ import annotations

import gc
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from fastapi import FastAPI
from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR, CollectorRegistry

from tsunagu import __version__
from tsunagu.adapters.management.router import management_router
from tsunagu.adapters.metrics import COLLECTORS
from tsunagu.adapters.provisioning.agent import agent_router
from tsunagu.adapters.provisioning.router import provisioning_router
from tsunagu.adapters.provisioning.store import ProvisioningStore
from tsunagu.app.allowed import tell_allowed_methods
from tsunagu.app.log_level import SharedLogLevel
from tsunagu.app.logs import configure_logs
from tsunagu.app.mqtt import refusal
from tsunagu.app.north import north_door
from tsunagu.app.parts import Parts
from tsunagu.app.slashes import without_last_slash
from tsunagu.broker.api.deliveries import deliveries_router
from tsunagu.broker.api.dispatch import Api
from tsunagu.broker.api.feed import feed_router
from tsunagu.broker.api.inbox import inbox_router
from tsunagu.broker.api.openapi import describe
from tsunagu.broker.api.routes import ROUTES
from tsunagu.broker.api.status import ping_all, status_router

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from tsunagu.app.logs import LogLevel
    from tsunagu.broker.settings import Settings

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    ASGI = Callable[[Scope, Receive, Send], Awaitable[None]]

log = structlog.get_logger(__name__)

GC_THRESHOLD = (200_000, 10, 10)


class Application:
    """See the module's docstring. The parts are made when the server starts and taken down when it stops."""

    def __init__(self, settings: Settings, level: LogLevel) -> None:
        self.settings = settings
        self.parts: Parts | None = None
        self._level = level
        self._api: Api | None = None
        self._rest: ASGI | None = None
        self._doors: dict[int, ASGI] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or carry the application through its life."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        parts = self.parts
        assert parts is not None
        assert self._api is not None
        assert self._rest is not None
        path = scope["path"]
        door = self._doors.get(scope["server"][1]) if self._doors else None
        if door is not None:
            await door(scope, receive, send)
        elif path.startswith("/ngsi-ld/"):
            await self._api(scope, receive, send)
        elif parts.door.takes(path):
            await parts.door(scope, receive, send)
        else:
            await self._rest(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Start when the server starts, stop when it stops (ASGI lifespan)."""
        await receive()
        try:
            await self.start()
        except Exception as error:
            log.exception("start_failed")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def start(self) -> None:
        """Make the parts and start them. Raises Unavailable when MongoDB does not answer."""
        parts = self.parts = Parts(self.settings)
        self._api = Api(parts.services, ROUTES)
        store = ProvisioningStore(parts.devices, parts.sink)
        self._rest = without_last_slash(rest_of(parts, store))
        self._doors = doors_of(parts, store, SharedLogLevel(self._level, parts.catalogue), api=self._api)
        await parts.start()
        # What is there now stays: keep the collector from walking over it again and again (architecture, measurements).
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLD)

    def leave(self) -> None:
        """End what would go on for ever, live feeds: the process is about to stop."""
        if self.parts is not None:
            self.parts.streams.close()

    async def stop(self) -> None:
        """Stop the parts in order."""
        if self.parts is not None:
            await self.parts.stop()


def doors_of(parts: Parts, store: ProvisioningStore, level: SharedLogLevel, *, api: Api) -> dict[int, ASGI]:
    """Return what the FIWARE ports serve, by port: provisioning and commands alone, device messages alone."""
    settings = parts.settings
    north = FastAPI(title="Tsunagu, FIWARE provisioning", version=__version__, docs_url=None, redoc_url=None)
    north.include_router(provisioning_router(store, port=settings.north_port))
    north.include_router(agent_router(settings.north_port, level, lambda: ping_all(parts.services)))
    tell_allowed_methods(north)
    doors: dict[int, ASGI] = {
        settings.north_port: north_door(without_last_slash(north), api),
        settings.south_port: parts.door,
    }
    return {port: door for port, door in doors.items() if port}


def rest_of(parts: Parts, store: ProvisioningStore) -> FastAPI:
    """Return the FastAPI application for everything but the hot doors."""
    app = FastAPI(title="Tsunagu", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    metrics = CollectorRegistry()
    own = (parts.services.traffic, parts.dispatcher.metrics, parts.subscription_metrics, parts.feeds, *COLLECTORS)
    for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR, *own):
        metrics.register(collector)
    app.include_router(status_router(parts.services, metrics, parts.subscription_metrics.refresh))
    app.include_router(inbox_router(parts.services, parts.inbox))
    app.include_router(deliveries_router(parts.services, parts.deliveries))
    app.include_router(feed_router(parts.services, parts.feeds, parts.streams))
    app.include_router(provisioning_router(store, port=parts.settings.port))
    app.include_router(management_router(store, parts.door, partial(refusal, parts.guard), book=parts.connections.book))
    tell_allowed_methods(app)

    @app.get("/openapi.json", include_in_schema=False)
    def openapi() -> dict[str, Any]:
        document = app.openapi()
        more = describe(ROUTES)
        paths = {**more["paths"], **document["paths"]}
        schemas = {**more["components"]["schemas"], **document.get("components", {}).get("schemas", {})}
        return {**document, "paths": paths, "components": {**more["components"], "schemas": schemas}}

    return app


def create_app(settings: Settings) -> Application:
    """Return the application for `settings`."""
    return Application(settings, configure_logs(settings))
