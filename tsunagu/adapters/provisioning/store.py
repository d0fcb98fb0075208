"""Writing and reading devices and groups for the provisioning API; what goes in and out has the API's own form.

All checks come before the first write, so that a body with one wrong device changes nothing.
Every write is told to the registry of this process at once; other processes hear of it from the catalogue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from tsunagu.adapters import clock, metrics
from tsunagu.adapters.catalogue import DEVICES, GROUPS, Entry
from tsunagu.adapters.device_models.merge import with_template
from tsunagu.adapters.device_models.store import ModelStore, missing
from tsunagu.adapters.devices.plan import compile_plan
from tsunagu.adapters.devices.registry import CatalogueRegistry, canonical, device_id_of, group_id
from tsunagu.adapters.provisioning import errors
from tsunagu.adapters.provisioning.bodies import check_plan
from tsunagu.adapters.sink import SinkUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tsunagu.adapters.devices.plan import Plan
    from tsunagu.adapters.sink import Sink

log = structlog.get_logger(__name__)

ORDER = (("created", 1), ("place", 1))
OURS = frozenset(("created", "place", "canonical", "autoprovisioned", "entity", "credentials", "template"))
FIRST = ("device_id", "resource", "apikey", "service", "service_path", "subservice", "entity_name", "entity_type")
DEFAULT_TYPE = "Thing"
ALL_PATHS = "/*"


class ProvisioningStore:
    """The devices and groups of all services."""

    def __init__(self, registry: CatalogueRegistry, sink: Sink | None = None) -> None:
        self.registry = registry
        self.catalogue = registry.catalogue
        self.models = ModelStore(registry, sink)

    # Groups.

    async def create_groups(self, service: str, path: str, groups: Sequence[Entry]) -> None:
        """Add groups. Raises ProvisioningError: mandatory members, duplicates."""
        seen = set()
        groups = [await self.models.with_model(service, group) for group in groups]
        for group in groups:
            if not with_template(group).get("entity_type"):
                raise errors.missing_config_params(["type"])
            check_plan({}, group)
            key = group_id(group["resource"], group["apikey"])
            if key in seen or await self.catalogue.get("", GROUPS, key) is not None:
                raise errors.duplicate_group(group)
            seen.add(key)
        for place, group in enumerate(groups):
            entry = {**group, "service": service, "subservice": path, "created": clock.now(), "place": place}
            await self._insert_group(entry)

    async def _insert_group(self, group: Entry) -> None:
        try:
            await self.catalogue.insert("", GROUPS, group_id(group["resource"], group["apikey"]), group)
        except self.registry.faults.already_exists:
            raise errors.duplicate_group(group) from None
        self.registry.groups_changed()

    async def groups(
        self, service: str, path: str, *, limit: int, offset: int, where: dict[str, str]
    ) -> tuple[int, list[Entry]]:
        """Return how many groups there are, and a page of them; service path "/*" means all of the service."""
        condition: Entry = {"service": service, **where}
        if path != ALL_PATHS:
            condition["subservice"] = path
        found = await self.catalogue.find("", GROUPS, condition, limit=limit, offset=offset, sort=ORDER)
        return await self.catalogue.count("", GROUPS, condition), [public(group) for group in found]

    async def change_group(self, service: str, path: str, resource: str, apikey: str, *, changes: Entry) -> None:
        """Change members of a group. Raises ProvisioningError: not found, another service's, duplicate."""
        old = await self._own_group(service, path, resource, apikey)
        new = {**old, **changes, "service": old["service"], "subservice": old["subservice"]}
        if "model" in changes:
            new = await self.models.with_model(service, new)
        if not with_template(new).get("entity_type"):
            raise errors.missing_config_params(["type"])
        check_plan({}, new)
        if (new["resource"], new["apikey"]) == (resource, apikey):
            await self.catalogue.replace("", GROUPS, group_id(resource, apikey), new)
            self.registry.groups_changed()
            return
        await self._insert_group(new)
        await self.catalogue.delete("", GROUPS, group_id(resource, apikey))

    async def delete_group(self, service: str, path: str, resource: str, apikey: str, *, with_devices: bool) -> None:
        """Remove a group, and if asked for the devices of its service path. Raises ProvisioningError: not found."""
        await self._own_group(service, path, resource, apikey)
        if with_devices:
            for device in await self.catalogue.find(service, DEVICES, {"service_path": path}):
                await self._delete(service, device)
        await self.catalogue.delete("", GROUPS, group_id(resource, apikey))
        self.registry.groups_changed()

    async def _own_group(self, service: str, path: str, resource: str, apikey: str) -> Entry:
        group = await self.catalogue.get("", GROUPS, group_id(resource, apikey))
        if group is None:
            raise errors.group_not_found(resource, apikey)
        if group["service"] != service or group["subservice"] != path:
            raise errors.mismatched_service()
        return group

    # Devices.

    async def create_devices(self, service: str, path: str, devices: Sequence[Entry]) -> None:
        """Add devices. Raises ProvisioningError: mandatory members, duplicates, mappings that cannot work."""
        entries: dict[str, Entry] = {}
        for place, device in enumerate(devices):
            if not device.get("device_id"):
                raise errors.missing_attributes(["device_id"], device)
            key = device_id_of(path, device.get("apikey") or "", device["device_id"])
            if key in entries or await self.catalogue.get(service, DEVICES, key) is not None:
                raise errors.duplicate_device(device["device_id"])
            entries[key] = {**await self._completed(service, path, device), "place": place}
        for key, entry in entries.items():
            try:
                await self.catalogue.insert(service, DEVICES, key, entry)
            except self.registry.faults.already_exists:
                raise errors.duplicate_device(entry["device_id"]) from None
            self.registry.device_changed(service, key)
            metrics.DEVICE_REQUESTS.labels("create").inc()
            await self._introduce(service, path, entry)

    @staticmethod
    def _check_required(device: Entry, group: Entry) -> None:
        """Raise ProvisioningError for a device that lacks what its model needs to know."""
        model: Entry = device.get("template") or group.get("template") or {}
        lacking = missing(model, device, group)
        if lacking:
            raise errors.wrong_syntax(f"static_attributes: {model['id']} needs {', '.join(lacking)}")

    async def _introduce(self, service: str, path: str, entry: Entry) -> None:
        """Have a device's entity show its commands; while the broker is away, that waits for the next start."""
        if self.registry.introduce is None:
            return
        try:
            await self.registry.introduce(compile_plan(entry, await self._group_for(service, path, entry) or {}))
        except SinkUnavailable as unavailable:
            log.warning("a device's commands are not on its entity yet", reason=str(unavailable))

    async def plan(self, service: str, path: str, device_id: str, apikey: str | None) -> Plan:
        """Return the plan of a device. Raises ProvisioningError: not found; DeviceError if it cannot be compiled."""
        device = await self._find(service, path, device_id, apikey)
        return compile_plan(device, await self._group_for(service, path, device) or {})

    async def check_device(self, service: str, path: str, device: Entry) -> None:
        """Raise the ProvisioningError that creating the device would."""
        key = device_id_of(path, device.get("apikey") or "", device["device_id"])
        if await self.catalogue.get(service, DEVICES, key) is not None:
            raise errors.duplicate_device(device["device_id"])
        await self._completed(service, path, device)

    async def _completed(self, service: str, path: str, device: Entry) -> Entry:
        """Return the device with what its group says of entity type and name, as the reference stores it."""
        group = await self._group_for(service, path, device) or {}
        given = {name: value for name, value in device.items() if name not in OURS}
        given = await self.models.with_model(service, given)
        self._check_required(given, group)
        entry = {**given, "service": service, "service_path": path, "created": clock.now()}
        entry["canonical"] = canonical(device["device_id"])
        kinds = (with_template(given).get("entity_type"), with_template(group).get("entity_type"))
        entry["entity_type"] = next((kind for kind in kinds if kind), DEFAULT_TYPE)
        check_plan(entry, group)
        entry["entity"] = compile_plan(entry, group).entity_id
        if not device.get("entity_name") and not group.get("entityNameExp"):
            entry["entity_name"] = entry["entity"]
        return entry

    async def _group_for(self, service: str, path: str, device: Entry) -> Entry | None:
        where: Entry = {"service": service, "subservice": path}
        if device.get("apikey"):
            where["apikey"] = device["apikey"]
        elif device.get("entity_type"):
            where["entity_type"] = device["entity_type"]
        else:
            return None
        found = await self.catalogue.find("", GROUPS, where, limit=1)
        return found[0] if found else None

    async def devices(self, service: str, path: str, *, limit: int, offset: int) -> tuple[int, list[Entry]]:
        """Return how many devices there are, and a page of them."""
        condition: Entry = {} if path == ALL_PATHS else {"service_path": path}
        found = await self.catalogue.find(service, DEVICES, condition, limit=limit, offset=offset, sort=ORDER)
        return await self.catalogue.count(service, DEVICES, condition), [public(device) for device in found]

    async def device(self, service: str, path: str, device_id: str, apikey: str | None) -> Entry:
        """Return one device. Raises ProvisioningError: not found."""
        return public(await self._find(service, path, device_id, apikey))

    async def stored(self, service: str, path: str, device_id: str, apikey: str | None) -> Entry:
        """Return one device as it is kept. Raises ProvisioningError: not found."""
        return await self._find(service, path, device_id, apikey)

    async def change_device(
        self, service: str, path: str, device_id: str, apikey: str | None, *, changes: Entry
    ) -> None:
        """Change members of a device. Raises ProvisioningError: not found, duplicate, a mapping that cannot work."""
        if "device_id" in changes:
            raise errors.bad_request("Can't change the ID of a preprovisioned device")
        old = await self._find(service, path, device_id, apikey)
        new = {**old, **changes}
        if new.get("lastMeasure") == {}:
            del new["lastMeasure"]
        if "model" in changes:
            new = await self.models.with_model(service, new)
        group = await self._group_for(service, path, new) or {}
        self._check_required(new, group)
        check_plan(new, group)
        new["entity"] = compile_plan(new, group).entity_id
        before = device_id_of(path, old.get("apikey") or "", old["device_id"])
        after = device_id_of(path, new.get("apikey") or "", new["device_id"])
        if after != before and await self.catalogue.get(service, DEVICES, after) is not None:
            raise errors.duplicate_device(device_id)
        await self.catalogue.replace(service, DEVICES, after, new)
        if after != before:
            await self.catalogue.delete(service, DEVICES, before)
        self.registry.device_changed(service, before)
        self.registry.device_changed(service, after)
        await self._introduce(service, path, new)

    async def delete_device(self, service: str, path: str, device_id: str, apikey: str | None) -> None:
        """Remove a device. Raises ProvisioningError: not found."""
        await self._delete(service, await self._find(service, path, device_id, apikey))

    async def _delete(self, service: str, device: Entry) -> None:
        key = device_id_of(device["service_path"], device.get("apikey") or "", device["device_id"])
        await self.catalogue.delete(service, DEVICES, key)
        self.registry.device_changed(service, key)
        metrics.DEVICE_REQUESTS.labels("remove").inc()

    async def _find(self, service: str, path: str, device_id: str, apikey: str | None) -> Entry:
        where: dict[str, Any] = {"service_path": path, "canonical": canonical(device_id)}
        if apikey:
            where["apikey"] = apikey
        found = await self.catalogue.find(service, DEVICES, where, limit=1)
        if not found:
            given = {"id": device_id, "service": service, "subservice": path, **({"apikey": apikey} if apikey else {})}
            raise errors.device_not_found(device_id, given)
        return found[0]


def public(entry: Entry) -> Entry:
    """Return an entry as the API shows it."""
    first = {name: entry[name] for name in FIRST if name in entry}
    return first | {name: value for name, value in entry.items() if name not in OURS and value is not None}
