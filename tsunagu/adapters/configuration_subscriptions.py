"""Devices that ask to be told when values of their entity change (iotagent-json usermanual, "Configuration retrieval").

A request of type "subscription" is answered at once, and again whenever one of its fields changes: all of them are sent
then, where and as a "configuration" is. A further request takes the place of the first, one without fields ends it. It
is kept in the catalogue, with the time up to which the device was told, so that a restart misses nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsunagu.adapters import clock
from tsunagu.adapters.configuration import answer_configuration
from tsunagu.adapters.devices.registry import device_id_of
from tsunagu.adapters.message import ConfigurationRequest
from tsunagu.adapters.sink import SinkUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tsunagu.adapters.catalogue import Announcement, Entry
    from tsunagu.adapters.command_requests import CommandRequests
    from tsunagu.adapters.commands import Commands
    from tsunagu.adapters.devices.plan import Plan

KIND = "device_configurations"
Wishes = dict[str, dict[str, "Entry"]]


class ConfigurationSubscriptions:
    """All such subscriptions of the installation, in memory by tenant and entity. `await load()` once before use.

    `heard` is called with a tenant of which some were written; app.py sets it.
    """

    def __init__(self, requests: CommandRequests, commands: Commands) -> None:
        self._requests = requests
        self._commands = commands
        self._catalogue = commands.catalogue
        self._wishes: dict[str, Wishes] = {}
        self._outdated: set[str] = set()
        self.heard: Callable[[str], None] = lambda _: None

    async def load(self, tenants: Iterable[str]) -> None:
        """Read all, and follow what other processes write. Raises the catalogue's fault when it is away."""
        self._catalogue.watch(frozenset((KIND,)), self._heard)
        for tenant in tenants:
            await self._read(tenant)

    def _heard(self, announcement: Announcement) -> None:
        for tenant in list(self._wishes) if announcement.deed == "unknown" else [announcement.tenant]:
            self._outdated.add(tenant)
            self.heard(tenant)

    async def _read(self, tenant: str) -> None:
        wishes: Wishes = {}
        for entry in await self._catalogue.find(tenant, KIND):
            wishes.setdefault(entry["entity"], {})[entry["id"]] = entry
        self._wishes[tenant] = wishes

    def of_entity(self, tenant: str, entity_id: str) -> Mapping[str, Entry]:
        """Return the subscriptions to an entity's values by id, as far as they have been read."""
        return self._wishes.get(tenant, {}).get(entity_id, {})

    def any_of(self, tenant: str) -> bool:
        """Tell whether a tenant has any, or may have some that are not read yet."""
        return bool(self._wishes.get(tenant)) or tenant in self._outdated

    async def all_of(self, tenant: str) -> list[Entry]:
        """Return all of a tenant, read anew if somebody has written some. Raises SinkUnavailable."""
        try:
            if tenant in self._outdated or tenant not in self._wishes:
                self._outdated.discard(tenant)
                await self._read(tenant)
        except self._commands.faults.unavailable as error:
            self._outdated.add(tenant)
            raise SinkUnavailable(str(error)) from None
        return [entry for entries in self._wishes[tenant].values() for entry in entries.values()]

    async def subscribe(self, plan: Plan, request: ConfigurationRequest) -> None:
        """Keep what a device asks for, or end it if it names no fields. Raises SinkUnavailable."""
        key = device_id_of(plan.service_path, plan.apikey, plan.device_id)
        entry = {
            "id": key,
            "entity": plan.entity_id,
            "apikey": plan.apikey,
            "deviceId": plan.device_id,
            "fields": list(request.fields),
            "told": clock.now(),
        }
        try:
            if request.fields:
                await self._catalogue.replace(plan.tenant, KIND, key, entry)
            else:
                await self._catalogue.delete(plan.tenant, KIND, key)
            await self._read(plan.tenant)
        except self._commands.faults.unavailable as error:
            raise SinkUnavailable(str(error)) from None

    async def tell(self, tenant: str, entry: Entry) -> bool:
        """Send a device all values that it asked for; tell whether it was reached. Raises SinkUnavailable.

        One that is not provisioned any more is forgotten.
        """
        plan = await self._plan_of(tenant, entry)
        try:
            if plan is None:
                await self._catalogue.delete(tenant, KIND, entry["id"])
                return True
            told = clock.now()
            request = ConfigurationRequest(plan.apikey, plan.device_id, "subscription", tuple(entry["fields"]))
            if not await answer_configuration(self._commands, plan, request):
                return False
            entry["told"] = told
            await self._catalogue.change(tenant, KIND, entry["id"], {"told": told})
        except self._commands.faults.unavailable as error:
            raise SinkUnavailable(str(error)) from None
        return True

    async def _plan_of(self, tenant: str, entry: Entry) -> Plan | None:
        for plan in await self._requests.plans_of(tenant, entry["entity"]):
            if (plan.device_id, plan.apikey) == (entry["deviceId"], entry["apikey"]):
                return plan
        return None
