"""Devices that sent messages and are not admitted: how often, since when, what they say; and admitting them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.adapters import clock
from tsunagu.adapters.catalogue import GROUPS, QUARANTINE, Catalogue, Entry
from tsunagu.adapters.errors import DeviceError
from tsunagu.adapters.management.quarantined import message_of, replay
from tsunagu.adapters.message import Measure
from tsunagu.adapters.registry import FORMATS

if TYPE_CHECKING:
    from tsunagu.adapters.pipeline import Pipeline
    from tsunagu.adapters.provisioning.store import ProvisioningStore

MAX_ENTRIES = 20_000
UNKNOWN = {"reason.name": "DEVICE_NOT_FOUND"}


async def candidates(catalogue: Catalogue, tenant: str) -> list[dict[str, Any]]:
    """Return the devices that are not admitted, those that sent most first."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    entries = await catalogue.find(tenant, QUARANTINE, UNKNOWN, limit=MAX_ENTRIES, sort=(("id", 1),))
    for entry in entries:
        who = entry.get("candidate")
        if who is None:
            continue
        received = clock.iso(entry["receivedAt"])
        one = found.setdefault(
            (who["apikey"], who["deviceId"]),
            {
                "apikey": who["apikey"],
                "deviceId": who["deviceId"],
                "format": entry["format"],
                "count": 0,
                "firstSeen": received,
            },
        )
        one["count"] += 1
        one["lastSeen"] = received
        one["_last"] = entry
    for one in found.values():
        one["sample"] = sample(one.pop("_last"))
        one["entityType"] = await _entity_type(catalogue, tenant, one["apikey"])
    return sorted(found.values(), key=lambda one: -one["count"])


async def _entity_type(catalogue: Catalogue, tenant: str, apikey: str) -> str | None:
    groups = await catalogue.find("", GROUPS, {"apikey": apikey, "service": tenant}, limit=1)
    return groups[0].get("entity_type") if groups else None


def sample(entry: Entry) -> dict[str, Any] | None:
    """Return the values of a candidate's message, None if they cannot be read."""
    message = message_of(entry)
    row = FORMATS[entry["format"]]
    if message is None or row.configured or row.personal:
        return None
    try:
        readings = row.decode(message)
    except DeviceError:
        return None
    return next((reading.values for reading in readings if isinstance(reading, Measure)), None)


async def admit(pipeline: Pipeline, store: ProvisioningStore, tenant: str, devices: list[Entry]) -> dict[str, Any]:
    """Provision candidates and replay their messages. Raises ProvisioningError, SinkUnavailable."""
    catalogue = store.catalogue
    for device in devices:
        groups = await catalogue.find("", GROUPS, {"apikey": device["apikey"], "service": tenant}, limit=1)
        path = groups[0]["subservice"] if groups else "/"
        await store.create_devices(tenant, path, [device])
    results = [
        await replay(
            pipeline,
            catalogue,
            tenant,
            {"candidate.apikey": device["apikey"], "candidate.deviceId": device["device_id"]},
        )
        for device in devices
    ]
    return {
        "admitted": len(devices),
        "replayed": sum(result["replayed"] for result in results),
        "failed": [failure for result in results for failure in result["failed"]],
    }
