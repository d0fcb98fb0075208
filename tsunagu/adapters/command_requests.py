"""Commands as applications of FIWARE give them: by writing the command's attribute of the device's entity.

An update of a lazy attribute is passed on in the same way.

Whoever watches the entities (app.py) asks `names` which attributes are commands, and calls `request` for each write of
one. A write is known by its time, so that the same write, seen twice, is one command. `introduce` puts the commands'
attributes on a new device's entity, for what is not there cannot be updated.
"""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from tsunagu.adapters.catalogue import DEVICES, GROUPS
from tsunagu.adapters.devices.plan import compile_plan
from tsunagu.adapters.errors import DeviceError
from tsunagu.adapters.lazy import lazy_command
from tsunagu.adapters.sink import EntityUpdate, SinkUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from tsunagu.adapters.catalogue import Announcement, Entry
    from tsunagu.adapters.commands import Commands
    from tsunagu.adapters.devices.plan import Plan
    from tsunagu.adapters.devices.registry import CatalogueRegistry

UNKNOWN = "UNKNOWN"
WITH_COMMANDS = {"commands.0": {"$exists": True}}
WITH_LAZY = {"lazy.0": {"$exists": True}}

log = structlog.get_logger(__name__)


class CommandRequests:
    """Which attributes are commands, and what becomes of a write. `await load()` once before use."""

    def __init__(self, registry: CatalogueRegistry, commands: Commands) -> None:
        self._registry = registry
        self._catalogue = registry.catalogue
        self._commands = commands
        self._of_devices: dict[str, set[str]] = {}
        self._lazy: dict[str, set[str]] = {}
        self._lazy_keys: dict[str, set[str]] = {}
        self._following: set[asyncio.Task[None]] = set()

    async def load(self, tenants: Iterable[str]) -> None:
        """Read which commands there are, and follow what others write. Raises the catalogue's fault when it is away."""
        self._catalogue.watch(frozenset((DEVICES, GROUPS)), self._heard)
        for tenant in tenants:
            await self._read(tenant)

    async def _read(self, tenant: str) -> None:
        found: set[str] = set()
        for kind, owner, where in ((DEVICES, tenant, {}), (GROUPS, "", {"service": tenant})):
            for member, some in (("commands", WITH_COMMANDS), ("lazy", WITH_LAZY)):
                for entry in await self._catalogue.find(owner, kind, {**where, **some}):
                    found.update(one["name"] for one in entry[member])
                    self._note_lazy(tenant, entry)
        keys = self._lazy_keys.get(tenant)
        if keys:
            for device in await self._catalogue.find(tenant, DEVICES, {"apikey": {"$in": sorted(keys)}}):
                self._note_lazy(tenant, device)
        self._of_devices[tenant] = found

    def _note_lazy(self, tenant: str, entry: Entry) -> None:
        """Note that an entity has lazy attributes, by its device or by the device's group."""
        if "device_id" not in entry:
            if entry.get("lazy"):
                self._lazy_keys.setdefault(tenant, set()).add(entry["apikey"])
        elif entry.get("lazy") or entry.get("apikey") in self._lazy_keys.get(tenant, ()):
            self._lazy.setdefault(tenant, set()).add(entry["entity"])

    def is_lazy(self, tenant: str, entity_id: str) -> bool:
        """Tell whether an entity has lazy attributes; it may have had them."""
        return entity_id in self._lazy.get(tenant, ())

    def forget_lazy(self, tenant: str, entity_id: str) -> None:
        """Note that an entity has no lazy attributes any more."""
        self._lazy.get(tenant, set()).discard(entity_id)

    def _heard(self, announcement: Announcement) -> None:
        """Read again what somebody has changed; a device's or group's id leads to it."""
        task = asyncio.get_running_loop().create_task(self._follow(announcement))
        self._following.add(task)
        task.add_done_callback(self._following.discard)

    async def _follow(self, announcement: Announcement) -> None:
        try:
            if announcement.deed == "unknown":
                for tenant in list(self._of_devices):
                    await self._read(tenant)
            elif announcement.deed != "deleted":
                entry = await self._catalogue.get(announcement.tenant, announcement.kind, announcement.id) or {}
                if announcement.kind == GROUPS and entry.get("lazy"):
                    await self._read(entry["service"])
                self.note(entry)
        except Exception as error:  # noqa: BLE001 - the store may be away in any way; it is told "unknown" when it is back
            log.warning("commands not read", reason=str(error)[:200])

    def note(self, entry: Entry) -> None:
        """Note the commands and lazy attributes of a device or group that was just written."""
        names = {one["name"] for member in ("commands", "lazy") for one in entry.get(member) or ()}
        tenant = entry.get("service") or ""
        if names:
            self._of_devices.setdefault(tenant, set()).update(names)
        if "entity" in entry:
            self._note_lazy(tenant, entry)

    def names(self, tenant: str) -> frozenset[str] | set[str]:
        """Return the names of all commands of a tenant's devices; some may be gone already."""
        return self._of_devices.get(tenant) or frozenset()

    async def plans_of(self, tenant: str, entity_id: str) -> list[Plan]:
        """Return the plans of the devices that an entity belongs to. Raises SinkUnavailable."""
        try:
            devices = await self._catalogue.find(tenant, DEVICES, {"entity": entity_id})
            return [compile_plan(device, await self._group_of(device)) for device in devices]
        except self._registry.faults.unavailable as error:
            raise SinkUnavailable(str(error)) from None

    async def _group_of(self, device: Entry) -> Entry:
        where = {"service": device["service"], "subservice": device["service_path"]}
        where |= {"apikey": device["apikey"]} if device.get("apikey") else {"entity_type": device.get("entity_type")}
        groups = await self._catalogue.find("", GROUPS, where, limit=1)
        return groups[0] if groups else {}

    async def request(self, tenant: str, entity_id: str, name: str, value: Any, *, at: int) -> None:
        """Give a device the command that was written to its entity at `at` (epoch ms). Raises SinkUnavailable."""
        for plan in await self.plans_of(tenant, entity_id):
            command = next((one for one in plan.commands if one["name"] == name), None)
            if command is None and plan.stamped:  # without, a reading of a lazy attribute cannot be told from an update
                command = next((lazy_command(one) for one in plan.lazy if one["name"] == name), None)
            if command is None:
                continue
            key = request_key(entity_id, plan.device_id, name, value, at=at)
            try:
                await self._commands.send(plan, command, value, key=key)
            except DeviceError as error:
                await self._commands.refuse(plan, name, str(error))

    async def with_commands(self, tenant: str) -> AsyncIterator[Plan]:
        """Give the plans of all devices that have commands. Raises SinkUnavailable."""
        try:
            groups = await self._catalogue.find("", GROUPS, {"service": tenant, **WITH_COMMANDS})
            of_groups = [group["apikey"] for group in groups]
            for where in (WITH_COMMANDS, {"apikey": {"$in": of_groups}}):
                for device in await self._catalogue.find(tenant, DEVICES, where):
                    if where is WITH_COMMANDS or not device.get("commands"):
                        yield compile_plan(device, await self._group_of(device))
        except self._registry.faults.unavailable as error:
            raise SinkUnavailable(str(error)) from None

    async def introduce(self, plan: Plan) -> None:
        """Put the commands' attributes on a device's entity, those that are not there yet. Raises SinkUnavailable."""
        self.note({"service": plan.tenant, "commands": plan.commands})
        if not plan.commands:
            return
        sink = self._commands.sink
        there = await sink.read(plan.tenant, plan.entity_id) or {}
        attrs = {}
        for command in plan.commands:
            if command["name"] not in there:
                attrs[command["name"]] = {"type": "Property", "value": ""}
                attrs[f"{command['name']}_status"] = {"type": "Property", "value": UNKNOWN}
        if attrs:
            await sink.write(plan.tenant, [EntityUpdate(plan.entity_id, plan.entity_type, attrs, plan.static)])


def request_key(entity_id: str, device_id: str, name: str, value: Any, *, at: int) -> str:
    """Return the id of the command that a write is; it sorts by time."""
    text = orjson.dumps([entity_id, device_id, name, value], option=orjson.OPT_SORT_KEYS)
    return f"{at:013d}-{blake2b(text, digest_size=6).hexdigest()}"
