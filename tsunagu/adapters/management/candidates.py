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
    from collections.abc import Mapping, Sequence

    from tsunagu.adapters.pipeline import Pipeline
    from tsunagu.adapters.provisioning.store import ProvisioningStore

MAX_ENTRIES = 20_000
ALIKE = 0.3  # the share of keys that a model and a message have in common
MOST_GUESSES = 3
UNKNOWN = {"reason.name": "DEVICE_NOT_FOUND"}


async def candidates(catalogue: Catalogue, tenant: str, models: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return the devices that are not admitted, those that sent most first, with the models that they resemble."""
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
    groups = await catalogue.find("", GROUPS, {"service": tenant})
    types = {group["apikey"]: group.get("entity_type") for group in reversed(groups)}
    for one in found.values():
        one["sample"] = sample(one.pop("_last"))
        one["entityType"] = types.get(one["apikey"])
        one["modelsLike"] = models_like(one["sample"] or {}, models)
    return sorted(found.values(), key=lambda one: -one["count"])


def models_like(values: Mapping[str, Any], models: Sequence[Entry]) -> list[str]:
    """Return the device models whose attributes are about those of a message, the most alike first: guesses."""
    alike: list[tuple[float, str]] = []
    for model in models:
        keys = {one.get("object_id") or one["name"] for one in model.get("attributes") or ()}
        share = len(keys & values.keys()) / len(keys | values.keys()) if keys else 0.0
        if share >= ALIKE:
            alike.append((-share, f"{model['id']}@{model['version']}"))
    return [name for _, name in sorted(alike)[:MOST_GUESSES]]


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
