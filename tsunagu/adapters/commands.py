"""Commands to devices, with states: queued, sent, acknowledged, expired, failed.

A device that speaks MQTT gets a command at once on /<apikey>/<device>/cmd; one with transport HTTP fetches it with
getCmd=1. The entity tells what FIWARE's agents tell: `<command>_status` PENDING, DELIVERED (fetched), OK, EXPIRED,
ERROR, and `<command>_info`, the result. The command itself is kept in the catalogue, so that a restart loses none.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from tsunagu.adapters import clock
from tsunagu.adapters.devices.registry import canonical
from tsunagu.adapters.errors import BadMeasure
from tsunagu.adapters.jexl import compile_expression
from tsunagu.adapters.jexl.operators import as_text
from tsunagu.adapters.sink import EntityUpdate, SinkUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tsunagu.adapters.catalogue import Catalogue, Entry, Faults
    from tsunagu.adapters.devices.plan import Plan
    from tsunagu.adapters.message import CommandResult
    from tsunagu.adapters.sink import Sink

KIND = "device_commands"
QUEUED, SENT, ACKNOWLEDGED, EXPIRED, FAILED = "queued", "sent", "acknowledged", "expired", "failed"
FIWARE = {QUEUED: "PENDING", SENT: "DELIVERED", ACKNOWLEDGED: "OK", EXPIRED: "EXPIRED", FAILED: "ERROR"}
OPEN = [QUEUED, SENT]
ULTRALIGHT = frozenset(("/iot/d", "/iot/ul"))
MAX_OPEN = 100
DAY = 24 * 3600.0


class Publisher(Protocol):
    """Who can publish to devices: the MQTT door."""

    async def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> None:
        """Publish; return once the MQTT broker has it. Raises SinkUnavailable when it is away."""


class Commands:
    """The commands of all devices. `publisher` is set by app.py once there is an MQTT door."""

    def __init__(self, catalogue: Catalogue, faults: Faults, sink: Sink) -> None:
        self.catalogue = catalogue
        self.faults = faults
        self.sink = sink
        self.publisher: Publisher | None = None

    async def send(self, plan: Plan, command: Entry, value: Any, *, resource: str, expires_in: float = DAY) -> Entry:
        """Keep a command and send it if the device can be reached; return it. Raises BadMeasure, SinkUnavailable."""
        now = clock.now()
        device = canonical(plan.device_id)
        waiting = {"device": device, "apikey": plan.apikey, "state": {"$in": OPEN}}
        if await self.catalogue.count(plan.tenant, KIND, waiting) >= MAX_OPEN:
            raise BadMeasure(f"{MAX_OPEN} commands of the device wait already")
        key = f"{now:013d}-{secrets.token_hex(4)}"
        entry: Entry = {
            "id": key,
            "device": device,
            "apikey": plan.apikey,
            "deviceId": plan.device_id,
            "name": command["name"],
            "value": value,
            "payload": payload_of(plan, command, value, ultralight=resource in ULTRALIGHT),
            "entity": [plan.entity_id, plan.entity_type],
            **_address(plan, command),
            "state": QUEUED,
            "createdAt": now,
            "expiresAt": now + round(expires_in * 1000),
        }
        await self.catalogue.insert(plan.tenant, KIND, key, entry)
        await self._tell(plan.tenant, entry, QUEUED)
        return await self._publish(plan.tenant, entry)

    async def _publish(self, tenant: str, entry: Entry) -> Entry:
        """Publish a command whose device speaks MQTT; while the MQTT broker is away it stays queued for the sweep."""
        topic = entry.get("topic")
        if topic is None or self.publisher is None:
            return entry
        try:
            payload = entry["payload"].encode()
            await self.publisher.publish(topic, payload, qos=entry["qos"], retain=entry["retain"])
        except SinkUnavailable:
            return entry
        return await self._move(tenant, entry, SENT)

    async def sweep(self, tenants: Iterable[str], now: int) -> None:
        """Send what is still queued for MQTT devices, and let expire what is too old. Raises SinkUnavailable."""
        try:
            for tenant in tenants:
                for entry in await self.catalogue.find(tenant, KIND, {"state": {"$in": OPEN}}, sort=(("id", 1),)):
                    if entry["expiresAt"] <= now:
                        await self._move(tenant, entry, EXPIRED)
                        await self._tell(tenant, entry, EXPIRED)
                    elif entry["state"] == QUEUED:
                        await self._publish(tenant, entry)
        except self.faults.unavailable as error:
            raise SinkUnavailable(str(error)) from None

    async def fetch(self, plan: Plan) -> list[Entry]:
        """Return what waits for a device that asks for it; it counts as delivered. Raises SinkUnavailable."""
        where = {"device": canonical(plan.device_id), "apikey": plan.apikey, "state": QUEUED}
        try:
            waiting = await self.catalogue.find(plan.tenant, KIND, where, sort=(("id", 1),))
            now = clock.now()
            ready = []
            for entry in waiting:
                state = EXPIRED if entry["expiresAt"] <= now else SENT
                moved = await self._move(plan.tenant, entry, state)
                await self._tell(plan.tenant, entry, state)
                if state == SENT:
                    ready.append(moved)
            return ready
        except self.faults.unavailable as error:
            raise SinkUnavailable(str(error)) from None

    async def acknowledge(self, plan: Plan, result: CommandResult) -> None:
        """Note a device's result at the oldest open command of that name. Raises SinkUnavailable."""
        where = {
            "device": canonical(plan.device_id),
            "apikey": plan.apikey,
            "name": result.command,
            "state": {"$in": OPEN},
        }
        try:
            found = await self.catalogue.find(plan.tenant, KIND, where, limit=1, sort=(("id", 1),))
            if found:
                await self._move(plan.tenant, found[0], ACKNOWLEDGED, result=result.result)
        except self.faults.unavailable as error:
            raise SinkUnavailable(str(error)) from None

    async def of_device(self, plan: Plan) -> list[Entry]:
        """Return a device's commands, newest first."""
        where = {"device": canonical(plan.device_id), "apikey": plan.apikey}
        found = await self.catalogue.find(plan.tenant, KIND, where, limit=MAX_OPEN, sort=(("id", -1),))
        return [shown(entry) for entry in found]

    async def _move(self, tenant: str, entry: Entry, state: str, **more: Any) -> Entry:
        moved = {**entry, **more, "state": state, f"{state}At": clock.now()}
        await self.catalogue.replace(tenant, KIND, entry["id"], moved)
        return moved

    async def _tell(self, tenant: str, entry: Entry, state: str) -> None:
        """Write the status attribute that FIWARE's agents write."""
        status = {"type": "Property", "value": FIWARE[state], "observedAt": clock.iso(clock.now())}
        entity_id, entity_type = entry["entity"]
        await self.sink.write(tenant, [EntityUpdate(entity_id, entity_type, {f"{entry['name']}_status": status})])


