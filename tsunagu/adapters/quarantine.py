"""The quarantine: messages that could not be taken, with the reason, kept for a person to look at and to replay.

Of a refused picture, and of formats with personal identities (BLE adverts), only size and digest are kept. The
number of entries per tenant and reason is bounded; beyond it a message is counted and logged by its reason alone.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from tsunagu.adapters import clock
from tsunagu.adapters.catalogue import QUARANTINE, Catalogue, Entry, Faults
from tsunagu.adapters.errors import DeviceError, DeviceNotFound, ImageRefused
from tsunagu.adapters.registry import FORMATS
from tsunagu.adapters.sink import SinkUnavailable

if TYPE_CHECKING:
    from tsunagu.adapters.message import Message

LIMIT = 100_000
SHARES = {"DEVICE_NOT_FOUND": 0.2, "DEVICE_GROUP_NOT_FOUND": 0.02}  # strangers must not push out the city's own
COUNT_EVERY = 500
KEPT_BODY = 1024 * 1024

log = structlog.get_logger(__name__)


class Quarantine(Protocol):
    """Where messages go that could not be taken."""

    async def put(self, tenant: str, message: Message, error: DeviceError, *, model: str = "") -> None:
        """Keep the message durably, with the model and version that it was read by. Raises SinkUnavailable."""


def entry_of(tenant: str, message: Message, error: DeviceError) -> Entry:
    """Return the document that is kept."""
    personal = FORMATS[message.format].personal
    entry: dict[str, Any] = {
        "tenant": tenant,
        "format": message.format,
        "origin": "" if personal else message.origin,
        "named": {name: value for name, value in message.named.items() if name != "mac"},
        "contentType": message.content_type,
        "receivedAt": message.received,
        "reason": {"name": error.name, "message": str(error)},
        "size": message.too_large or len(message.body),
    }
    if message.realm is not None:
        entry["realm"] = message.realm
    if isinstance(error, DeviceNotFound) and error.device_id:
        entry["candidate"] = {"apikey": error.apikey, "deviceId": error.device_id}
    if personal or isinstance(error, ImageRefused):
        entry["sha256"] = hashlib.sha256(message.body).hexdigest()
    else:
        entry["body"] = message.body[:KEPT_BODY]
    return entry


class CatalogueQuarantine:
    """The quarantine in the catalogue."""

    def __init__(self, catalogue: Catalogue, faults: Faults, *, limit: int = LIMIT) -> None:
        self.catalogue = catalogue
        self.faults = faults
        self.limit = limit
        self._room: dict[tuple[str, str], int] = {}

    async def put(self, tenant: str, message: Message, error: DeviceError, *, model: str = "") -> None:
        """Keep the message, or, when the quarantine is full, log its reason. Raises SinkUnavailable."""
        try:
            if not await self._has_room(tenant, error.name):
                log.warning("quarantine full, message dropped", tenant=tenant, format=message.format, reason=error.name)
                return
            key = new_id(message.received)
            await self.catalogue.insert(
                tenant,
                QUARANTINE,
                key,
                {"id": key, **entry_of(tenant, message, error), **({"model": model} if model else {})},
            )
        except self.faults.unavailable as fault:
            raise SinkUnavailable(str(fault)) from None
        self._room[tenant, error.name] -= 1

    async def _has_room(self, tenant: str, reason: str) -> bool:
        """Tell whether there is room for a reason; count the entries now and then rather than each time."""
        if self._room.get((tenant, reason), 0) <= 0:
            kept = await self.catalogue.count(tenant, QUARANTINE, {"reason.name": reason})
            limit = round(self.limit * SHARES.get(reason, 1))
            self._room[tenant, reason] = min(limit - kept, COUNT_EVERY)
        return self._room[tenant, reason] > 0


def new_id(received: int) -> str:
    """Return an id that sorts by time of receipt."""
    return f"{received or clock.now():013d}-{secrets.token_hex(6)}"
