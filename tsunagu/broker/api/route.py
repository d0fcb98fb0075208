"""One row of the route table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from tsunagu.broker.api.call import Answer, Call
from tsunagu.broker.api.services import Services

Handler = Callable[[Call, Services], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """An operation: method and path, who handles it, what it takes and gives. OpenAPI is made from these rows.

    `path` is relative to /ngsi-ld/v1, with {name} for a path parameter. `parameters` names query parameters of
    params.py; `options` and `formats` are the words that the parameters `options` and `format` may hold.
    `takes` names the schema of the request body, `gives` that of the answer (openapi.py), None if there is none.
    `produces` lists the media types that the Accept header chooses from; empty: the Accept header does not matter.
    `tenant` says what becomes of a tenant that does not exist: "known" refuses it, "new" is an operation that brings it
    into being (5.5.10), "any" does not look.
    `needs_id` makes a request whose path ends where the id should follow BadRequestData instead of 405.
    """

    method: str
    path: str
    handler: Handler
    clause: str
    operation: str
    summary: str
    parameters: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    takes: str | None = None
    gives: str | None = None
    produces: tuple[str, ...] = ()
    statuses: tuple[int, ...] = (200,)
    tenant: Literal["known", "new", "any"] = "known"
    needs_id: bool = False
    allowed: frozenset[str] = field(init=False)
    words: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Work out the names of all query parameters, and the words that `options` may hold."""
        names = set(self.parameters)
        if self.options or self.formats:
            names.add("options")
        if self.formats:
            names.add("format")
        object.__setattr__(self, "allowed", frozenset(names))
        object.__setattr__(self, "words", (*self.options, *self.formats))
