"""The routes of /tsunagu/v1/devices/connections and /tsunagu/v1/devices/routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from tsunagu.adapters.connections import bodies
from tsunagu.adapters.connections.manager import CONNECTIONS, ROUTES, STATES, key_of, states_of
from tsunagu.adapters.connections.patterns import compile_pattern
from tsunagu.adapters.management.requests import Problem, json_answer, json_object, tenant_of
from tsunagu.adapters.provisioning.bodies import check
from tsunagu.schemas.secrets import MaskNotStored

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tsunagu.adapters.catalogue import Catalogue, Entry, Faults

AT_MOST = 1000  # connections, and routes, of a tenant


class Shelf:
    """The entries of one kind, as one resource of the API shows them."""

    def __init__(self, catalogue: Catalogue, faults: Faults, kind: str) -> None:
        self.catalogue = catalogue
        self.faults = faults
        self.kind = kind

    async def of(self, tenant: str) -> list[Entry]:
        """Return a tenant's entries."""
        return await self.catalogue.find("", self.kind, {"tenant": tenant})

    async def get(self, tenant: str, name: str) -> Entry:
        """Return one entry. Raises Problem 404."""
        entry = await self.catalogue.get("", self.kind, key_of(tenant, name))
        if entry is None:
            raise Problem(404, f"{name}: there is none")
        return entry

    async def add(self, tenant: str, entry: Entry) -> None:
        """Add an entry. Raises Problem 409 if the id is taken, or there are too many."""
        if await self.catalogue.count("", self.kind, {"tenant": tenant}) >= AT_MOST:
            raise Problem(409, f"there are {AT_MOST} already, the most that a tenant may have")
        try:
            await self.catalogue.insert("", self.kind, key_of(tenant, entry["id"]), {**entry, "tenant": tenant})
        except self.faults.already_exists:
            raise Problem(409, f"{entry['id']}: the id is taken") from None

    async def put(self, tenant: str, entry: Entry) -> None:
        """Put an entry in the place of the one with its id."""
        await self.catalogue.replace("", self.kind, key_of(tenant, entry["id"]), {**entry, "tenant": tenant})

    async def remove(self, tenant: str, name: str) -> None:
        """Remove an entry. Raises Problem 404."""
        if not await self.catalogue.delete("", self.kind, key_of(tenant, name)):
            raise Problem(404, f"{name}: there is none")


def add_connections(
    router: APIRouter, catalogue: Catalogue, faults: Faults, refusal: Callable[[Entry], Awaitable[str | None]]
) -> None:
    """Add the routes of connections. `refusal` says what is wrong with a connection's address or certificates."""
    shelf = Shelf(catalogue, faults, CONNECTIONS)

    async def checked(request: Request, stored: Entry | None, **fixed: str) -> Entry:
        body = check(bodies.Connection, {**await json_object(request), **fixed})
        entry = _unmasked(bodies.connection_entry, body, stored)
        reason = await refusal(entry)
        if reason is not None:
            raise Problem(400, reason)
        return entry

    async def shown(entry: Entry) -> dict[str, Any]:
        states = await states_of(catalogue, key_of(entry["tenant"], entry["id"]))
        return {
            **bodies.shown_connection(entry),
            "connected": any(one["connected"] for one in states),
            "workers": states,
        }

    @router.post("/connections", summary="Connect to an MQTT broker")
    async def create_connection(request: Request) -> Response:
        entry = await checked(request, None)
        await shelf.add(tenant_of(request), entry)
        return json_answer(bodies.shown_connection(entry), 201)

    @router.get("/connections", summary="The MQTT brokers that the tenant connects to, with their states")
    async def list_connections(request: Request) -> Response:
        found = [await shown(entry) for entry in await shelf.of(tenant_of(request))]
        return json_answer({"count": len(found), "connections": found})

    @router.get("/connections/{name}", summary="One connection with its state")
    async def get_connection(request: Request, name: str) -> Response:
        return json_answer(await shown(await shelf.get(tenant_of(request), name)))

    @router.put("/connections/{name}", summary="Change a connection; a secret's mask keeps the secret")
    async def change_connection(request: Request, name: str) -> Response:
        entry = await checked(request, await shelf.get(tenant_of(request), name), id=name)
        await shelf.put(tenant_of(request), entry)
        return json_answer(bodies.shown_connection(entry))

    @router.delete("/connections/{name}", summary="Remove a connection")
    async def delete_connection(request: Request, name: str) -> Response:
        tenant = tenant_of(request)
        routes = await catalogue.find("", ROUTES, {"tenant": tenant, "connection": name})
        if routes:
            raise Problem(409, f"{name}: the route {routes[0]['id']} needs it; remove that first")
        await shelf.remove(tenant, name)
        for state in await catalogue.find("", STATES, {"connection": key_of(tenant, name)}):
            await catalogue.delete("", STATES, f"{state['connection']}/{state['worker']}")
        return Response(status_code=204)


