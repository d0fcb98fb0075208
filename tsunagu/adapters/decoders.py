"""Decoders of known sensors, for networks that hand on the bytes; a device names one in `internal_attributes.decoder`.

The results have the names of the makers' own decoders, made regular by device_objects (sources: Milesight
SensorDecoders, em-series; dragino-end-node-decoder, LDDS75).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tsunagu.adapters.byte_layout import compile_layout
from tsunagu.adapters.device_objects import Part, normalize
from tsunagu.adapters.errors import BadMeasure, BadPayload

if TYPE_CHECKING:
    from collections.abc import Mapping

Unpack = Callable[[bytes], list[Part]]

BATTERY, DEPTH, DISTANCE, DISTANCE_ALARM, HISTORY = (1, 0x75), (3, 0x77), (3, 0x82), (0x83, 0xE9), (0x20, 0xCE)
ABOUT_ITSELF = {(0xFF, 0x01): 1, (0xFF, 0x09): 2, (0xFF, 0x0A): 2, (0xFF, 0xFF): 2, (0xFF, 0x16): 8, (0xFF, 0x0F): 1}
ABOUT_ITSELF |= {(0xFF, 0xFE): 1, (0xFF, 0x0B): 1, (0xFF, 0x1B): 5}
ALARMS = {0: "normal", 1: "threshold_alarm", 2: "mutation_alarm"}
LDDS75_SHORTEST = 5
NO_SENSOR, NEAREST = 0, 280


def milesight(reading: str) -> Unpack:
    """Return the decoder of an EM500 that measures `reading` ("depth" in cm, "distance" in mm)."""

    def unpack(payload: bytes) -> list[Part]:
        decoded: dict[str, Any] = {}
        position = 0
        while position + 2 <= len(payload):
            channel = (payload[position], payload[position + 1])
            position += 2
            length = _channel(channel, payload[position:], decoded, reading)
            if length is None or position + length > len(payload):
                raise BadPayload(
                    f"byte {position - 2}: channel {channel[0]:02x} {channel[1]:02x} is unknown or cut short"
                )
            position += length
        return normalize(decoded)

    return unpack


def _channel(channel: tuple[int, int], rest: bytes, decoded: dict[str, Any], reading: str) -> int | None:
    """Read one channel into `decoded`; return how many bytes it has, None if it is unknown."""
    if channel in ABOUT_ITSELF:
        return ABOUT_ITSELF[channel]
    if channel == BATTERY and rest:
        decoded["battery"] = rest[0]
        return 1
    if channel == (DEPTH if reading == "depth" else DISTANCE):
        decoded.update(_reading(reading, rest))
        return 2
    if channel == DISTANCE_ALARM and reading == "distance" and len(rest) >= 5:  # noqa: PLR2004 - two numbers and a flag
        decoded["distance"] = int.from_bytes(rest[:2], "little") / 10
        decoded["distance_mutation"] = int.from_bytes(rest[2:4], "little") / 10
        decoded["distance_alarm"] = ALARMS.get(rest[4], "unknown")
        return 5
    if channel == HISTORY:
        entry = {"timestamp": int.from_bytes(rest[:4], "little"), **_reading(reading, rest[4:6])}
        decoded.setdefault("history", []).append(entry)
        return 6
    return None


def _reading(name: str, raw: bytes) -> dict[str, Any]:
    value = int.from_bytes(raw[:2], "little")
    return {name: value}


def ldds75(payload: bytes) -> list[Part]:
    """Read a Dragino LDDS75: battery in mV (14 bits), distance in mm; 0: no sensor, less than 280: no reading."""
    if len(payload) < LDDS75_SHORTEST:
        raise BadPayload(f"payload of {len(payload)} bytes is too short for an LDDS75")
    distance = int.from_bytes(payload[2:4])
    shown: Any = "No Sensor" if distance == NO_SENSOR else "Invalid Reading" if distance < NEAREST else distance
    battery = (int.from_bytes(payload[:2]) & 0x3FFF) / 1000
    return normalize({"Node_type": "LDDS75", "Bat": battery, "Distance": shown, "Interrupt_status": payload[4]})


DECODERS: dict[str, Unpack] = {
    "milesight-em500-swl": milesight("depth"),
    "milesight-em500-udl": milesight("distance"),
    "dragino-ldds75": ldds75,
}


def unpacker(settings: Mapping[str, Any]) -> Unpack | None:
    """Return how a device's bytes are read: `decoder` or `layout` of its settings. Raises BadMeasure naming it."""
    name, layout = settings.get("decoder"), settings.get("layout")
    if name is not None:
        if name not in DECODERS:
            raise BadMeasure(f"internal_attributes.decoder: {name!r} is none of {', '.join(DECODERS)}")
        return DECODERS[name]
    if layout is None:
        return None
    if not isinstance(layout, str):
        raise BadMeasure("internal_attributes.layout must be text, e.g. level:0:uint:16")
    return compile_layout(layout)
