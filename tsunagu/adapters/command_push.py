"""Commands that are pushed to a device's own HTTP endpoint (iotagent-json lib/bindings/HTTPBinding.js)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tsunagu.adapters.errors import BadMeasure, DeviceError
from tsunagu.adapters.jexl import Expression, compile_expression
from tsunagu.adapters.jexl.operators import as_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tsunagu.adapters.catalogue import Entry
    from tsunagu.adapters.devices.plan import Plan

SECONDS = 5.0
SUCCESS = frozenset((200, 201))


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of a push: the answer's status and body, or the reason why there is none (status 0)."""

    status: int
    body: bytes = b""
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether the device took the command."""
        return self.status in SUCCESS

    @property
    def fault(self) -> str:
        """What is told of a push that failed."""
        return self.reason or f"the device answered {self.status}"


class Pusher(Protocol):
    """Who can post to devices; it reaches no address that the operator does not allow."""

    async def push(self, url: str, body: bytes, headers: Mapping[str, str]) -> Pushed:
        """Post, and wait at most SECONDS for the answer."""


def url_of(plan: Plan, name: str, value: object) -> str | None:
    """Return where the device takes a command, None if it has no endpoint. Raises BadMeasure, BadExpression."""
    if plan.endpoint is None:
        return None
    if isinstance(plan.endpoint, str):
        return plan.endpoint
    url = plan.endpoint.evaluate(_context(plan, name, value))
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise BadMeasure(f"endpoint: its expression gives {as_text(url)[:80]!r}, which is no URL")
    return url


def headers_of(plan: Plan, command: Entry, value: object, kind: str) -> dict[str, str]:
    """Return the headers of a pushed command: service, service path, content type, then the command's own."""
    headers = {"fiware-service": plan.tenant, "fiware-servicepath": plan.service_path, "content-type": kind}
    for name, given in (command.get("headers") or {}).items():
        headers[name.lower()] = _header(given, _context(plan, command["name"], value))
    return headers


def _header(given: object, context: Mapping[str, object]) -> str:
    """Return a header's value: what its expression gives, or the text itself if that is none."""
    if not isinstance(given, str):
        return as_text(given)
    try:
        expression: Expression = compile_expression(given)
        found = expression.evaluate(context)
    except DeviceError:
        return given
    return given if found is None else as_text(found)


def _context(plan: Plan, name: str, value: object) -> dict[str, object]:
    return {**plan.variables, "entity_name": plan.entity_id, name: value}
