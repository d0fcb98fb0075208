"""The Things Stack v3 messages as JSON (thethingsindustries.com, integrations/data-formats), by webhook or MQTT.

An uplink gives the fields of `decoded_payload`, else the bytes. Empty, zero and false members are omitted: an absent
f_cnt or f_port is 0. The application id is the apikey, the device id the device id; MQTT is QoS 0 there, so prefer
the webhook.
"""

from __future__ import annotations

from typing import Any

from tsunagu.adapters.device_objects import Part, parts_of, reception, sequence
from tsunagu.adapters.errors import BadPayload
from tsunagu.adapters.json_body import parse_object
from tsunagu.adapters.message import Heartbeat, Measure, Message, Reading

SILENT = ("downlink_", "service_data")


def decode(message: Message) -> list[Reading]:
    """Return the readings of a message. Raises BadPayload."""
    event = parse_object(message.body)
    ids = event.get("end_device_ids")
    if not isinstance(ids, dict) or not isinstance(ids.get("device_id"), str):
        raise BadPayload("end_device_ids.device_id is missing: this is no message of The Things Stack v3")
    apikey = (message.named.get("apikey") or _application(ids)).partition("@")[0]
    device = ids["device_id"]
    if "uplink_message" in event:
        return _uplink(event, event["uplink_message"], apikey, device)
    if "uplink_normalized" in event:
        return _normalized(event, event["uplink_normalized"], apikey, device)
    if "join_accept" in event:
        return [Heartbeat(apikey, device, "joined", event.get("received_at"))]
    if "location_solved" in event:
        return [Measure(apikey, device, {"location": _location(event)}, event.get("received_at"))]
    if any(member.startswith(SILENT) for member in event):
        return []
    raise BadPayload("neither uplink_message nor join_accept nor location_solved: this message is not known")


def _application(ids: dict[str, Any]) -> str:
    application = ids.get("application_ids")
    if not isinstance(application, dict) or not isinstance(application.get("application_id"), str):
        raise BadPayload("end_device_ids.application_ids.application_id is missing")
    return str(application["application_id"])


def _uplink(event: dict[str, Any], uplink: Any, apikey: str, device: str) -> list[Reading]:
    if not isinstance(uplink, dict):
        raise BadPayload("uplink_message must be an object")
    time = uplink.get("received_at") or event.get("received_at")
    radio = reception(uplink.get("rx_metadata"), ("rssi", "snr"))
    context = {"f_port": sequence(uplink.get("f_port")), "f_cnt": sequence(uplink.get("f_cnt")), **radio}
    names = ("uplink_message.decoded_payload", "uplink_message.frm_payload")
    found, raw = parts_of(uplink.get("decoded_payload"), uplink.get("frm_payload"), names=names)
    if not found:  # an empty frame: nothing was measured, but the device is alive
        return [Heartbeat(apikey, device, "online", time)]
    receipt = f"tts/{apikey}/{device}/{uplink.get('session_key_id', '')}/{context['f_cnt']}/{time}"
    return [_measure(apikey, device, part, time, f"{receipt}/{i}", context, raw) for i, part in enumerate(found)]


def _measure(
    apikey: str, device: str, part: Part, time: Any, receipt: str, context: dict[str, Any], raw: bytes
) -> Measure:
    at = part.time if part.time is not None else time
    return Measure(apikey, device, part.values, at, receipt, context, part.status, part.faulty, raw)


def _normalized(event: dict[str, Any], uplink: Any, apikey: str, device: str) -> list[Reading]:
    payload = uplink.get("normalized_payload") if isinstance(uplink, dict) else None
    if not isinstance(payload, dict):
        raise BadPayload("uplink_normalized.normalized_payload must be an object")
    time = payload.get("time") or uplink.get("received_at") or event.get("received_at")
    return [Measure(apikey, device, {k: v for k, v in payload.items() if k != "time"}, time)]


def _location(event: dict[str, Any]) -> dict[str, Any]:
    place = event["location_solved"].get("location") if isinstance(event["location_solved"], dict) else None
    if not isinstance(place, dict) or "latitude" not in place or "longitude" not in place:
        raise BadPayload("location_solved.location needs latitude and longitude")
    return {"type": "Point", "coordinates": [place["longitude"], place["latitude"]]}