def add_routes(router: APIRouter, catalogue: Catalogue, faults: Faults) -> None:
    """Add the routes of routes."""
    shelf = Shelf(catalogue, faults, ROUTES)

    async def checked(request: Request, stored: Entry | None, **fixed: str) -> Entry:
        tenant = tenant_of(request)
        body = check(bodies.Route, {**await json_object(request), **fixed})
        entry = _unmasked(bodies.route_entry, body, stored)
        connection = entry.get("connection")
        if connection and await catalogue.get("", CONNECTIONS, key_of(tenant, connection)) is None:
            raise Problem(400, f"connection: there is no {connection}")
        shape = _shape(entry)
        where = {} if connection is None else {"tenant": tenant}
        for other in await catalogue.find("", ROUTES, where):
            if _shape(other) == shape and (other["tenant"], other["id"]) != (tenant, entry["id"]):
                whose = f"the route {other['id']}" if other["tenant"] == tenant else "a route of another tenant"
                raise Problem(409, f"{entry.get('topic') or entry['path']}: {whose} has this pattern")
        return entry

    @router.post("/routes", summary="Have messages of any topic or webhook read")
    async def create_route(request: Request) -> Response:
        entry = await checked(request, None)
        await shelf.add(tenant_of(request), entry)
        return json_answer(bodies.shown_route(entry), 201)

    @router.get("/routes", summary="The tenant's routes")
    async def list_routes(request: Request) -> Response:
        found = [bodies.shown_route(entry) for entry in await shelf.of(tenant_of(request))]
        return json_answer({"count": len(found), "routes": found})

    @router.get("/routes/{name}", summary="One route")
    async def get_route(request: Request, name: str) -> Response:
        return json_answer(bodies.shown_route(await shelf.get(tenant_of(request), name)))

    @router.put("/routes/{name}", summary="Change a route; a secret's mask keeps the secret")
    async def change_route(request: Request, name: str) -> Response:
        entry = await checked(request, await shelf.get(tenant_of(request), name), id=name)
        await shelf.put(tenant_of(request), entry)
        return json_answer(bodies.shown_route(entry))

    @router.delete("/routes/{name}", summary="Remove a route")
    async def delete_route(request: Request, name: str) -> Response:
        await shelf.remove(tenant_of(request), name)
        return Response(status_code=204)


def _unmasked(make: Callable[[Entry, Entry | None], Entry], body: Entry, stored: Entry | None) -> Entry:
    """Return an entry with the stored secrets for their masks. Raises Problem for a mask of nothing."""
    try:
        return make(body, stored)
    except MaskNotStored as error:
        raise Problem(400, str(error)) from None


def _shape(entry: Entry) -> tuple[bool, str | None, str]:
    """Return what two routes may not share."""
    return bool(entry.get("topic")), entry.get("connection"), compile_pattern(entry.get("topic") or entry["path"]).shape
