"""A tenant's devices and how they are, for people: what is provisioned, and what the health entities say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.adapters.catalogue import DEVICES
from tsunagu.adapters.health import health_entity
from tsunagu.adapters.management.credentials import shown as shown_credential
from tsunagu.adapters.mapping import VALUE_MEMBERS
from tsunagu.adapters.provisioning.store import ORDER, public

if TYPE_CHECKING:
    from tsunagu.adapters.catalogue import Entry
    from tsunagu.adapters.devices.plan import Plan
    from tsunagu.adapters.provisioning.store import ProvisioningStore
    from tsunagu.adapters.sink import Sink


async def devices_of(store: ProvisioningStore, tenant: str, *, limit: int, offset: int) -> dict[str, Any]:
    """Return how many devices a tenant has, and a page of them."""
    found = await store.catalogue.find(tenant, DEVICES, limit=limit, offset=offset, sort=ORDER)
    return {"count": await store.catalogue.count(tenant, DEVICES), "devices": [described(device) for device in found]}


def described(device: Entry) -> dict[str, Any]:
    """Return a device as it is provisioned, with the entity it has and how it is known."""
    credential = shown_credential(device)
    return {
        **public(device),
        "entity": device.get("entity") or device.get("entity_name"),
        "credentials": credential["credentials"],
        "weak": credential["weak"],
        "autoprovisioned": device.get("autoprovisioned", False),
    }


async def health_of(sink: Sink, plan: Plan) -> dict[str, Any]:
    """Return what the health entity of a device says, as plain values. Raises SinkUnavailable."""
    entity_id, _ = health_entity(plan)
    stored = await sink.read(plan.tenant, entity_id) or {}
    values = {name: _plain(instance) for name, instance in stored.items() if isinstance(instance, dict)}
    return {"deviceId": plan.device_id, "apikey": plan.apikey, "entity": entity_id, **values}


def _plain(instance: dict[str, Any]) -> Any:
    value = next((instance[member] for member in VALUE_MEMBERS if member in instance), None)
    return value["@value"] if isinstance(value, dict) and "@value" in value else value
