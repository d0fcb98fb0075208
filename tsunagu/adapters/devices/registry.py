"""The device registry: which devices and groups are provisioned, kept in the catalogue, found in memory.

Groups live in the default tenant, for an apikey is what leads to a tenant; their id "resource|apikey" makes them unique
in the installation. Devices live in their own tenant under "service path|apikey|device id". All groups are in memory;
plans of devices are compiled when first needed and forgotten when anybody writes the device or its group.
Hardware addresses (12 or 16 hexadecimal digits, with or without separators) are compared without regard to case and
separators.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from tsunagu.adapters import clock
from tsunagu.adapters.catalogue import DEVICES, GROUPS, Catalogue, Entry, Faults
from tsunagu.adapters.device_models.merge import with_template
from tsunagu.adapters.devices.plan import Plan, compile_plan, settings_of
from tsunagu.adapters.errors import DeviceError, DeviceNotFound, GroupNotFound
from tsunagu.adapters.sink import SinkUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tsunagu.adapters.catalogue import Announcement
    from tsunagu.adapters.message import Measure

HARDWARE = re.compile(r"(?:[0-9A-Fa-f]{2}[:-]?){5}[0-9A-Fa-f]{2}(?:(?:[:-]?[0-9A-Fa-f]{2}){2})?")
MAX_PLANS = 200_000
MAX_UNKNOWN = 10_000
FORGET_UNKNOWN_AFTER = 2.0  # seconds
AUTOPROVISION_LIMIT = 10_000

Key = tuple[tuple[str, ...], str, str]
Introduce = Callable[[Plan], Awaitable[None]]


def canonical(device_id: str) -> str:
    """Return a device id for comparison: hardware addresses in lower case without separators."""
    if HARDWARE.fullmatch(device_id):
        return device_id.replace(":", "").replace("-", "").lower()
    return device_id


def group_id(resource: str, apikey: str) -> str:
    """Return the catalogue id of a group."""
    return f"{resource}|{apikey}"


def device_id_of(service_path: str, apikey: str, device_id: str) -> str:
    """Return the catalogue id of a device."""
    return f"{service_path}|{apikey}|{canonical(device_id)}"


class DeviceRegistry(Protocol):
    """How the pipeline finds the plan for a message."""

    def known(self, resources: tuple[str, ...], apikey: str, device_id: str) -> Plan | None:
        """Return the plan if it is in memory."""

    async def find(self, resources: tuple[str, ...], apikey: str, device_id: str) -> Plan:
        """Return the plan.

        Raises GroupNotFound, DeviceNotFound, SinkUnavailable, or another DeviceError if it cannot be compiled.
        """

    def group_of(self, resources: tuple[str, ...], apikey: str) -> Entry | None:
        """Return the group with this apikey and the first of the resources that has one."""

    def watched(self) -> AsyncIterator[Plan]:
        """Give the plans of all devices that have a health rule. Raises SinkUnavailable."""

    async def tenants(self) -> frozenset[str]:
        """Return the tenants that have groups. Raises SinkUnavailable."""

    async def keep_last(self, plan: Plan, measure: Measure, received: int) -> None:
        """Keep a device's last measure beside its provisioning (`storeLastMeasure`). Raises SinkUnavailable."""

    async def group(self, resources: tuple[str, ...], apikey: str) -> Entry:
        """Return that group, also if another process has just provisioned it. Raises GroupNotFound, SinkUnavailable."""


def _type_of(value: object) -> str:
    """Return the type that the reference notes beside a measure."""
    return "boolean" if isinstance(value, bool) else "Number" if isinstance(value, int | float) else "string"


