"""The routes of FIWARE's provisioning API.

Replies are those that iotagent-node-lib's code sends, not always those of its documentation.

POST 201 {}, PUT 204, DELETE 204; /iot/services is the older name of /iot/groups and says "services" for "groups".
Headers Fiware-Service and Fiware-ServicePath are mandatory; an empty Fiware-Service is the default tenant.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from tsunagu.adapters.provisioning import bodies, errors
from tsunagu.adapters.provisioning.agent import about
from tsunagu.adapters.provisioning.errors import ProvisioningError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tsunagu.adapters.provisioning.store import ProvisioningStore

SERVICE = re.compile(r"[a-z0-9_]{0,50}")
PATH = re.compile(r"/(?:[A-Za-z0-9_]{1,50}(?:/[A-Za-z0-9_]{1,50}){0,9})?")
MAX_PAGE = 1000


def route_class(unavailable: type[Exception]) -> type[APIRoute]:
    """Return a class of routes that answer errors as {"name", "message"}; `unavailable` says that the store is away."""

    class FiwareRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handler = super().get_route_handler()

            async def answer(request: Request) -> Response:
                try:
                    return await handler(request)
                except ProvisioningError as error:
                    return _json(error.body(), error.status)
                except unavailable as error:
                    body = {"name": "SERVICE_UNAVAILABLE", "message": f"nothing was changed; send it again ({error})"}
                    return _json(body, 503, {"Retry-After": "2"})

            return answer

    return FiwareRoute


def provisioning_router(store: ProvisioningStore, *, port: int = 0) -> APIRouter:
    """Return the router. `port` is what /iot/about says."""
    router = APIRouter(route_class=route_class(store.registry.faults.unavailable), tags=["FIWARE provisioning"])
    for path, member, model in (
        ("/iot/groups", "groups", bodies.Groups),
        ("/iot/services", "services", bodies.Services),
    ):
        _add_groups(router, store, path=path, member=member, model=model)
    _add_devices(router, store)

    @router.get("/iot/about", summary="Version of the IoT agent")
    async def about_agent() -> Response:
        return _json(about(port))

    return router


def _add_groups(
    router: APIRouter, store: ProvisioningStore, *, path: str, member: str, model: type[bodies.Part]
) -> None:
    @router.post(path, summary="Provision groups of devices", name=f"create_{member}")
    async def create(request: Request) -> Response:
        service, service_path = _headers(request)
        body = bodies.check(model, await _body(request))
        await store.create_groups(service, service_path, body[member])
        return _json({}, 201)

    @router.get(path, summary="List groups of devices", name=f"list_{member}")
    async def groups(request: Request) -> Response:
        service, service_path = _headers(request)
        limit, offset = _page(request)
        where = {name: request.query_params[name] for name in ("resource", "apikey") if name in request.query_params}
        count, found = await store.groups(service, service_path, limit=limit, offset=offset, where=where)
        return _json({"count": count, member: found})

    @router.put(path, summary="Change a group of devices", name=f"change_{member}")
    async def change(request: Request) -> Response:
        service, service_path = _headers(request)
        resource, apikey = _group_key(request)
        changes = bodies.check(bodies.GroupChange, await _body(request))
        await store.change_group(service, service_path, resource, apikey, changes=changes)
        return Response(status_code=204)

    @router.delete(path, summary="Remove a group of devices", name=f"delete_{member}")
    async def delete(request: Request) -> Response:
        service, service_path = _headers(request)
        resource, apikey = _group_key(request)
        with_devices = request.query_params.get("device", "false").lower() == "true"
        await store.delete_group(service, service_path, resource, apikey, with_devices=with_devices)
        return Response(status_code=204)


def _add_devices(router: APIRouter, store: ProvisioningStore) -> None:
    @router.post("/iot/devices", summary="Provision devices")
    async def create_devices(request: Request) -> Response:
        service, service_path = _headers(request)
        body = bodies.check(bodies.Devices, await _body(request))
        await store.create_devices(service, service_path, body["devices"])
        return _json({}, 201)

    @router.get("/iot/devices", summary="List devices")
    async def list_devices(request: Request) -> Response:
        service, service_path = _headers(request)
        limit, offset = _page(request)
        count, found = await store.devices(service, service_path, limit=limit, offset=offset)
        return _json({"count": count, "devices": found})

    @router.get("/iot/devices/{device_id}", summary="Show a device")
    async def get_device(request: Request, device_id: str) -> Response:
        service, service_path = _headers(request)
        return _json(await store.device(service, service_path, device_id, request.query_params.get("apikey")))

    @router.put("/iot/devices/{device_id}", summary="Change a device")
    async def change_device(request: Request, device_id: str) -> Response:
        service, service_path = _headers(request)
        changes = bodies.check(bodies.DeviceChange, await _body(request))
        apikey = request.query_params.get("apikey")
        await store.change_device(service, service_path, device_id, apikey, changes=changes)
        return Response(status_code=204)

    @router.delete("/iot/devices/{device_id}", summary="Remove a device")
    async def delete_device(request: Request, device_id: str) -> Response:
        service, service_path = _headers(request)
        await store.delete_device(service, service_path, device_id, request.query_params.get("apikey"))
        return Response(status_code=204)

    @router.post("/iot/op/delete", summary="Remove several devices")
    async def delete_devices(request: Request) -> Response:
        service, service_path = _headers(request)
        body = bodies.check(bodies.Removals, await _body(request))
        missing = None
        for device in body["devices"]:
            try:
                await store.delete_device(service, service_path, device["deviceId"], device.get("apikey"))
            except ProvisioningError as error:
                missing = missing or error
        if missing is not None:
            raise missing
        return Response(status_code=204)


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


def _headers(request: Request) -> tuple[str, str]:
    """Return service and service path. Raises ProvisioningError if a header is absent or malformed."""
    names = ("fiware-service", "fiware-servicepath")
    missing = [name for name in names if name not in request.headers]
    if missing:
        raise errors.missing_headers(missing)
    service, path = request.headers[names[0]].strip().lower(), request.headers[names[1]].strip()
    if not SERVICE.fullmatch(service):
        raise errors.wrong_syntax("Fiware-Service: letters, digits and _ are allowed, 50 at most")
    if path != "/*" and not PATH.fullmatch(path):
        raise errors.wrong_syntax(
            "Fiware-ServicePath: must start with / and have ten levels of letters, digits and _ at most"
        )
    if path == "/*" and request.method != "GET":
        raise errors.wrong_syntax("Fiware-ServicePath: /* is for listing only")
    return service, path


async def _body(request: Request) -> Any:
    raw = await request.body()
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise errors.wrong_syntax(f"the body is not JSON: {error}") from None


def _page(request: Request) -> tuple[int, int]:
    """Return limit (0: all) and offset. Raises ProvisioningError."""
    numbers = []
    for name in ("limit", "offset"):
        text = request.query_params.get(name, "0")
        if not text.isdigit():
            raise errors.wrong_syntax(f"{name}: must be a whole number from 0 on and not {text[:20]!r}")
        numbers.append(int(text))
    return min(numbers[0], MAX_PAGE), numbers[1]


def _group_key(request: Request) -> tuple[str, str]:
    missing = [name for name in ("resource", "apikey") if name not in request.query_params]
    if missing:
        raise errors.missing_headers(missing)
    return request.query_params["resource"], request.query_params["apikey"]
