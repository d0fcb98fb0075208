"""The ASGI application that serves every resource under /ngsi-ld/v1 from the route table.

It finds the route, checks what can be checked before the operation is known (length and type of the body, tenant
name, parameters, Accept), calls the handler, and turns whatever comes out into a response. 405 with Allow, OPTIONS
and HEAD follow from the table.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from tsunagu.asgi import client_gone, send_whole
from tsunagu.broker.api.bodies import check_coding, check_length, read_body
from tsunagu.broker.api.call import Answer, Call, header_table
from tsunagu.broker.api.intake import SMALL
from tsunagu.broker.api.negotiation import is_linked_data, negotiate
from tsunagu.broker.api.params import read_query
from tsunagu.broker.api.problems import ClientGone, MethodNotAllowed, fault_answer, problem_answer
from tsunagu.broker.api.tenants import tenant_name
from tsunagu.broker.errors import BadRequestData, NgsiError, NonexistentTenant, ResourceNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tsunagu.broker.api.call import Message, Receive, Scope, Send
    from tsunagu.broker.api.route import Route
    from tsunagu.broker.api.services import Services

ROOT = "/ngsi-ld/v1"
ROOT_BYTES = b"/ngsi-ld/v1/"
WITH_BODY = frozenset({"POST", "PATCH", "PUT"})
WITHOUT_LENGTH = frozenset({204, 304})  # 6.3.6; RFC 9110, 8.6


class Node:
    """A step on the way through a path: the fixed names and the parameter that may follow, the routes that end here."""

    __slots__ = ("names", "parameter", "routes")

    def __init__(self) -> None:
        self.names: dict[bytes, Node] = {}
        self.parameter: Node | None = None
        self.routes: dict[str, Route] = {}

    def allowed(self) -> str:
        """Return the Allow header: the methods of the routes that end here, and those that HTTP adds."""
        methods = [*self.routes, *(["HEAD"] if "GET" in self.routes else []), "OPTIONS"]
        return ", ".join(sorted(methods))


def build_tree(routes: Iterable[Route]) -> Node:
    """Return the tree of a route table. Raises ValueError if two rows have the same method and path."""
    root = Node()
    for route in routes:
        node = root
        for name in route.path.strip("/").split("/"):
            if name.startswith("{"):
                node.parameter = node.parameter or Node()
                node = node.parameter
            else:
                node = node.names.setdefault(name.encode(), Node())
        if route.method in node.routes:
            raise ValueError(f"{route.method} {route.path} stands twice in the route table")
        node.routes[route.method] = route
    return root


def walk(root: Node, path: bytes) -> tuple[Node, tuple[str, ...], bool]:
    """Return the node at a raw path below ROOT, the values of its parameters, and whether the path ends in a slash.

    Raises ResourceNotFound when no route has such a path, BadRequestData when a parameter is missing or malformed.
    """
    parts = path.split(b"/")
    slash = parts[-1] == b""
    if slash:
        parts.pop()
    if b"://" in path:
        parts = with_whole_uris(parts)
    node = root
    values: list[str] = []
    for part in parts[1:]:
        following = node.names.get(part)
        if following is None:
            following = node.parameter
            if following is None:
                raise ResourceNotFound(f"there is no resource {ROOT}{path.decode('latin-1')[:200]}")
            values.append(segment(part))
        node = following
    if not node.routes and not slash:
        raise ResourceNotFound(f"there is no resource {ROOT}{path.decode('latin-1')[:200]}")
    return node, tuple(values), slash


def with_whole_uris(parts: list[bytes]) -> list[bytes]:
    """Return the parts of a path, those of a URI that was not percent-encoded as one: up to "attrs", or to the end."""
    found: list[bytes] = []
    rest = list(parts)
    while rest:
        part = rest.pop(0)
        if part.endswith(b":") and rest and not rest[0]:
            end = rest.index(b"attrs") if b"attrs" in rest and found[-1] == b"entities" else len(rest)
            part = b"/".join([part, *rest[:end]])
            del rest[:end]
        found.append(part)
    return found


def segment(part: bytes) -> str:
    """Return a path segment decoded. Raises BadRequestData if it is empty or not UTF-8."""
    if not part:
        raise BadRequestData("the path has an empty segment where an id is expected")
    try:
        return (unquote_to_bytes(part) if b"%" in part else part).decode()
    except UnicodeDecodeError:
        raise BadRequestData("the path is not UTF-8 after percent-decoding") from None


class Api:
    """The ASGI application for everything under /ngsi-ld/v1."""

    def __init__(self, services: Services, routes: Iterable[Route]) -> None:
        self.services = services
        self.routes = tuple(routes)
        self._tree = build_tree(self.routes)
        self._traffic = services.traffic

    @staticmethod
    def serves(scope: Scope) -> bool:
        """Return whether a request belongs here."""
        return bool(scope["type"] == "http" and scope["path"].startswith("/ngsi-ld/"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        started = perf_counter()
        headers = header_table(scope["headers"])
        operation = "none"
        tenant = b""
        try:
            route, path = self._find(scope)
            operation = route.operation
            if route.method in WITH_BODY:
                check_length(headers.get(b"content-length"), self.services.settings.max_body)
                is_linked_data(headers.get(b"content-type"), route.method)
                check_coding(headers.get(b"content-encoding"))
            tenant = headers.get(b"ngsild-tenant") or headers.get(b"fiware-service") or b""
            call = Call(
                route,
                path,
                headers=headers,
                query=scope["query_string"],
                params=read_query(route, scope["query_string"]),
                tenant=tenant_name(headers.get(b"ngsild-tenant"), headers.get(b"fiware-service")) if tenant else "",
                media=negotiate(headers.get(b"accept") or b"*/*", route.produces) if route.produces else "",
                receive=receive,
            )
            if tenant and route.tenant != "any":
                await self._check_tenant(route, call.tenant)
            large = route.method in WITH_BODY and int(headers[b"content-length"]) > SMALL
            answer = await (self._in_turn(call, scope) if large else route.handler(call, self.services))
        except Options as options:
            answer = Answer(204, None, [(b"allow", options.allowed)])
        except NgsiError as error:
            answer = problem_answer(error)
        except Exception as error:  # noqa: BLE001 - the outermost frame: whatever got here is a fault of ours
            answer = fault_answer(operation, error)
        if tenant:
            answer.headers.append((b"ngsild-tenant", tenant))
        self.services.origin.amend(answer, headers)
        await respond(scope, send, answer)
        self._traffic.record(operation, answer.status, perf_counter() - started)

    async def _in_turn(self, call: Call, scope: Scope) -> Answer:
        """Run the operation once its body is there, and there is room to work on it. Raises what the operation does.

        If the client has gone meanwhile, nothing is done (ClientGone): it may have sent the same again since.
        """
        body = await read_body(call.receive, self.services.settings.max_body)

        async def receive() -> Message:
            return {"type": "http.request", "body": body}

        call.receive = receive
        async with self.services.intake.room(len(body)):
            if client_gone(scope):
                raise ClientGone("the client closed the connection while its request waited")
            return await call.route.handler(call, self.services)

    async def _check_tenant(self, route: Route, tenant: str) -> None:
        """Raise NonexistentTenant for an unknown tenant, unless the operation brings it into being (5.5.10)."""
        if not tenant or (route.tenant == "new" and self.services.settings.auto_tenants):
            return
        if not await self.services.tenant_exists(tenant):
            raise NonexistentTenant(f"there is no tenant {tenant}; creating an entity in it makes one")

    def _find(self, scope: Scope) -> tuple[Route, tuple[str, ...]]:
        """Return the route of a request and its path parameters. Raises NgsiError; Options for an OPTIONS request."""
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        if not raw.startswith(ROOT_BYTES):
            raise ResourceNotFound(f"there is no resource {raw.decode('latin-1')[:200]}; the API is at {ROOT}")
        node, values, slash = walk(self._tree, raw.partition(b"?")[0][len(ROOT) :])
        method: str = scope["method"]
        route = node.routes.get(method)
        if route is not None:
            return route, values
        if method == "HEAD" and "GET" in node.routes:
            return node.routes["GET"], values
        if not node.routes:
            raise ResourceNotFound(f"there is no resource {raw.decode('latin-1')[:200]}")
        if method == "OPTIONS":
            raise Options(node.allowed().encode())
        if slash and node.parameter is not None:
            item = node.parameter.routes.get(method)
            if item is not None and item.needs_id:
                raise BadRequestData(f"the path ends where an id is expected: {item.path}")
        allowed = node.allowed()
        raise MethodNotAllowed(f"{method[:20]} is not possible here; possible are {allowed}", allowed)


class Options(Exception):
    """The request asks for the methods of a resource."""

    def __init__(self, allowed: bytes) -> None:
        super().__init__()
        self.allowed = allowed


async def respond(scope: Scope, send: Send, answer: Answer) -> None:
    """Send an answer."""
    body = answer.body or b""
    headers = answer.headers
    if answer.status not in WITHOUT_LENGTH:
        headers.append((b"content-length", b"%d" % len(body)))
    await send_whole(scope, send, answer.status, headers, body)
