"""Health, metrics and version of the broker process. Readiness is a loop over the pings that app.py installs."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from time import time
from typing import TYPE_CHECKING

import orjson
import structlog
from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from tsunagu.broker.api.services import Ping, Services

log = structlog.get_logger(__name__)

PING_SECONDS = 3.0
SPECIFICATION = "ETSI GS CIM 009 v1.9.1"


def status_router(services: Services, registry: CollectorRegistry, refresh: Ping) -> APIRouter:
    """Return the routes /health/live, /health/ready, /metrics and /version; `refresh` comes before the metrics."""
    router = APIRouter(tags=["Status"])

    @router.get("/health/live", summary="Whether the process is alive")
    async def live() -> Response:
        return json_response(200, {"status": "alive"})

    @router.get(
        "/health/ready", summary="Whether the broker can serve: every part it needs answers", responses={503: {}}
    )
    async def ready() -> Response:
        parts = await ping_all(services)
        healthy = all(state == "ok" for state in parts.values())
        return json_response(200 if healthy else 503, {"status": "ready" if healthy else "unready", "parts": parts})

    @router.get("/metrics", summary="Metrics in the Prometheus text format", response_class=PlainTextResponse)
    async def metrics() -> Response:
        await refresh()
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @router.get("/version", summary="Version of the broker and of the standard it follows")
    async def about() -> Response:
        return json_response(
            200,
            {
                "name": services.settings.name,
                "tsunagu": version("tsunagu"),
                "specification": SPECIFICATION,
                "uptime": round(time() - services.started),
            },
        )

    return router


async def ping_all(services: Services) -> dict[str, str]:
    """Return the state of each part that has a ping: "ok", or what is wrong with it in a few words."""
    states = await asyncio.gather(*(state_of(name, ping) for name, ping in services.pings.items()))
    return dict(zip(services.pings, states, strict=True))


async def state_of(name: str, ping: Ping) -> str:
    """Return "ok" if a part answers in time, else a few words. The log has the error itself, which may name hosts."""
    try:
        async with asyncio.timeout(PING_SECONDS):
            await ping()
    except TimeoutError:
        return f"no answer within {PING_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001 - a ping may fail in any way; all of them mean "not ready"
        log.warning("part is not ready", part=name, error=str(error))
        return "unavailable"
    return "ok"


def json_response(status: int, document: dict[str, object]) -> Response:
    """Return a response with a JSON document."""
    return Response(orjson.dumps(document), status, media_type="application/json")
