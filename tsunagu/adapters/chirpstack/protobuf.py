"""ChirpStack v4 events in their Protobuf form, read into what their JSON form would be.

Fields and numbers are those of chirpstack api/proto (integration.proto, gw.proto, common.proto) and of
google.protobuf's Timestamp and Struct; only what the codec uses is in the tables, everything else is passed over, as
Protobuf asks.
"""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tsunagu.adapters import clock
from tsunagu.adapters.errors import BadPayload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
LONGEST_VARINT = 10
DEEPEST = 32
LEVELS = ("INFO", "WARNING", "ERROR")
CODES = (
    *("UNKNOWN", "DOWNLINK_PAYLOAD_SIZE", "UPLINK_CODEC", "DOWNLINK_CODEC", "OTAA", "UPLINK_F_CNT_RESET"),
    *("UPLINK_MIC", "UPLINK_F_CNT_RETRANSMISSION", "DOWNLINK_GATEWAY"),
)


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its JSON name, how its value is read, whether there may be several."""

    name: str
    read: Callable[[Any], Any]
    repeated: bool = False


Fields = dict[int, Field]


def wire(data: bytes) -> Iterator[tuple[int, Any]]:
    """Give the fields of a message: number, and an int, or bytes. Raises BadPayload."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value: Any
            value, at = varint(data, at)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
            value, at = data[at : at + size], at + size
        elif kind == BYTES:
            size, at = varint(data, at)
            value, at = data[at : at + size], at + size
        else:
            raise BadPayload("the payload is no Protobuf message of ChirpStack")
        if at > len(data) or number == 0:
            raise BadPayload("the Protobuf payload is cut short")
        yield number, value


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the varint at a place, and the place after it. Raises BadPayload."""
    value = 0
    for index in range(LONGEST_VARINT):
        if at + index >= len(data):
            break
        byte = data[at + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:  # noqa: PLR2004 - the last byte
            return value, at + index + 1
    raise BadPayload("the Protobuf payload is cut short")


def message(fields: Fields) -> Callable[[Any], dict[str, Any]]:
    """Return a reader of messages with these fields."""

    def read(data: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for number, raw in wire(_bytes(data)):
            field = fields.get(number)
            if field is None:
                continue
            value = field.read(raw)
            if field.repeated:
                found.setdefault(field.name, []).append(value)
            else:
                found[field.name] = value
        return found

    return read


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise BadPayload("the Protobuf payload has a field of another type than ChirpStack's")
    return value


def whole(value: Any) -> int:
    """Read an int32 or uint32."""
    if not isinstance(value, int):
        raise BadPayload("the Protobuf payload has a field of another type than ChirpStack's")
    number = value & 0xFFFFFFFFFFFFFFFF
    return number - (1 << 64) if number >= 1 << 63 else number


def truth(value: Any) -> bool:
    """Read a bool."""
    return whole(value) != 0


def text(value: Any) -> str:
    """Read a string."""
    try:
        return _bytes(value).decode()
    except UnicodeDecodeError:
        raise BadPayload("the Protobuf payload has text that is not UTF-8") from None


def encoded(value: Any) -> str:
    """Read bytes, as base64 writes them."""
    return base64.b64encode(_bytes(value)).decode()


def real(value: Any) -> float:
    """Read a float or a double."""
    data = _bytes(value)
    if len(data) not in (4, 8):
        raise BadPayload("the Protobuf payload has a field of another type than ChirpStack's")
    number: float = struct.unpack("<f" if len(data) == 4 else "<d", data)[0]  # noqa: PLR2004 - float, else double
    return float(f"{number:.7g}") if len(data) == 4 else number  # noqa: PLR2004 - what a float holds


def moment(value: Any) -> str:
    """Read a Timestamp, to the millisecond."""
    seconds = nanos = 0
    for number, raw in wire(_bytes(value)):
        if number == 1:
            seconds = whole(raw)
        elif number == 2:  # noqa: PLR2004 - google.protobuf.Timestamp
            nanos = whole(raw)
    return clock.iso(clock.in_range(seconds * 1000 + nanos // 1_000_000, seconds))


def choice(names: tuple[str, ...]) -> Callable[[Any], str]:
    """Return a reader of an enum; a number without a name stays a number, as text."""
    return lambda value: names[whole(value)] if 0 <= whole(value) < len(names) else str(whole(value))


def structure(value: Any, depth: int = 0) -> dict[str, Any]:
    """Read a Struct."""
    if depth > DEEPEST:
        raise BadPayload(f"object is nested more than {DEEPEST} levels deep")
    found = {}
    for number, entry in wire(_bytes(value)):
        if number == 1:
            parts = dict(wire(_bytes(entry)))
            found[text(parts.get(1, b""))] = _value(parts.get(2, b""), depth)
    return found


def _value(data: Any, depth: int) -> Any:
    for number, raw in wire(_bytes(data)):
        if number in SIMPLE:
            return SIMPLE[number](raw)
        if number == 5:  # noqa: PLR2004 - struct_value
            return structure(raw, depth + 1)
        if number == 6:  # noqa: PLR2004 - list_value
            return [_value(one, depth + 1) for place, one in wire(_bytes(raw)) if place == 1]
    return None


def _number(value: Any) -> float | int:
    found = real(value)
    return int(found) if found.is_integer() and abs(found) < 1 << 53 else found


SIMPLE: dict[int, Callable[[Any], Any]] = {1: lambda _: None, 2: _number, 3: text, 4: truth}

DEVICE_INFO: Fields = {
    3: Field("applicationId", text),
    4: Field("applicationName", text),
    7: Field("deviceName", text),
    8: Field("devEui", text),
}
LOCATION: Fields = {1: Field("latitude", real), 2: Field("longitude", real), 3: Field("altitude", real)}
RX_INFO: Fields = {1: Field("gatewayId", text), 6: Field("rssi", whole), 7: Field("snr", real)}
HEAD: Fields = {
    1: Field("deduplicationId", text),
    2: Field("time", moment),
    3: Field("deviceInfo", message(DEVICE_INFO)),
}
EVENTS: dict[str, Fields] = {
    "up": HEAD
    | {
        7: Field("fCnt", whole),
        8: Field("fPort", whole),
        10: Field("data", encoded),
        11: Field("object", structure),
        12: Field("rxInfo", message(RX_INFO), repeated=True),
    },
    "join": HEAD,
    "ack": HEAD | {5: Field("acknowledged", truth), 6: Field("fCntDown", whole)},
    "status": HEAD
    | {
        5: Field("margin", whole),
        6: Field("externalPowerSource", truth),
        7: Field("batteryLevelUnavailable", truth),
        8: Field("batteryLevel", real),
    },
    "log": {
        1: Field("time", moment),
        2: Field("deviceInfo", message(DEVICE_INFO)),
        3: Field("level", choice(LEVELS)),
        4: Field("code", choice(CODES)),
        5: Field("description", text),
    },
    "location": HEAD | {4: Field("location", message(LOCATION))},
}


def read_event(kind: str, body: bytes) -> dict[str, Any]:
    """Return an event as its JSON form has it. Raises BadPayload."""
    fields = EVENTS.get(kind)
    return message(fields)(body) if fields is not None else {}