class CatalogueRegistry:
    """The registry over the catalogue. `await load()` once before use.

    `introduce` is called with the plan of each new device; app.py sets it.
    """

    def __init__(self, catalogue: Catalogue, faults: Faults, *, autoprovision_limit: int = AUTOPROVISION_LIMIT) -> None:
        self.catalogue = catalogue
        self.faults = faults
        self.autoprovision_limit = autoprovision_limit
        self.introduce: Introduce | None = None
        self._groups: dict[str, Entry] = {}
        self._loaded = False
        self._plans: dict[Key, Plan] = {}
        self._keys_of: dict[tuple[str, str], set[Key]] = {}
        self._unknown: dict[Key, tuple[float, DeviceError]] = {}

    async def load(self) -> None:
        """Read all groups and from now on follow what others write. Raises SinkUnavailable."""
        self.catalogue.watch(frozenset((GROUPS, DEVICES)), self.heard)
        await self.reload()

    async def reload(self) -> None:
        """Read all groups again. Raises SinkUnavailable."""
        try:
            groups = await self.catalogue.find("", GROUPS)
        except self.faults.unavailable as error:
            raise SinkUnavailable(str(error)) from None
        self._groups = {group_id(group["resource"], group["apikey"]): group for group in groups}
        self._loaded = True
        self.forget_all()

    def heard(self, announcement: Announcement) -> None:
        """Forget what somebody has written."""
        if announcement.deed == "unknown" or announcement.kind == GROUPS:
            self.groups_changed()
        else:
            self.device_changed(announcement.tenant, announcement.id)

    def groups_changed(self) -> None:
        """Forget all plans and read the groups again before the next one is made."""
        self._loaded = False
        self.forget_all()

    def device_changed(self, tenant: str, entry_id: str) -> None:
        """Forget the plans of one device, and who was unknown so far."""
        self._unknown.clear()
        for key in self._keys_of.pop((tenant, entry_id), ()):
            self._plans.pop(key, None)

    def forget_all(self) -> None:
        """Forget all plans."""
        self._plans.clear()
        self._keys_of.clear()
        self._unknown.clear()

    def known(self, resources: tuple[str, ...], apikey: str, device_id: str) -> Plan | None:
        """Return the plan if it is in memory."""
        return self._plans.get((resources, apikey, device_id)) if self._loaded else None

    def group_of(self, resources: tuple[str, ...], apikey: str) -> Entry | None:
        """Return the group with this apikey and the first of the resources that has one."""
        for resource in resources:
            group = self._groups.get(f"{resource}|{apikey}")
            if group is not None:
                return group
        return None

    async def group(self, resources: tuple[str, ...], apikey: str) -> Entry:
        """Return the group of an apikey. Raises GroupNotFound, SinkUnavailable."""
        if not self._loaded:
            await self.reload()
        group = self.group_of(resources, apikey)
        if group is not None:
            return group
        key = (resources, apikey, "")
        self._refuse_if_unknown(key)
        try:
            return await self._group_from_catalogue(resources, apikey)
        except GroupNotFound as error:
            self._remember_unknown(key, error)
            raise
        except self.faults.unavailable as error:
            raise SinkUnavailable(str(error)) from None

    async def tenants(self) -> frozenset[str]:
        """Return the tenants that have groups. Raises SinkUnavailable."""
        if not self._loaded:
            await self.reload()
        return frozenset(group["service"] for group in self._groups.values())

    async def keep_last(self, plan: Plan, measure: Measure, received: int) -> None:
        """Keep a device's last measure beside its provisioning, in the reference's form. Raises SinkUnavailable."""
        values = [{"name": name, "type": _type_of(value), "value": value} for name, value in measure.values.items()]
        last = {"lastMeasure": {"timestamp": clock.iso(received), "measure": [values]}}
        try:
            for key in (plan.apikey, ""):
                entry = device_id_of(plan.service_path, key, plan.device_id)
                if await self.catalogue.change(plan.tenant, DEVICES, entry, last):
                    return
        except self.faults.unavailable as error:
            raise SinkUnavailable(str(error)) from None

    async def watched(self) -> AsyncIterator[Plan]:
        """Give the plans of all devices that have a health rule. Raises SinkUnavailable."""
        if not self._loaded:
            await self.reload()
        for group in list(self._groups.values()):
            where = {"service_path": group["subservice"], "apikey": group["apikey"]}
            try:
                devices = await self.catalogue.find(group["service"], DEVICES, where)
            except self.faults.unavailable as error:
                raise SinkUnavailable(str(error)) from None
            for device in devices:
                settings = {
                    **settings_of(group.get("internal_attributes")),
                    **settings_of(device.get("internal_attributes")),
                }
                if "health" in settings:
                    yield compile_plan(device, group)

    async def find(self, resources: tuple[str, ...], apikey: str, device_id: str) -> Plan:
        """Return the plan; a group with autoprovision creates the device. Raises what the protocol says."""
        if not self._loaded:
            await self.reload()
        key = (resources, apikey, device_id)
        self._refuse_if_unknown(key)
        group = self.group_of(resources, apikey)
        try:
            if group is None:
                group = await self._group_from_catalogue(resources, apikey)
            device = await self._device(group, apikey, device_id)
        except (GroupNotFound, DeviceNotFound) as error:
            self._remember_unknown(key, error)
            raise
        except self.faults.unavailable as error:
            raise SinkUnavailable(str(error)) from None
        plan = compile_plan(device, group)
        if len(self._plans) >= MAX_PLANS:
            self.forget_all()
        self._plans[key] = plan
        entry = (plan.tenant, device_id_of(plan.service_path, device.get("apikey") or "", device_id))
        self._keys_of.setdefault(entry, set()).add(key)
        return plan

    def _refuse_if_unknown(self, key: Key) -> None:
        until, error = self._unknown.get(key, (0.0, None))
        if error is not None and until > time.monotonic():
            raise error.with_traceback(None)

    def _remember_unknown(self, key: Key, error: DeviceError) -> None:
        if len(self._unknown) >= MAX_UNKNOWN:
            self._unknown.clear()
        self._unknown[key] = time.monotonic() + FORGET_UNKNOWN_AFTER, error

    async def _group_from_catalogue(self, resources: tuple[str, ...], apikey: str) -> Entry:
        """Look whether another process has just provisioned the group."""
        for resource in resources:
            group = await self.catalogue.get("", GROUPS, group_id(resource, apikey))
            if group is not None:
                self._groups[group_id(resource, apikey)] = group
                return group
        raise GroupNotFound(
            "Couldn't find device group for the apikey of this message; provision one with POST /iot/groups"
        )

    async def stored_device(self, group: Entry, apikey: str, device_id: str) -> Entry | None:
        """Return a device as it is provisioned, under the apikey or for its service path as a whole."""
        for key in (apikey, ""):
            entry = device_id_of(group["subservice"], key, device_id)
            device = await self.catalogue.get(group["service"], DEVICES, entry)
            if device is not None:
                return device
        return None

    async def _device(self, group: Entry, apikey: str, device_id: str) -> Entry:
        device = await self.stored_device(group, apikey, device_id)
        if device is not None:
            return device
        if group.get("autoprovision", True) is False:
            raise DeviceNotFound(f"Device not found with ID [{device_id}]", apikey=apikey, device_id=device_id)
        return await self._autoprovision(group, apikey, device_id)

    async def _autoprovision(self, group: Entry, apikey: str, device_id: str) -> Entry:
        tenant, path = group["service"], group["subservice"]
        known = await self.catalogue.count(tenant, DEVICES, {"apikey": apikey, "autoprovisioned": True})
        if known >= self.autoprovision_limit:
            raise DeviceNotFound(
                f"Device not found with ID [{device_id}]: "
                f"the group has provisioned {known} devices by itself, the most it may",
                apikey=apikey,
                device_id=device_id,
            )
        device = {
            "device_id": device_id,
            "canonical": canonical(device_id),
            "created": clock.now(),
            "apikey": apikey,
            "service": tenant,
            "service_path": path,
            "entity_type": with_template(group)["entity_type"],
            "autoprovisioned": True,
        }
        device["entity"] = compile_plan(device, group).entity_id
        entry = device_id_of(path, apikey, device_id)
        try:
            await self.catalogue.insert(tenant, DEVICES, entry, device)
        except self.faults.already_exists:
            return await self.catalogue.get(tenant, DEVICES, entry) or device
        if self.introduce is not None:
            await self.introduce(compile_plan(device, group))
        return device
