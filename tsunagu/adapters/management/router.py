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

from tsunagu.adapters import clock
from tsunagu.adapters.catalogue import QUARANTINE
from tsunagu.adapters.commands import DAY, command_of, shown
from tsunagu.adapters.connections.book import RouteBook
from tsunagu.adapters.connections.router import add_connections, add_routes
from tsunagu.adapters.device_models.routes import add_models
from tsunagu.adapters.inbound.http import HOOKS
from tsunagu.adapters.management import candidates, importer, overview, quarantined
from tsunagu.adapters.management.credentials_routes import add_credentials
from tsunagu.adapters.management.preview import preview
from tsunagu.adapters.management.requests import (
    Problem,
    json_answer,
    json_object,
    page_of,
    path_of,
    route_class,
    tenant_of,
)
from tsunagu.adapters.provisioning import bodies

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tsunagu.adapters.catalogue import Entry
    from tsunagu.adapters.device_models.store import ModelStore
    from tsunagu.adapters.devices.plan import Plan
    from tsunagu.adapters.inbound.http import DeviceDoor
    from tsunagu.adapters.message import Message
    from tsunagu.adapters.provisioning.store import ProvisioningStore

BASE = "/tsunagu/v1/devices"


async def no_refusal(entry: Entry) -> str | None:
    """Refuse no connection."""
    del entry
    return None


def management_router(
    store: ProvisioningStore,
    door: DeviceDoor,
    refusal: Callable[[Entry], Awaitable[str | None]] = no_refusal,
    *,
    book: RouteBook | None = None,
) -> APIRouter:
    """Return the router. `refusal` says why the broker may not connect to an MQTT broker, `book` has the routes."""
    route = route_class(store.registry.faults.unavailable)
    router = APIRouter(prefix=BASE, route_class=route, tags=["Devices"])
    routes = book or RouteBook()

    async def look(tenant: str, body: dict[str, Any]) -> dict[str, Any]:
        group = {**body["group"], "service": tenant, "subservice": "/"}
        return await preview(
            door.pipeline, _message(door, routes, tenant, body), group=group, device=body.get("device")
        )

    _add_preview(router, door, routes, store.models)
    add_models(router, store.models, look)
    _add_quarantine(router, store, door)
    _add_candidates(router, store, door)
    _add_import(router, store)
    add_connections(router, store.catalogue, store.registry.faults, refusal)
    add_routes(router, store.catalogue, store.registry.faults)
    add_credentials(router, store)
    _add_commands(router, store, door)
    _add_overview(router, store, door)
    return router


def _add_overview(router: APIRouter, store: ProvisioningStore, door: DeviceDoor) -> None:
    sink = door.pipeline.sink

    async def plan_of(request: Request, device_id: str) -> Plan:
        return await store.plan(tenant_of(request), path_of(request), device_id, request.query_params.get("apikey"))

    @router.get("", summary="The tenant's devices")
    async def list_devices(request: Request) -> Response:
        limit, offset = page_of(request)
        return json_answer(await overview.devices_of(store, tenant_of(request), limit=limit, offset=offset))

    @router.get("/health", summary="How the tenant's devices are")
    async def list_health(request: Request) -> Response:
        limit, offset = page_of(request)
        found = await overview.devices_of(store, tenant_of(request), limit=limit, offset=offset)
        tenant = tenant_of(request)
        plans = [
            await store.plan(tenant, one["service_path"], one["device_id"], one.get("apikey"))
            for one in found["devices"]
        ]
        healths = [await overview.health_of(sink, plan) for plan in plans]
        return json_answer({"count": found["count"], "devices": healths})

    @router.get("/{device_id}/health", summary="How a device is")
    async def get_health(request: Request, device_id: str) -> Response:
        return json_answer(await overview.health_of(sink, await plan_of(request, device_id)))

    @router.get("/{device_id}", summary="A device as it is provisioned")
    async def show_device(request: Request, device_id: str) -> Response:
        apikey = request.query_params.get("apikey")
        return json_answer(
            overview.described(await store.stored(tenant_of(request), path_of(request), device_id, apikey))
        )


def _add_commands(router: APIRouter, store: ProvisioningStore, door: DeviceDoor) -> None:
    async def plan_of(request: Request, device_id: str) -> Plan:
        apikey = request.query_params.get("apikey")
        return await store.plan(tenant_of(request), path_of(request), device_id, apikey)

    @router.post("/{device_id}/commands", summary="Send a command to a device")
    async def send_command(request: Request, device_id: str) -> Response:
        body = await json_object(request)
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
        return json_answer(shown(sent), 201)

    @router.get("/{device_id}/commands", summary="The commands of a device and their states")
    async def list_commands(request: Request, device_id: str) -> Response:
        plan = await plan_of(request, device_id)
        found = await door.pipeline.commands.of_device(plan) if door.pipeline.commands is not None else []
        return json_answer({"count": len(found), "commands": found})


