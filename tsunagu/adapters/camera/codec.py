"""Cameras: our heartbeat, AXIS Object Analytics and people counter, ONVIF events over MQTT.

Sources: ONVIF Core specification ("onvif-ej": TopicPrefix/onvif-ej/LocalTopic[/&Source…]), barnowl-axis (AOA), AXIS
people counter API. AXIS counts are cumulative since the last reset, numbers written as text. ONVIF property events
are retained; an empty body says that the property is gone and stores nothing. Pictures are refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tsunagu.adapters import json_body, values
from tsunagu.adapters.camera.images import holds_image, is_image
from tsunagu.adapters.errors import BadPayload, DeviceError, ImageRefused
from tsunagu.adapters.message import Count, Heartbeat, Measure, Message, Reading
from tsunagu.schemas.ids import is_name

if TYPE_CHECKING:
    from collections.abc import Mapping

STATES = {"ok": "online", "online": "online", "on": "online", "up": "online", "alive": "online"}
HAS_OFFSET = re.compile(r"(?:Z|[+-]\d\d:?\d\d)$")
REFUSAL = "pictures never enter the broker; send a reference (a URL with its access policy) instead"


def decode(message: Message) -> list[Reading]:
    """Return the readings of a message. Raises BadPayload, ImageRefused."""
    if message.content_type.startswith(("image/", "video/", "multipart/")) or is_image(message.body):
        raise ImageRefused(f"{message.content_type or 'the payload'}: {REFUSAL}")
    onvif = message.named.get("action") == "onvif"
    if onvif and not message.body:
        return []
    body = json_body.parse_object(message.body)
    place = holds_image(body)
    if place is not None:
        raise ImageRefused(f"{place}: {REFUSAL}")
    if onvif or "UtcTime" in body:
        return [_onvif(body, message.named)]
    if "message" in body:
        return [_analytics(body, message.named)]
    if "in" in body or "out" in body:
        return [_people_counter(body, message.named)]
    if "status" in body or "state" in body:
        return [_heartbeat(body, message.named)]
    raise BadPayload("no camera message that is known: neither status, nor message.data, nor in and out, nor UtcTime")


def _heartbeat(body: dict[str, Any], named: Mapping[str, str]) -> Heartbeat:
    """Read {"status": "ok", "time"/"ts", further readings}."""
    status = body.get("status", body.get("state"))
    if not isinstance(status, str):
        raise BadPayload(f'status must be text such as "ok" and not {type(status).__name__}')
    time = body.get("time", body.get("ts"))
    rest = {key: value for key, value in body.items() if key not in ("status", "state", "time", "ts")}
    return Heartbeat(named["apikey"], named["device"], STATES.get(status.lower(), status), time, rest)


def _analytics(body: dict[str, Any], named: Mapping[str, str]) -> Reading:
    """Read an event of AXIS Object Analytics: its totals, or, for a scenario without totals, its state.

    Whether totals are counted since a reset or tell who is there now (occupancy in an area) the message does not say:
    see `counters.py`. Other events of the camera (tampering, sound) are read as those of ONVIF are.
    """
    message = body["message"] if isinstance(body["message"], dict) else {}
    data, source = message.get("data"), message.get("source") or {}
    if not isinstance(data, dict) or not isinstance(source, dict):
        raise BadPayload("message.data must be an object: this is no AXIS event")
    topic = str(body.get("topic") or named.get("rest") or "")
    parts = [part.rpartition(":")[2] for part in topic.split("/") if part]
    scenario = parts[-1] if parts else "scenario"
    time = body.get("timestamp")
    totals = {key: whole(value, f"message.data.{key}") for key, value in data.items() if key.startswith("total")}
    if totals:
        return Count(named["apikey"], named["device"], scenario, totals, time)
    if len(parts) > 1 and "ObjectAnalytics" not in parts:
        return Measure(named["apikey"], named["device"], {event_name(parts): {**source, **data}}, time)
    if "active" not in data:
        raise BadPayload("message.data has neither totals nor active: this is no event of AXIS Object Analytics")
    active = str(data["active"]).lower() in ("1", "true")
    return Measure(named["apikey"], named["device"], {"analytics": {"scenario": scenario, "active": active}}, time)


def _people_counter(body: dict[str, Any], named: Mapping[str, str]) -> Count:
    """Read {"serial", "name", "timestamp" (camera-local, YYYYMMDDhhmmss), "in", "out"}."""
    totals: dict[str, int] = {name: whole(body[name], name) for name in ("in", "out") if name in body}
    return Count(named["apikey"], named["device"], str(body.get("name") or "counter"), totals, body.get("timestamp"))


def whole(value: Any, where: str) -> int:
    """Return a count, also from text. Raises BadPayload naming the member."""
    try:
        number = values.whole(value)
    except DeviceError:
        number = -1
    if number < 0:
        raise BadPayload(f"{where}: {str(value)[:40]!r} is no count; right would be a whole number from 0 on")
    return number


def _onvif(body: dict[str, Any], named: Mapping[str, str]) -> Reading:
    """Read {"UtcTime", "Source": {…}, "Data": {…}}; the local topic names the event."""
    data, source = body.get("Data"), body.get("Source") or {}
    if not isinstance(body.get("UtcTime"), str) or not isinstance(data, dict) or not isinstance(source, dict):
        raise BadPayload("UtcTime, Source and Data are needed: this is no ONVIF event")
    parts = [part.rpartition(":")[2] for part in named.get("rest", "").partition("/&")[0].split("/") if part]
    if not parts:
        raise BadPayload("the topic names no ONVIF event")
    time = body["UtcTime"] if HAS_OFFSET.search(body["UtcTime"]) else body["UtcTime"] + "Z"
    if "Count" in data:
        scenario = str(source.get("Rule") or parts[-1])
        totals = {"total": whole(data["Count"], "Data.Count")}
        present = parts[-1] == "OccupancyCounter"
        return Count(named["apikey"], named["device"], scenario, totals, time, present=present)
    return Measure(named["apikey"], named["device"], {event_name(parts): {**source, **data}}, time)


def event_name(parts: list[str]) -> str:
    """Return the attribute of an event, from its topic's last two levels: LineDetector/Crossed → lineDetectorCrossed.

    Raises BadPayload for a topic that cannot be a name.
    """
    first, *rest = parts[-2:]
    name = first[:1].lower() + first[1:] + "".join(rest)
    if not is_name(name):
        raise BadPayload(f"the topic's levels {'/'.join(parts[-2:])[:80]!r} cannot name an event")
    return name
