"""What an IoT agent says of itself on its north port: version, readiness, metrics, log level.

Sources: iotagent-node-lib lib/services/northBound/northboundServer.js and lib/services/common/genericMiddleware.js;
bodies, statuses and texts are those that this code sends.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

import orjson
from fastapi import APIRouter, Request, Response

from tsunagu.adapters import metrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from prometheus_client import Counter

# FIWARE's names of the levels → ours, and back.
LEVELS = {
    "DEBUG": "debug",
    "INFO": "info",
    "WARNING": "warning",
    "WARN": "warning",
    "ERROR": "error",
    "FATAL": "critical",
}
NAMES = {"debug": "DEBUG", "info": "INFO", "warning": "WARN", "error": "ERROR", "critical": "FATAL"}
OPENMETRICS, PLAIN = "application/openmetrics-text", "text/plain"


class LogLevel(Protocol):
    """The log level of the broker's processes."""

    @property
    def name(self) -> str:
        """The present level: debug, info, warning, error or critical."""

    async def change(self, name: str) -> None:
        """Set the level."""


def about(port: int) -> dict[str, str]:
    """Return what /iot/about and /version answer."""
    return {"libVersion": version("tsunagu"), "port": str(port), "baseRoot": "/", "version": version("tsunagu")}


def agent_router(port: int, level: LogLevel, parts: Callable[[], Awaitable[dict[str, str]]]) -> APIRouter:
    """Return the router. `parts` gives the state of each part that the broker needs, "ok" if it answers."""
    router = APIRouter(tags=["FIWARE provisioning"])

    @router.get("/version", summary="Version of the IoT agent")
    async def version_of_agent() -> Response:
        return _json(about(port))

    @router.get("/ready", summary="Whether measures can be taken", responses={503: {}})
    async def ready() -> Response:
        states = await parts()
        healthy = all(state == "ok" for state in states.values())
        return _json({}, 200 if healthy else 503)

    @router.get("/metrics", summary="Counters by the names of FIWARE's IoT agents", responses={406: {}})
    async def counters(request: Request) -> Response:
        kind = metrics_type(request.headers.get("accept"))
        if kind is None:
            return Response("Not Acceptable", 406)
        lines = [
            f"# HELP {name} global metric for {name}\n# TYPE {name} counter\n{name} {value}"
            for name, value in statistics().items()
        ]
        return Response("\n".join((*lines, "# EOF")), headers={"content-type": kind})

    @router.get("/admin/log", summary="Log level")
    async def log_level() -> Response:
        return _json({"level": NAMES[level.name]})

    @router.put("/admin/log", summary="Change the log level")
    async def change_log_level(request: Request) -> Response:
        wanted = request.query_params.get("level")
        if not wanted:
            return _json({"error": "log level missing"}, 400)
        if wanted.upper() not in LEVELS:
            return _json({"error": "invalid log level"}, 400)
        await level.change(LEVELS[wanted.upper()])
        return Response("")

    return router


def metrics_type(accept: str | None) -> str | None:
    """Return the content type for an Accept header: OpenMetrics before plain text; None if neither is accepted."""
    best: tuple[float, int, str] | None = None
    for part in (accept or OPENMETRICS).split(","):
        kind, *rest = (text.strip() for text in part.split(";"))
        given = dict(text.split("=", 1) for text in rest if "=" in text)
        rank, name, versions = (1, OPENMETRICS, ("1.0.0", "0.0.1")) if kind == OPENMETRICS else (0, PLAIN, ("0.0.4",))
        if (rank == 0 and kind not in (PLAIN, "text/*", "*/*")) or given.get("charset", "utf-8") != "utf-8":
            continue
        version = given.get("version", versions[0])
        try:
            weight = float(given.get("q", 1))
        except ValueError:
            continue
        if version in versions and (best is None or (weight, rank) > best[:2]):
            best = (weight, rank, f"{name};version={version};charset=utf-8")
    return best[2] if best else None


def statistics() -> dict[str, int]:
    """Return the counters of this process by the names that the reference gives them; its alarms do not exist here."""
    return {
        "deviceCreationRequests": _sum(metrics.DEVICE_REQUESTS, deed="create"),
        "deviceRemovalRequests": _sum(metrics.DEVICE_REQUESTS, deed="remove"),
        "measureRequests": _sum(metrics.MESSAGES),
        "raiseAlarm": 0,
        "releaseAlarm": 0,
        "updateEntityRequestsOk": _sum(metrics.UPDATES),
        "updateEntityRequestsError": _sum(metrics.SET_ASIDE),
    }


def _sum(counter: Counter, **labels: str) -> int:
    samples = (sample for family in counter.collect() for sample in family.samples)
    return round(
        sum(one.value for one in samples if one.name.endswith("_total") and labels.items() <= one.labels.items())
    )


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")
