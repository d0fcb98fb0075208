"""Commands to devices, with states: queued, sent, acknowledged, expired, failed.

A device that speaks MQTT gets a command at once on /<apikey>/<device>/cmd, one behind ChirpStack as a downlink; one
with an HTTP endpoint has it pushed there; one with transport HTTP and no endpoint, or with `polling`, fetches it with
getCmd=1. The entity tells what FIWARE's agents tell: `<command>_status` PENDING, DELIVERED (fetched), OK, EXPIRED,
ERROR, and `<command>_info`, the result. The command itself is kept in the catalogue, so that a restart loses none.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Protocol

from tsunagu.adapters import clock
from tsunagu.adapters.command_payload import ULTRALIGHT, content_type, payload_of, results_in
from tsunagu.adapters.command_push import headers_of, url_of
from tsunagu.adapters.devices.registry import canonical
from tsunagu.adapters.downlink import CHIRPSTACK, topic_of, wrapped
from tsunagu.adapters.errors import BadMeasure, BadPayload
from tsunagu.adapters.sink import EntityUpdate, SinkUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tsunagu.adapters.catalogue import Catalogue, Entry, Faults
    from tsunagu.adapters.command_push import Pusher
    from tsunagu.adapters.configuration_subscriptions import ConfigurationSubscriptions
    from tsunagu.adapters.devices.plan import Plan
    from tsunagu.adapters.message import CommandResult
    from tsunagu.adapters.sink import Sink

KIND, CLAIMS = "device_commands", "device_command_claims"
QUEUED, SENT, ACKNOWLEDGED, EXPIRED, FAILED = "queued", "sent", "acknowledged", "expired", "failed"
FIWARE = {QUEUED: "PENDING", SENT: "DELIVERED", ACKNOWLEDGED: "OK", EXPIRED: "EXPIRED", FAILED: "ERROR"}
OPEN = [QUEUED, SENT]
MAX_OPEN = 100
DAY = 24 * 3600.0
AGAIN = 10_000  # ms after which a command that is still queued is sent once more


class Publisher(Protocol):
    """Who can publish to devices: the MQTT door."""

    async def publish(self, tenant: str, topic: str, payload: bytes, *, qos: int, retain: bool) -> None:
        """Publish to a tenant's device; return once the MQTT broker has it. Raises SinkUnavailable when it is away."""


