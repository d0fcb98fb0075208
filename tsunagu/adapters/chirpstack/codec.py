"""ChirpStack v4 events, as JSON or Protobuf (chirpstack-docs, integrations/events.md).

`up` gives the fields of `object` (the codec's result) as values; without a codec the bytes, as hexadecimal digits in
`data`. Protobuf JSON omits zeros: an absent fCnt or fPort is 0. `deduplicationId` is the receipt.
`status`, `join`, `ack` and `log` tell of the device's health; `txack` and `integration` are the network's own and store
nothing. A JSON event starts with a brace, which no Protobuf event does.
"""

from __future__ import annotations

from typing import Any

from tsunagu.adapters.chirpstack.protobuf import read_event
from tsunagu.adapters.device_objects import parts_of, reception, sequence
from tsunagu.adapters.errors import BadPayload, MissingParameters
from tsunagu.adapters.json_body import parse_object
from tsunagu.adapters.message import Heartbeat, Measure, Message, Reading

SILENT = frozenset(("txack", "integration"))
KINDS = frozenset(("up", "status", "join", "ack", "log", "location")) | SILENT


def decode(message: Message) -> list[Reading]:
    """Return the readings of an event. Raises BadPayload."""
    kind = message.named.get("event")
    if not kind:
        raise MissingParameters('Some of the mandatory params weren\'t found in the request: ["event"]')
    if kind not in KINDS:
        raise BadPayload(f"event {kind[:40]!r} is none of {', '.join(sorted(KINDS))}")
    is_json = message.body.lstrip()[:1] == b"{" or "json" in message.content_type
    event = parse_object(message.body) if is_json else read_event(kind, message.body)
    if kind in SILENT:
        return []
    apikey, device = _device(event, message.named.get("apikey"))
    if kind == "up":
        return _uplink(event, apikey, device)
    if kind == "status":
        return [Heartbeat(apikey, device, "online", event.get("time"), _present(event, ("batteryLevel", "margin")))]
    if kind == "join":
        return [Heartbeat(apikey, device, "joined", event.get("time"))]
    if kind == "ack":
        return [_acknowledgement(event, apikey, device)]
    if kind == "log":
        return [Heartbeat(apikey, device, None, event.get("time"), _log(event))]
    values = {"location": _location(event)}
    return [Measure(apikey, device, values, event.get("time"), _receipt(event))]


def _device(event: dict[str, Any], application: str | None) -> tuple[str, str]:
    info = event.get("deviceInfo")
    if not isinstance(info, dict) or not isinstance(info.get("devEui"), str):
        raise BadPayload("deviceInfo.devEui is missing: this is no event of ChirpStack v4")
    apikey = application or info.get("applicationId")
    if not isinstance(apikey, str):
        raise BadPayload("deviceInfo.applicationId is missing")
    return apikey, info["devEui"].lower()


def _uplink(event: dict[str, Any], apikey: str, device: str) -> list[Reading]:
    receipt = _receipt(event)
    radio = reception(event.get("rxInfo"), ("rssi", "snr", "gatewayId"))
    context = {"fPort": sequence(event.get("fPort")), "fCnt": sequence(event.get("fCnt")), **radio}
    found, raw = parts_of(event.get("object"), event.get("data"), names=("object", "data"))
    if not found:  # an empty frame: nothing was measured, but the device is alive
        return [Heartbeat(apikey, device, "online", event.get("time"))]
    return [
        Measure(
            apikey,
            device,
            part.values,
            part.time if part.time is not None else event.get("time"),
            f"{receipt}/{i}" if receipt and i else receipt,
            context,
            part.status,
            part.faulty,
            raw,
        )
        for i, part in enumerate(found)
    ]


def _receipt(event: dict[str, Any]) -> str | None:
    """Return the event's own key, None for one without. Raises BadPayload."""
    receipt = event.get("deduplicationId") or None
    if receipt is not None and not isinstance(receipt, str):
        raise BadPayload("deduplicationId must be text")
    return receipt


def _present(source: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: source[name] for name in names if source.get(name) is not None}


def _log(event: dict[str, Any]) -> dict[str, Any]:
    return {"faultLevel": str(event.get("level", "")), "faultCode": str(event.get("code", ""))}


def _acknowledgement(event: dict[str, Any], apikey: str, device: str) -> Heartbeat:
    """Read an ack: a device that confirmed a downlink is alive; one whose time ran out said nothing."""
    confirmed = event.get("acknowledged", False) is True
    values = {"downlinkAcknowledged": confirmed}
    return Heartbeat(apikey, device, "online" if confirmed else None, event.get("time"), values)


def _location(event: dict[str, Any]) -> dict[str, Any]:
    place = event.get("location")
    if not isinstance(place, dict) or "latitude" not in place or "longitude" not in place:
        raise BadPayload("location.latitude and location.longitude are missing")
    return {"type": "Point", "coordinates": [place["longitude"], place["latitude"]]}
