"""A route at work: from a message on its topic or path to one that its format's codec reads."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tsunagu.adapters import json_body
from tsunagu.adapters.connections.bodies import digest
from tsunagu.adapters.connections.patterns import Pattern, compile_pattern
from tsunagu.adapters.errors import BadPayload, DeviceError, MissingParameters, NotAllowed
from tsunagu.adapters.jexl.operators import as_text
from tsunagu.adapters.message import Message
from tsunagu.adapters.registry import FORMATS
from tsunagu.adapters.tabular.codec import pick

if TYPE_CHECKING:
    from collections.abc import Mapping

INDEX = re.compile(r"\[(\d+)\]")
IDENTITIES = ("apikey", "device")


@dataclass(frozen=True, slots=True)
class Route:
    """A compiled route: what it matches, whose it is, and where apikey and device stand."""

    id: str
    tenant: str
    format: str
    pattern: Pattern
    is_hook: bool
    connection: str | None
    identities: tuple[tuple[str, str | dict[str, str]], ...]
    named: Mapping[str, str]
    require: Mapping[str, str] | None

    def message(
        self, parts: dict[str, str], body: bytes, origin: str, *, received: int, headers: Mapping[str, str]
    ) -> Message:
        """Return the message; one whose device cannot be told carries its error in `fault`."""
        named = {**parts, **self.named}
        fault: DeviceError | None = None
        try:
            for name, place in self.identities:
                named[name] = self._identity(name, place, parts, body, headers)
            self._complete(named)
        except DeviceError as error:
            fault = error
        return Message(
            self.format,
            body,
            received,
            named,
            origin,
            headers.get("content-type", ""),
            realm=self.tenant,
            fault=fault,
        )

    def check(self, headers: Mapping[str, str]) -> None:
        """Raise NotAllowed unless the headers show what the route requires."""
        if self.require is None:
            return
        given = headers.get(self.require["header"].lower(), "")
        if not hmac.compare_digest(digest(given), self.require["digest"]):
            raise NotAllowed(f"the header {self.require['header']} does not show what this path requires")

    @staticmethod
    def _identity(
        name: str, place: str | dict[str, str], parts: Mapping[str, str], body: bytes, headers: Mapping[str, str]
    ) -> str:
        if isinstance(place, str):
            return re.sub(r"\{(\w+)\}", lambda match: parts[match[1]], place)
        if place.get("header"):
            value: Any = headers.get(place["header"].lower())
            where = f"the header {place['header']}"
        else:
            where = place["json"]
            value = pick(json_body.parse(body), INDEX.sub(r".\1", where).removeprefix("$").lstrip("."))
        if value is None or isinstance(value, dict | list | bool) or value == "":
            raise BadPayload(f"{where} does not give the {name}")
        return as_text(value)

    def _complete(self, named: Mapping[str, str]) -> None:
        """Raise MissingParameters for an identity that the format cannot read itself."""
        needs = FORMATS[self.format].needs
        missing = [name for key, name in (("k", "apikey"), ("i", "device")) if key in needs and not named.get(name)]
        if missing:
            raise MissingParameters(f"the route {self.id} does not say the {' and the '.join(missing)}")


def compile_route(entry: Mapping[str, Any]) -> Route:
    """Return a route that is kept, compiled."""
    return Route(
        id=entry["id"],
        tenant=entry["tenant"],
        format=entry["format"],
        pattern=compile_pattern(entry.get("topic") or entry["path"]),
        is_hook=not entry.get("topic"),
        connection=entry.get("connection"),
        identities=tuple((name, entry[name]) for name in IDENTITIES if entry.get(name) is not None),
        named=entry.get("named") or {},
        require=entry.get("require"),
    )
