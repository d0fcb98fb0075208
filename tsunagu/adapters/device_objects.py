"""What the decoders of known sensors give, made regular: backfill, error fields, sentinels.

Milesight EM500-SWL/UDL (SensorDecoders, em-series): `history` is a list of older readings, each with its `timestamp`;
`depth_error` stands in for `depth` when the sensor fails, or in older decoders a depth of 65535 or 65533.
Dragino LDDS75 (dragino-end-node-decoder): `Distance` holds "Invalid Reading" or "No Sensor" instead of millimetres,
and its decoder 1.1.4 writes "1240 mm" and "3.35 V".
A fault is never a value: it goes to `status`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tsunagu.adapters.errors import BadPayload, DeviceError
from tsunagu.adapters.json_body import from_base64
from tsunagu.adapters.values import number

SENTINELS = {"LDDS75": ("Distance", frozenset(("Invalid Reading", "No Sensor")))}
MILESIGHT_KEYS = frozenset(
    ("battery", "depth", "depth_error", "distance", "distance_error", "distance_alarm", "distance_mutation", "history")
)
MILESIGHT_READINGS = ("depth", "distance")
FAILED = {"depth": {0xFFFF: "collection failed", 0xFFFD: "out of range"}}
WITH_UNIT = re.compile(r"(-?\d+(?:\.\d+)?) (?:mm|V|°C)")
GOOD = "good"
WEAKEST = -999


@dataclass(slots=True)
class Part:
    """The values of one time; `time` None is that of the message."""

    values: dict[str, Any]
    time: Any = None
    status: str | None = None
    faulty: frozenset[str] = frozenset()


def reception(heard: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the named members of the strongest of several gateways' receptions, those that are there."""
    receptions = [one for one in heard if isinstance(one, dict)] if isinstance(heard, list) else []
    best = max(receptions, key=_strength, default={})
    return {name: best[name] for name in names if best.get(name) is not None}


def sequence(value: Any) -> int:
    """Return a frame's port or counter, which is left out where it is 0. Raises BadPayload."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadPayload(f"a frame's port and counter are whole numbers from 0 on and not {str(value)[:40]!r}")
    return value


def parts_of(decoded: Any, encoded: Any, *, names: tuple[str, str]) -> tuple[list[Part], bytes]:
    """Return the readings of an uplink, and its bytes where it was not decoded.

    `decoded` is what the network's decoder gave, `encoded` the payload in base64; `names` are those of both members.
    Raises BadPayload.
    """
    if isinstance(decoded, dict):
        return normalize(decoded), b""
    if decoded is not None:
        raise BadPayload(f"{names[0]} must be an object and not {type(decoded).__name__}")
    raw = from_base64(encoded or "", names[1])
    return ([Part({"data": raw.hex()})] if raw else []), raw


def _strength(one: dict[str, Any]) -> float:
    rssi = one.get("rssi")
    return rssi if isinstance(rssi, int | float) and not isinstance(rssi, bool) else WEAKEST


def normalize(decoded: dict[str, Any]) -> list[Part]:
    """Return a decoder's result as readings by time, oldest first; shapes that are not known stay as they are."""
    kind = decoded.get("Node_type")
    if isinstance(kind, str) and kind in SENTINELS:
        return [_with_sentinel(decoded, *SENTINELS[kind])]
    history = decoded.get("history")
    backfill = _backfill(history) if isinstance(history, list) else None
    if backfill is not None:
        decoded = {key: value for key, value in decoded.items() if key != "history"}
    current = _milesight(decoded) if MILESIGHT_KEYS.issuperset(decoded) else Part(decoded)
    return [*(backfill or ()), *([current] if decoded else ())]


def _backfill(history: list[Any]) -> list[Part] | None:
    """Return the older readings, or None if this `history` is something else."""
    parts = []
    for i, entry in enumerate(history):
        if not isinstance(entry, dict) or "timestamp" not in entry:
            return None
        if entry["timestamp"] is None:
            raise BadPayload(f"history[{i}].timestamp is null: when that was measured cannot be told")
        part = _milesight({k: v for k, v in entry.items() if k != "timestamp"})
        parts.append(Part(part.values, entry["timestamp"], part.status, part.faulty))
    return sorted(parts, key=lambda part: part.time if isinstance(part.time, int | float) else 0)


def _milesight(decoded: dict[str, Any]) -> Part:
    for name in MILESIGHT_READINGS:
        value = decoded.get(name)
        error = decoded.get(f"{name}_error", FAILED.get(name, {}).get(value) if type(value) is int else None)
        if error is not None:
            values = {k: v for k, v in decoded.items() if k not in (name, f"{name}_error")}
            return Part(values, status=str(error), faulty=frozenset((name,)))
        if value is not None:
            return Part(decoded, status=GOOD)
    return Part(decoded)


def _with_sentinel(decoded: dict[str, Any], name: str, words: frozenset[str]) -> Part:
    """Return the values; `name` holds a number, or one of `words`. Raises BadPayload for anything else."""
    values = {key: _without_unit(value) for key, value in decoded.items()}
    reading = values.get(name)
    if isinstance(reading, str) and reading in words:
        del values[name]
        return Part(values, status=reading, faulty=frozenset((name,)))
    if reading is None:
        return Part(values)
    try:
        values[name] = number(reading)
    except DeviceError:
        known = ", ".join(sorted(words))
        raise BadPayload(f"{name}: {str(reading)[:40]!r} is neither a number nor one of {known}") from None
    return Part(values, status=GOOD)


def _without_unit(value: Any) -> Any:
    match = WITH_UNIT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    return float(match[1]) if "." in match[1] else int(match[1])
