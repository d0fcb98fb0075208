"""What a message would become, with what is provisioned or with a template on trial; nothing is stored."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Protocol

from tsunagu.adapters.devices.plan import Plan, compile_plan
from tsunagu.adapters.errors import DeviceNotFound
from tsunagu.adapters.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tsunagu.adapters.catalogue import Entry
    from tsunagu.adapters.devices.registry import CatalogueRegistry
    from tsunagu.adapters.message import Measure, Message
    from tsunagu.adapters.sink import EntityUpdate
    from tsunagu.adapters.work import Work

HIDDEN = ("tag", "address", "apikey")


class Foresee(Protocol):
    """Who knows the subscriptions."""

    async def __call__(self, tenant: str, updates: Sequence[EntityUpdate]) -> list[str]:
        """Return the ids of those that would be told of these updates. Raises the catalogue's fault when it is away."""


class TrialRegistry:
    """The registry, with a group and a device on trial in front of it; provisions nothing."""

    def __init__(self, registry: CatalogueRegistry, group: Entry | None, device: Entry | None) -> None:
        self._registry = registry
        self._group = group
        self._device = device

    def known(self, resources: tuple[str, ...], apikey: str, device_id: str) -> Plan | None:
        """Return nothing: plans on trial are compiled each time."""

    def group_of(self, resources: tuple[str, ...], apikey: str) -> Entry | None:
        """Return the group on trial, else the one that is provisioned."""
        return self._group or self._registry.group_of(resources, apikey)

    async def group(self, resources: tuple[str, ...], apikey: str) -> Entry:
        """Return the group on trial, else the one that is provisioned. Raises GroupNotFound, SinkUnavailable."""
        return self._group or await self._registry.group(resources, apikey)

    async def find(self, resources: tuple[str, ...], apikey: str, device_id: str) -> Plan:
        """Return the plan with what is on trial. Raises GroupNotFound, DeviceNotFound, SinkUnavailable, DeviceError."""
        group = await self.group(resources, apikey)
        device = self._device or await self._registry.stored_device(group, apikey, device_id)
        if device is None:
            if group.get("autoprovision", True) is False:
                raise DeviceNotFound(f"Device not found with ID [{device_id}]", apikey=apikey, device_id=device_id)
            device = {"device_id": device_id, "apikey": apikey}
        return compile_plan({"service": group.get("service", ""), **device}, group)

    async def tenants(self) -> frozenset[str]:
        """Return the tenants of the registry. Raises SinkUnavailable."""
        return await self._registry.tenants()

    async def keep_last(self, plan: Plan, measure: Measure, received: int) -> None:
        """Keep nothing."""

    def watched(self) -> AsyncIterator[Plan]:
        """Give the plans of the registry."""
        return self._registry.watched()


async def preview(
    pipeline: Pipeline, message: Message, *, group: Entry | None = None, device: Entry | None = None
) -> dict[str, Any]:
    """Return what a message would become: readings, entities, or the error, and which subscriptions would be told.

    Raises SinkUnavailable.
    """
    trial = Pipeline(
        sink=pipeline.sink,
        registry=TrialRegistry(pipeline.registry, group, device),  # type: ignore[arg-type]
        quarantine=pipeline.quarantine,
        pseudonyms=pipeline.pseudonyms,
        time_policy=pipeline.time_policy,
    )
    (work,) = await trial.prepare([message])
    found = shown(work)
    if pipeline.foresee is not None:
        found["subscriptions"] = await pipeline.foresee(work.tenant, updates_of(work))
    return found


def updates_of(work: Work) -> list[EntityUpdate]:
    """Return what a message would write; nothing if it cannot be taken."""
    return [update for item in work.items for update in item.updates] if work.error is None else []


def shown(work: Work) -> dict[str, Any]:
    """Return what became of a message in the form of the preview."""
    updates = updates_of(work)
    return {
        "format": work.message.format,
        "tenant": work.tenant,
        "models": sorted({item.plan.model for item in work.items if item.plan is not None and item.plan.model}),
        "readings": [_reading(item.reading) for item in work.items],
        "entities": [
            {"id": update.id, "type": update.type, **update.static, **update.attrs, "history": update.history}
            if not update.history
            else {"id": update.id, "type": update.type, **update.static, **update.attrs}
            for update in updates
        ],
        "error": work.error.body() if work.error is not None else None,
    }


def _reading(reading: Any) -> dict[str, Any]:
    """Return a reading without what it does not say, and without what a tag broadcasts."""
    found: dict[str, Any] = {"kind": type(reading).__name__}
    for field in dataclasses.fields(reading):
        value = getattr(reading, field.name)
        if field.name in HIDDEN or value is None or value in ("", b"", frozenset()):
            continue
        if isinstance(value, bytes):
            value = value.hex()
        found[field.name] = sorted(value) if isinstance(value, frozenset) else value
    return found