def _add_preview(router: APIRouter, door: DeviceDoor, book: RouteBook, models: ModelStore) -> None:
    @router.post("/preview", summary="What a message would become; nothing is stored")
    async def preview_message(request: Request) -> Response:
        body = await json_object(request)
        tenant = tenant_of(request)
        group = bodies.check(bodies.Group, body["group"]) if "group" in body else None
        device = bodies.check(bodies.Device, body["device"]) if "device" in body else None
        if group is not None:
            placed = {**group, "service": tenant, "subservice": path_of(request)}
            group = await models.with_model(tenant, placed, publish=False)
        if device is not None:
            device = await models.with_model(tenant, device, publish=False)
        found = await preview(door.pipeline, _message(door, book, tenant, body), group=group, device=device)
        return json_answer(found)


def _add_quarantine(router: APIRouter, store: ProvisioningStore, door: DeviceDoor) -> None:
    catalogue = store.catalogue

    async def entry_of(request: Request, key: str) -> dict[str, Any]:
        entry = await catalogue.get(tenant_of(request), QUARANTINE, key)
        if entry is None:
            raise Problem(404, f"{key}: the quarantine has no such message")
        return entry

    @router.get("/quarantine", summary="Messages that could not be taken, oldest first")
    async def list_quarantine(request: Request) -> Response:
        limit, offset = page_of(request)
        where = _where(request)
        entries = await catalogue.find(
            tenant_of(request), QUARANTINE, where, limit=limit, offset=offset, sort=(("id", 1),)
        )
        count = await catalogue.count(tenant_of(request), QUARANTINE, where)
        return json_answer({"count": count, "messages": [quarantined.shown(entry) for entry in entries]})

    @router.get("/quarantine/{key}", summary="One message of the quarantine")
    async def get_quarantined(request: Request, key: str) -> Response:
        return json_answer(quarantined.shown(await entry_of(request, key)))

    @router.delete("/quarantine/{key}", summary="Remove a message from the quarantine")
    async def delete_quarantined(request: Request, key: str) -> Response:
        if not await catalogue.delete(tenant_of(request), QUARANTINE, key):
            raise Problem(404, f"{key}: the quarantine has no such message")
        return Response(status_code=204)

    @router.post("/quarantine/{key}/preview", summary="What a quarantined message would become now")
    async def preview_quarantined(request: Request, key: str) -> Response:
        message = quarantined.message_of(await entry_of(request, key))
        if message is None:
            raise Problem(409, f"{key}: its bytes were not kept")
        return json_answer(await preview(door.pipeline, message))

    @router.post("/quarantine/replay", summary="Take quarantined messages again, in the order of their receipt")
    async def replay_quarantine(request: Request) -> Response:
        body = await json_object(request) if await request.body() else {}
        where: dict[str, Any] = {}
        if "ids" in body:
            if not isinstance(body["ids"], list) or not all(isinstance(key, str) for key in body["ids"]):
                raise Problem(400, "ids must be a list of ids")
            where["id"] = {"$in": body["ids"]}
        for name, member in (("reason", "reason.name"), ("format", "format")):
            if name in body:
                where[member] = str(body[name])
        return json_answer(await quarantined.replay(door.pipeline, catalogue, tenant_of(request), where))


def _add_candidates(router: APIRouter, store: ProvisioningStore, door: DeviceDoor) -> None:
    @router.get("/candidates", summary="Devices that sent messages and are not admitted")
    async def list_candidates(request: Request) -> Response:
        tenant = tenant_of(request)
        found = await candidates.candidates(store.catalogue, tenant, await store.models.of(tenant))
        return json_answer({"count": len(found), "candidates": found})

    @router.post("/candidates/admit", summary="Provision candidates and replay their messages")
    async def admit(request: Request) -> Response:
        body = bodies.check(bodies.Devices, await json_object(request))
        for index, device in enumerate(body["devices"]):
            for member in ("device_id", "apikey"):
                if not device.get(member):
                    raise Problem(400, f"devices[{index}].{member}: is missing")
        return json_answer(await candidates.admit(door.pipeline, store, tenant_of(request), body["devices"]))


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
        return json_answer(await importer.run(store, tenant_of(request), path_of(request), rows, dry_run=dry_run))

    @router.post("/imports/{key}/undo", summary="Take an import back")
    async def undo_import(request: Request, key: str) -> Response:
        found = await importer.undo(store, tenant_of(request), key)
        if found is None:
            raise Problem(404, f"{key}: there is no such import")
        return json_answer(found)


def _where(request: Request) -> dict[str, Any]:
    names = {"reason": "reason.name", "format": "format"}
    return {member: request.query_params[name] for name, member in names.items() if name in request.query_params}


def _message(door: DeviceDoor, book: RouteBook, tenant: str, body: dict[str, Any]) -> Message:
    """Return the message to look at, by topic, or path and method, with body, text or base64."""
    content = _content(body)
    received = clock.read_text(str(body["receivedAt"])) if "receivedAt" in body else clock.now()
    content_type = str(body.get("contentType", ""))
    if isinstance(body.get("topic"), str):
        found = book.topics_of(tenant).message(body["topic"], content, received)
        if found is None:
            raise Problem(400, f"topic: no format or route takes {body['topic'][:100]!r}")
        return found
    if not isinstance(body.get("path"), str):
        raise Problem(400, "topic, or path with its query, is needed")
    parts = urlsplit(body["path"])
    if parts.path.startswith(HOOKS):
        headers = {str(name).lower(): str(value) for name, value in (body.get("headers") or {}).items()}
        return book.hook("POST", parts.path, content, received=received, headers=headers)
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
