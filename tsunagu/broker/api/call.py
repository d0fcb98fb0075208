"""A request as the handlers see it, and what they answer with. Nothing here knows a resource."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping

    from tsunagu.broker.api.route import Route

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

JSON = "application/json"
LD_JSON = "application/ld+json"
GEO_JSON = "application/geo+json"
MERGE_PATCH = "application/merge-patch+json"

Header = tuple[bytes, bytes]


def header_table(raw: Iterable[Header]) -> dict[bytes, bytes]:
    """Return the request headers by lower-case name; values of a repeated one are joined by a comma (RFC 9110, 5.3)."""
    pairs = raw if isinstance(raw, list) else list(raw)
    table = dict(pairs)
    if len(table) == len(pairs):
        return table
    table = {}
    for name, value in pairs:
        table[name] = table[name] + b", " + value if name in table else value
    return table


class Call:
    """One request: which route it takes, its path and query parameters, headers, tenant and body.

    `path` has the decoded values of the route's path parameters in order, `params` the query parameters by name as
    their parsers returned them (only those given), `query` the query string as it came, `media` the media type that
    was negotiated for the answer (routes that produce one), `tenant` the tenant's name, "" for the default tenant.
    """

    __slots__ = ("headers", "media", "params", "path", "query", "receive", "route", "tenant")

    def __init__(
        self,
        route: Route,
        path: tuple[str, ...],
        *,
        headers: dict[bytes, bytes],
        query: bytes,
        params: dict[str, Any],
        tenant: str,
        media: str,
        receive: Receive,
    ) -> None:
        self.route = route
        self.path = path
        self.headers = headers
        self.query = query
        self.params = params
        self.tenant = tenant
        self.media = media
        self.receive = receive

    def header(self, name: bytes) -> str | None:
        """Return a request header's value as text, or None. `name` is in lower case."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


@dataclass(slots=True)
class Answer:
    """What goes back: status, body (None: none) and headers beside Content-Length and the tenant's."""

    status: int
    body: bytes | None = None
    headers: list[Header] = field(default_factory=list)
