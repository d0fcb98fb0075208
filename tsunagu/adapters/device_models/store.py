"""The device models that a tenant may name: those that ship, and its own.

A group or device keeps a copy of the model that it names (`template`), so that every process compiles the same plan
from one entry. A reference without version follows: a new version is copied to all that name the model so.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from tsunagu.adapters.catalogue import DEVICES, GROUPS
from tsunagu.adapters.device_models.model import ordered, reference
from tsunagu.adapters.devices.registry import device_id_of, group_id
from tsunagu.adapters.provisioning.errors import ProvisioningError, wrong_syntax
from tsunagu.adapters.sink import EntityUpdate, SinkUnavailable

if TYPE_CHECKING:
    from tsunagu.adapters.catalogue import Entry
    from tsunagu.adapters.devices.registry import CatalogueRegistry
    from tsunagu.adapters.sink import Sink

log = structlog.get_logger(__name__)

KIND = "device_models"
AT_ONCE = 16
CARD = ("brandName", "modelName", "manufacturer", "documentation")


@lru_cache(maxsize=1)
def shipped() -> tuple[Entry, ...]:
    """Return the models that ship."""
    folder = files("tsunagu.adapters.device_models") / "shipped"
    found = [orjson.loads(file.read_bytes()) for file in folder.iterdir() if file.name.endswith(".json")]
    return tuple(sorted(found, key=lambda model: str(model["id"])))


class ModelStore:
    """The models of all tenants; `sink` is where a model becomes an entity, None for nowhere."""

    def __init__(self, registry: CatalogueRegistry, sink: Sink | None = None) -> None:
        self._registry = registry
        self._catalogue = registry.catalogue
        self._sink = sink

    async def of(self, tenant: str) -> list[Entry]:
        """Return all models and versions of a tenant; its own come before those that ship under the same name."""
        own = await self._catalogue.find(tenant, KIND)
        names = {(model["id"], model["version"]) for model in own}
        return own + [model for model in shipped() if (model["id"], model["version"]) not in names]

    async def find(self, tenant: str, text: Any) -> Entry | None:
        """Return the model that a reference names, the newest version if it names none. Raises ProvisioningError."""
        name, version = reference(text)
        found = [one for one in await self.of(tenant) if one["id"] == name and version in (None, one["version"])]
        return max(found, key=lambda model: ordered(model["version"]), default=None)

    async def with_model(self, tenant: str, entry: Entry, *, publish: bool = True) -> Entry:
        """Return a device or group with a copy of the model that it names; `publish` makes that an entity.

        Raises ProvisioningError.
        """
        rest = {name: value for name, value in entry.items() if name != "template"}
        if not entry.get("model"):
            return rest
        model = await self.find(tenant, entry["model"])
        if model is None:
            known = ", ".join(sorted({one["id"] for one in await self.of(tenant)}))
            raise wrong_syntax(f"model: there is no {entry['model']}; known are {known}")
        if publish:
            await self._publish(tenant, model)
        return {**rest, "template": {name: value for name, value in model.items() if name != "golden"}}

    async def add(self, tenant: str, model: Entry) -> int:
        """Add a version of a model; return how many groups and devices follow it. Raises ProvisioningError."""
        key = f"{model['id']}@{model['version']}"
        present = await self._catalogue.get(tenant, KIND, key)
        if present is not None and present != model:
            raise ProvisioningError("DUPLICATE_MODEL", 409, f"{key} is there and differs; give it a new version")
        if present is None:
            await self._catalogue.insert(tenant, KIND, key, model)
        return await self._refresh(tenant, model["id"])

    async def remove(self, tenant: str, key: str) -> bool:
        """Remove one version; tell whether it was there. Raises ProvisioningError while somebody names that version."""
        for kind, owner, where in ((GROUPS, "", {"service": tenant}), (DEVICES, tenant, {})):
            if await self._catalogue.count(owner, kind, {**where, "model": key}):
                raise ProvisioningError("MODEL_IN_USE", 409, f"{key}: groups or devices name this version")
        gone = await self._catalogue.delete(tenant, KIND, key)
        if gone:
            await self._refresh(tenant, key.partition("@")[0])
        return gone

    async def _refresh(self, tenant: str, name: str) -> int:
        """Copy the newest version to all that name the model without one."""
        model = await self.find(tenant, name)
        if model is None:
            return 0
        groups = await self._catalogue.find("", GROUPS, {"service": tenant, "model": name})
        for group in groups:
            changed = await self.with_model(tenant, group)
            await self._catalogue.replace("", GROUPS, group_id(group["resource"], group["apikey"]), changed)
        if groups:
            self._registry.groups_changed()
        devices = await self._catalogue.find(tenant, DEVICES, {"model": name})
        gate = asyncio.Semaphore(AT_ONCE)

        async def follow(device: Entry) -> None:
            async with gate:
                key = device_id_of(device["service_path"], device.get("apikey") or "", device["device_id"])
                await self._catalogue.replace(tenant, DEVICES, key, await self.with_model(tenant, device))
                self._registry.device_changed(tenant, key)

        await asyncio.gather(*(follow(device) for device in devices))
        return len(groups) + len(devices)

    async def _publish(self, tenant: str, model: Entry) -> None:
        """Have the model be an entity of the tenant; while the broker is away that waits for whoever names it next."""
        if self._sink is None:
            return
        try:
            await self._write(self._sink, tenant, model)
        except SinkUnavailable as unavailable:
            log.warning("a device model is no entity yet", model=model["id"], reason=str(unavailable))

    @staticmethod
    async def _write(sink: Sink, tenant: str, model: Entry) -> None:
        entity_id = f"urn:ngsi-ld:DeviceModel:{model['id']}"
        stored = await sink.read(tenant, entity_id) or {}
        if stored.get("version", {}).get("value") == model["version"]:
            return
        values: dict[str, Any] = {name: model[name] for name in CARD if model.get(name)}
        values |= {"name": model["title"], "version": model["version"]}
        values["controlledProperty"] = [one["name"] for one in model.get("attributes") or ()] or [model["entity_type"]]
        attrs = {name: {"type": "Property", "value": value} for name, value in values.items()}
        await sink.write(tenant, [EntityUpdate(entity_id, "DeviceModel", attrs)])


def missing(model: Entry, device: Entry, group: Entry) -> list[str]:
    """Return what a model requires of a device and neither it nor its group gives, with what it is."""
    given = {
        one["name"]
        for entry in (device, group, model)
        for one in entry.get("static_attributes") or ()
        if one.get("value") is not None
    }
    return [
        f"{one['name']} ({one.get('description', '')})".replace(" ()", "")
        for one in model.get("requires") or ()
        if one["name"] not in given
    ]