class Commands:
    """The commands of all devices. `publisher`, `pusher` and `configurations` are set by app.py."""

    def __init__(self, catalogue: Catalogue, faults: Faults, sink: Sink) -> None:
        self.catalogue = catalogue
        self.faults = faults
        self.sink = sink
        self.publisher: Publisher | None = None
        self.pusher: Pusher | None = None
        self.configurations: ConfigurationSubscriptions | None = None
        self._last = 0

    async def send(
        self, plan: Plan, command: Entry, value: Any, *, expires_in: float = DAY, key: str | None = None
    ) -> Entry | None:
        """Keep a command and send it if the device can be reached; return it.

        `key` names a request that may be made twice: the second time nothing is done, and None returned.
        Raises BadMeasure, BadExpression, SinkUnavailable.
        """
        now = self._last = max(clock.now(), self._last + 1)  # ids of one process sort as they were given
        device = canonical(plan.device_id)
        waiting = {"device": device, "apikey": plan.apikey, "state": {"$in": OPEN}}
        try:
            if await self.catalogue.count(plan.tenant, KIND, waiting) >= MAX_OPEN:
                raise BadMeasure(f"{MAX_OPEN} commands of the device wait already")
            key = key or f"{now:013d}-{secrets.token_hex(4)}"
            address = address_of(plan, command, value)
            entry: Entry = {
                "id": key,
                "device": device,
                "apikey": plan.apikey,
                "deviceId": plan.device_id,
                "name": command["name"],
                "value": value,
                "payload": _payload(plan, command, value, address=address),
                "entity": [plan.entity_id, plan.entity_type],
                "ultralight": plan.resource in ULTRALIGHT,
                **address,
                "state": QUEUED,
                "createdAt": now,
                "expiresAt": now + round(expires_in * 1000),
            }
            await self.catalogue.insert(plan.tenant, KIND, key, entry)
        except self.faults.already_exists:
            return None
        except self.faults.unavailable as error:
            raise SinkUnavailable(str(error)) from None
        await self._tell(plan.tenant, entry, QUEUED)
        return await self._deliver(plan.tenant, entry)

    async def refuse(self, plan: Plan, name: str, reason: str) -> None:
        """Tell at the entity that a command cannot be carried out. Raises SinkUnavailable."""
        entry = {"name": name, "entity": [plan.entity_id, plan.entity_type]}
        await self._tell(plan.tenant, entry, FAILED, reason)

    async def _deliver(self, tenant: str, entry: Entry) -> Entry:
        """Bring a command to a device that can be reached now; it stays queued for one that fetches."""
        if entry.get("url") is not None:
            return await self._push(tenant, entry)
        if entry.get("topic") is not None:
            return await self._publish(tenant, entry)
        return entry

    async def _push(self, tenant: str, entry: Entry) -> Entry:
        """Post a command to its device's endpoint; its answer may be the result already."""
        if self.pusher is None:
            return entry
        pushed = await self.pusher.push(entry["url"], entry["payload"], entry["headers"])
        if not pushed.ok:
            await self._tell(tenant, entry, FAILED, pushed.fault)
            return await self._move(tenant, entry, FAILED, reason=pushed.fault)
        try:
            result = results_in(pushed.body, entry["name"], ultralight=entry["ultralight"])
        except BadPayload as error:
            return await self._move(tenant, entry, SENT, reason=str(error))
        if result is None:
            return await self._move(tenant, entry, SENT)
        await self._tell(tenant, entry, ACKNOWLEDGED, result)
        return await self._move(tenant, entry, ACKNOWLEDGED, result=result)

    async def _publish(self, tenant: str, entry: Entry) -> Entry:
        """Publish a command whose device speaks MQTT; while the MQTT broker is away it stays queued for the sweep."""
        if self.publisher is None:
            return entry
        try:
            await self.publisher.publish(
                tenant, entry["topic"], entry["payload"], qos=entry["qos"], retain=entry["retain"]
            )
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
                    elif _is_due(entry, now) and await self._claim(tenant, entry, now):
                        await self._deliver(tenant, entry)
        except self.faults.unavailable as error:
            raise SinkUnavailable(str(error)) from None

    async def _claim(self, tenant: str, entry: Entry, now: int) -> bool:
        """Tell whether this process is the one to send a command again now: of several workers one may."""
        key = f"{entry['id']}/{now // AGAIN}"
        try:
            await self.catalogue.insert(tenant, CLAIMS, key, {"id": key, "command": entry["id"]})
        except self.faults.already_exists:
            return False
        for claim in await self.catalogue.find(tenant, CLAIMS, {"command": entry["id"]}):
            if claim["id"] != key:
                await self.catalogue.delete(tenant, CLAIMS, claim["id"])
        return True

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

    async def _tell(self, tenant: str, entry: Entry, state: str, info: Any = None) -> None:
        """Write the status attribute that FIWARE's agents write, and the result or reason if there is one."""
        now = clock.iso(clock.now())
        attrs = {f"{entry['name']}_status": {"type": "Property", "value": FIWARE[state], "observedAt": now}}
        if info is not None:
            attrs[f"{entry['name']}_info"] = {"type": "Property", "value": info, "observedAt": now}
        entity_id, entity_type = entry["entity"]
        await self.sink.write(tenant, [EntityUpdate(entity_id, entity_type, attrs)])


def _is_due(entry: Entry, now: int) -> bool:
    """Tell whether a command that goes to its device, rather than being fetched, is to be sent again."""
    reachable = entry.get("url") is not None or entry.get("topic") is not None
    return reachable and entry["state"] == QUEUED and now - int(entry["createdAt"]) > AGAIN


def address_of(plan: Plan, command: Entry, value: Any) -> Entry:
    """Return where a command goes, nothing for a device that fetches its commands. Raises BadMeasure, BadExpression."""
    if plan.polling:
        return {}
    url = url_of(plan, command["name"], value) if plan.transport != "MQTT" else None
    if url is not None:
        return {"url": url, "headers": headers_of(plan, command, value, content_type(plan, command))}
    if plan.transport == "HTTP":
        return {}
    mqtt = command.get("mqtt") or {}
    network = plan.resource == CHIRPSTACK
    topic = topic_of(plan) if network else f"{plan.slash}{plan.apikey}/{plan.device_id}/cmd"
    return {"topic": topic, "qos": int(mqtt.get("qos", 1)), "retain": bool(mqtt.get("retain", False))}


def _payload(plan: Plan, command: Entry, value: Any, *, address: Entry) -> bytes:
    """Return what goes to the device, or to its network server, at this address. Raises BadMeasure, BadExpression."""
    payload = payload_of(plan, {**command, "name": command.get("key") or command["name"]}, value)
    network = plan.resource == CHIRPSTACK and "topic" in address
    return wrapped(plan, command, payload) if network else payload


def command_of(plan: Plan, name: str) -> Entry:
    """Return the command as it is provisioned. Raises BadMeasure naming those there are."""
    for command in plan.commands:
        if command["name"] == name:
            return command
    known = ", ".join(command["name"] for command in plan.commands) or "none"
    raise BadMeasure(f"name: the device has no command {name!r}; it has {known}")


def shown(entry: Entry) -> Entry:
    """Return a command as the API shows it, times in ISO 8601."""
    hidden = ("device", "apikey", "payload", "entity", "topic", "qos", "retain", "url", "headers", "ultralight")
    return {
        name: clock.iso(value) if name.endswith("At") else value for name, value in entry.items() if name not in hidden
    }
