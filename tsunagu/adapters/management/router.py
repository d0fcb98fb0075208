"""The routes of /tsunagu/v1/devices: preview, quarantine, candidates, import.

The tenant is that of NGSILD-Tenant or Fiware-Service, the service path that of Fiware-ServicePath ("/" if absent).
Errors are problem documents of the NGSI-LD form.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from tsunagu.adapters import clock
from tsunagu.adapters.catalogue import QUARANTINE
from tsunagu.adapters.commands import DAY, command_of, shown
from tsunagu.adapters.errors import DeviceError
from tsunagu.adapters.inbound.topics import TopicTree
from tsunagu.adapters.management import candidates, importer, quarantined
from tsunagu.adapters.management.preview import preview
from tsunagu.adapters.message import Message
from tsunagu.adapters.provisioning import bodies
from tsunagu.adapters.provisioning.errors import ProvisioningError
from tsunagu.adapters.registry import FORMATS
from tsunagu.adapters.sink import SinkUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tsunagu.adapters.devices.plan import Plan
    from tsunagu.adapters.inbound.http import DeviceDoor
    from tsunagu.adapters.provisioning.store import ProvisioningStore

BASE = "/tsunagu/v1/devices"
ERRORS = "https://uri.etsi.org/ngsi-ld/errors/"
PROBLEMS = {400: ("BadRequestData", "Bad request data"), 404: ("ResourceNotFound", "Resource not found")}
PROBLEMS |= {409: ("AlreadyExists", "Already exists"), 415: ("BadRequestData", "Bad request data")}
MAX_PAGE = 1000
TREE = TopicTree(FORMATS.values())


class Problem(Exception):
    """Answered as a problem document."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """Return a problem document of ETSI GS CIM 009, 5.5.3."""
    name, title = PROBLEMS.get(status, ("Unavailable", "Service unavailable"))
    body = {"type": ERRORS + name, "title": title, "status": status, "detail": detail}
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


def route_class(unavailable: type[Exception]) -> type[APIRoute]:
    """Return a class of routes that answer errors as problem documents; `unavailable` says that the store is away."""

    class ProblemRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handler = super().get_route_handler()

            async def answer(request: Request) -> Response:
                try:
                    return await handler(request)
                except (Problem, ProvisioningError, DeviceError) as error:
                    return problem(error.status, str(error))
                except (SinkUnavailable, unavailable) as error:
                    return problem(503, f"try again: {error}", {"Retry-After": "2"})

            return answer

    return ProblemRoute


def management_router(store: ProvisioningStore, door: DeviceDoor) -> APIRouter:
    """Return the router."""
    route = route_class(store.registry.faults.unavailable)
    router = APIRouter(prefix=BASE, route_class=route, tags=["Devices"])
    _add_preview(router, door)
    _add_quarantine(router, store, door)
    _add_candidates(router, store, door)
    _add_import(router, store)
    _add_commands(router, store, door)
    return router


def _add_commands(router: APIRouter, store: ProvisioningStore, door: DeviceDoor) -> None:
    async def plan_of(request: Request, device_id: str) -> Plan:
        apikey = request.query_params.get("apikey")
        return await store.plan(_tenant(request), _path(request), device_id, apikey)

    @router.post("/{device_id}/commands", summary="Send a command to a device")
    async def send_command(request: Request, device_id: str) -> Response:
        body = await _object(request)
        if not isinstance(body.get("name"), str) or "value" not in body:
            raise Problem(400, 'name and value are needed, e.g. {"name": "turn", "value": "left"}')
        expires = body.get("expiresIn", DAY)
        if isinstance(expires, bool) or not isinstance(expires, int | float) or expires <= 0:
            raise Problem(400, "expiresIn must be a number of seconds above 0")
        if door.pipeline.commands is None:
            raise Problem(503, "this process sends no commands")
        plan = await plan_of(request, device_id)
        command = command_of(plan, body["name"])
        sent = await door.pipeline.commands.send(plan, command, body["value"], expires_in=expires)
        assert sent is not None
        return _json(shown(sent), 201)

    @router.get("/{device_id}/commands", summary="The commands of a device and their states")
    async def list_commands(request: Request, device_id: str) -> Response:
        plan = await plan_of(request, device_id)
        found = await door.pipeline.commands.of_device(plan) if door.pipeline.commands is not None else []
        return _json({"count": len(found), "commands": found})


def _add_preview(router: APIRouter, door: DeviceDoor) -> None:
    @router.post("/preview", summary="What a message would become; nothing is stored")
    async def preview_message(request: Request) -> Response:
        body = await _object(request)
        tenant = _tenant(request)
        group = bodies.check(bodies.Group, body["group"]) if "group" in body else None
        device = bodies.check(bodies.Device, body["device"]) if "device" in body else None
        if group is not None:
            group = {**group, "service": tenant, "subservice": _path(request)}
        found = await preview(door.pipeline, _message(door, body), group=group, device=device)
        return _json(found)


def _add_quarantine(router: APIRouter, store: ProvisioningStore, door: DeviceDoor) -> None:
    catalogue = store.catalogue

    async def entry_of(request: Request, key: str) -> dict[str, Any]:
        entry = await catalogue.get(_tenant(request), QUARANTINE, key)
        if entry is None:
            raise Problem(404, f"{key}: the quarantine has no such message")
        return entry

    @router.get("/quarantine", summary="Messages that could not be taken, oldest first")
    async def list_quarantine(request: Request) -> Response:
        limit, offset = _page(request)
        where = _where(request)
        entries = await catalogue.find(
            _tenant(request), QUARANTINE, where, limit=limit, offset=offset, sort=(("id", 1),)
        )
        count = await catalogue.count(_tenant(request), QUARANTINE, where)
        return _json({"count": count, "messages": [quarantined.shown(entry) for entry in entries]})

    @router.get("/quarantine/{key}", summary="One message of the quarantine")
    async def get_quarantined(request: Request, key: str) -> Response:
        return _json(quarantined.shown(await entry_of(request, key)))

    @router.delete("/quarantine/{key}", summary="Remove a message from the quarantine")
    async def delete_quarantined(request: Request, key: str) -> Response:
        if not await catalogue.delete(_tenant(request), QUARANTINE, key):
            raise Problem(404, f"{key}: the quarantine has no such message")
        return Response(status_code=204)

    @router.post("/quarantine/{key}/preview", summary="What a quarantined message would become now")
    async def preview_quarantined(request: Request, key: str) -> Response:
        message = quarantined.message_of(await entry_of(request, key))
        if message is None:
            raise Problem(409, f"{key}: its bytes were not kept")
        return _json(await preview(door.pipeline, message))

    @router.post("/quarantine/replay", summary="Take quarantined messages again, in the order of their receipt")
    async def replay_quarantine(request: Request) -> Response:
        body = await _object(request) if await request.body() else {}
        where: dict[str, Any] = {}
        if "ids" in body:
            if not isinstance(body["ids"], list) or not all(isinstance(key, str) for key in body["ids"]):
                raise Problem(400, "ids must be a list of ids")
            where["id"] = {"$in": body["ids"]}
        for name, member in (("reason", "reason.name"), ("format", "format")):
            if name in body:
                where[member] = str(body[name])
        return _json(await quarantined.replay(door.pipeline, catalogue, _tenant(request), where))


def _add_candidates(router: APIRouter, store: ProvisioningStore, door: DeviceDoor) -> None:
    @router.get("/candidates", summary="Devices that sent messages and are not admitted")
    async def list_candidates(request: Request) -> Response:
        found = await candidates.candidates(store.catalogue, _tenant(request))
        return _json({"count": len(found), "candidates": found})

    @router.post("/candidates/admit", summary="Provision candidates and replay their messages")
    async def admit(request: Request) -> Response:
        body = bodies.check(bodies.Devices, await _object(request))
        for index, device in enumerate(body["devices"]):
            for member in ("device_id", "apikey"):
                if not device.get(member):
                    raise Problem(400, f"devices[{index}].{member}: is missing")
        return _json(await candidates.admit(door.pipeline, store, _tenant(request), body["devices"]))


def _add_import(router: APIRouter, store: ProvisioningStore) -> None:
    @router.post("/import", summary="Provision devices from CSV, row by row")
    async def import_devices(request: Request) -> Response:
        defaults = {
            name: request.query_params[name]
            for name in ("apikey", "entity_type", "timezone")
            if name in request.query_params
        }
        rows = importer.parse(await request.body(), defaults)
        dry_run = request.query_params.get("dryRun", "false").lower() == "true"
        return _json(await importer.run(store, _tenant(request), _path(request), rows, dry_run=dry_run))

    @router.post("/imports/{key}/undo", summary="Take an import back")
    async def undo_import(request: Request, key: str) -> Response:
        found = await importer.undo(store, _tenant(request), key)
        if found is None:
            raise Problem(404, f"{key}: there is no such import")
        return _json(found)


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body, default=str), status, media_type="application/json")


def _tenant(request: Request) -> str:
    headers = request.headers
    return (headers.get("ngsild-tenant") or headers.get("fiware-service") or "").strip().lower()


def _path(request: Request) -> str:
    return request.headers.get("fiware-servicepath", "/").strip() or "/"


async def _object(request: Request) -> dict[str, Any]:
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise Problem(400, f"the body must be an object and not {type(body).__name__}")
    return body


def _page(request: Request) -> tuple[int, int]:
    numbers = []
    for name, default in (("limit", 100), ("offset", 0)):
        text = request.query_params.get(name, str(default))
        if not text.isdigit():
            raise Problem(400, f"{name} must be a whole number from 0 on and not {text[:20]!r}")
        numbers.append(int(text))
    return min(numbers[0], MAX_PAGE) or MAX_PAGE, numbers[1]


def _where(request: Request) -> dict[str, Any]:
    names = {"reason": "reason.name", "format": "format"}
    return {member: request.query_params[name] for name, member in names.items() if name in request.query_params}


def _message(door: DeviceDoor, body: dict[str, Any]) -> Message:
    """Return the message to look at, by topic, or path and method, with body, text or base64."""
    content = _content(body)
    received = clock.read_text(str(body["receivedAt"])) if "receivedAt" in body else clock.now()
    content_type = str(body.get("contentType", ""))
    if isinstance(body.get("topic"), str):
        found = TREE.match(body["topic"])
        if found is None:
            raise Problem(400, f"topic: no format takes {body['topic'][:100]!r}")
        return Message(found[0], content, received, found[1], body["topic"])
    if not isinstance(body.get("path"), str):
        raise Problem(400, "topic, or path with its query, is needed")
    parts = urlsplit(body["path"])
    default = "application/json" if "body" in body else "text/plain"
    message = door.message_of(
        str(body.get("method", "POST")),
        parts.path,
        parts.query.encode(),
        content_type=content_type or default,
        body=content,
    )
    message.received = received
    return message


def _content(body: dict[str, Any]) -> bytes:
    if "body" in body:
        return orjson.dumps(body["body"])
    if "text" in body:
        return str(body["text"]).encode()
    if "base64" in body:
        try:
            return base64.b64decode(str(body["base64"]), validate=True)
        except ValueError:
            raise Problem(400, "base64: is no base64") from None
    raise Problem(400, "body (JSON), text or base64 is needed: what the device sends")