def _address(plan: Plan, command: Entry) -> Entry:
    """Return where a command is published, nothing for a device that fetches its commands."""
    if plan.transport == "HTTP":
        return {}
    mqtt = command.get("mqtt") or {}
    topic = f"/{plan.apikey}/{plan.device_id}/cmd"
    return {"topic": topic, "qos": int(mqtt.get("qos", 1)), "retain": bool(mqtt.get("retain", False))}


def payload_of(plan: Plan, command: Entry, value: Any, *, ultralight: bool) -> str:
    """Return what goes to the device: JSON {"turn": "left"}, or Ultralight device@turn|left. Raises BadExpression."""
    name = command["name"]
    if command.get("expression"):
        value = compile_expression(command["expression"]).evaluate({**plan.variables, name: value})
        if not ultralight:
            return orjson.dumps(value).decode()
    if not ultralight:
        return orjson.dumps({name: value}).decode()
    if isinstance(value, dict):
        return "|".join((f"{plan.device_id}@{name}", *(f"{key}={as_text(part)}" for key, part in value.items())))
    return f"{plan.device_id}@{name}|{as_text(value)}"


def command_of(plan: Plan, name: str) -> Entry:
    """Return the command as it is provisioned. Raises BadMeasure naming those there are."""
    for command in plan.commands:
        if command["name"] == name:
            return command
    known = ", ".join(command["name"] for command in plan.commands) or "none"
    raise BadMeasure(f"name: the device has no command {name!r}; it has {known}")


def answer(entries: list[Entry], *, ultralight: bool) -> bytes:
    """Return the answer to a device that fetched its commands."""
    if ultralight:
        return "#".join(entry["payload"] for entry in entries).encode()
    merged: dict[str, Any] = {}
    for entry in entries:
        try:
            payload = orjson.loads(entry["payload"])
        except orjson.JSONDecodeError:
            continue
        merged.update(payload if isinstance(payload, dict) else {entry["name"]: payload})
    return orjson.dumps(merged)


def shown(entry: Entry) -> Entry:
    """Return a command as the API shows it, times in ISO 8601."""
    hidden = ("device", "apikey", "payload", "entity", "topic", "qos", "retain")
    return {
        name: clock.iso(value) if name.endswith("At") else value for name, value in entry.items() if name not in hidden
    }
