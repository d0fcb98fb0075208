"""Sigfox callbacks (support.sigfox.com, data-advanced): the operator's own template as JSON, form or query.

`device` and `data` (hexadecimal digits, up to 12 bytes) are needed, `time` is epoch seconds of reception, `seqNumber`
makes the receipt. The bytes are read by the device's layout or decoder; further members of the template become values.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from tsunagu.adapters.errors import BadPayload, DeviceError
from tsunagu.adapters.json_body import parse_object
from tsunagu.adapters.message import Measure, Message, Reading
from tsunagu.adapters.values import number

OURS = frozenset(("device", "deviceId", "time", "timestamp", "data", "seqNumber", "ack", "k", "i"))
RADIO = ("rssi", "snr", "avgSnr", "station", "lqi")
LONGEST = 24


def decode(message: Message) -> list[Reading]:
    """Return the reading of a callback. Raises BadPayload."""
    body = _members(message)
    device = body.get("device", body.get("deviceId"))
    if not isinstance(device, str) or not device:
        raise BadPayload('device is missing, or no text; the template needs "device": "{device}"')
    raw = _bytes(body.get("data", ""))
    sequence = body.get("seqNumber")
    receipt = f"sigfox/{device}/{sequence}/{body.get('time', '')}" if sequence not in (None, "") else None
    context = {name: found for name in RADIO if (found := _number(body.get(name))) is not None}
    values = {key: value for key, value in body.items() if key not in OURS and key not in RADIO}
    if raw:
        values["data"] = raw.hex()
    time = body.get("time", body.get("timestamp"))
    return [Measure(message.named["apikey"], device, values, time, receipt, context, raw=raw)]


def _members(message: Message) -> dict[str, Any]:
    """Return the members of a JSON body, a form, or a query."""
    form = message.content_type.startswith("application/x-www-form-urlencoded")
    if form or message.named.get("source") == "form":
        pairs = parse_qsl(message.body.decode("utf-8", "replace"), keep_blank_values=True)
        found: dict[str, Any] = dict(pairs)
        if len(found) < len(pairs):
            raise BadPayload("a member stands twice in the form: which one is meant?")
        return found
    return parse_object(message.body)


def _bytes(data: Any) -> bytes:
    if not isinstance(data, str) or len(data) > LONGEST:
        raise BadPayload(f"data must be at most {LONGEST} hexadecimal digits")
    try:
        return bytes.fromhex(data)
    except ValueError:
        raise BadPayload(f"data must be hexadecimal digits and not {data!r}") from None


def _number(given: Any) -> float | None:
    """Return a reception's number; what is none says nothing of the reception."""
    try:
        return number(given) if given is not None else None
    except DeviceError:
        return None
