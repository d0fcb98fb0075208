"""What the decoders of known sensors give, made regular: backfill, error fields, sentinels.

Milesight EM500-SWL/UDL (SensorDecoders, em-series): `history` is a list of older readings, each with its `timestamp`;
`depth_error` stands in for `depth` when the sensor fails. Dragino LDDS75 (dragino-end-node-decoder): `Distance` holds
"Invalid Reading" or "No Sensor" instead of millimetres, and its decoder 1.1.4 writes "1240 mm" and "3.35 V".
A fault is never a value: it goes to `status`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

SENTINELS = {"LDDS75": ("Distance", frozenset(("Invalid Reading", "No Sensor")))}
MILESIGHT_KEYS = frozenset(
    ("battery", "depth", "depth_error", "distance", "distance_error", "distance_alarm", "distance_mutation", "history")
)
MILESIGHT_READINGS = ("depth", "distance")
WITH_UNIT = re.compile(r"(-?\d+(?:\.\d+)?) (?:mm|V|°C)")
GOOD = "good"


@dataclass(slots=True)
class Part:
    """The values of one time; `time` None is that of the message."""

    values: dict[str, Any]
    time: Any = None
    status: str | None = None
    faulty: frozenset[str] = frozenset()


def normalize(decoded: dict[str, Any]) -> list[Part]:
    """Return a decoder's result as readings by time, oldest first; shapes that are not known stay as they are."""
    if decoded.get("Node_type") in SENTINELS:
        return [_with_sentinel(decoded)]
    history = decoded.get("history")
    backfill = _backfill(history) if isinstance(history, list) else None
    if backfill is not None:
        decoded = {key: value for key, value in decoded.items() if key != "history"}
    current = _milesight(decoded) if MILESIGHT_KEYS.issuperset(decoded) else Part(decoded)
    return [*(backfill or ()), *([current] if decoded else ())]


def _backfill(history: list[Any]) -> list[Part] | None:
    """Return the older readings, or None if this `history` is something else."""
    parts = []
    for entry in history:
        if not isinstance(entry, dict) or "timestamp" not in entry:
            return None
        parts.append(Part({k: v for k, v in entry.items() if k != "timestamp"}, entry["timestamp"]))
    return sorted(parts, key=lambda part: part.time if isinstance(part.time, int | float) else 0)


def _milesight(decoded: dict[str, Any]) -> Part:
    for name in MILESIGHT_READINGS:
        error = decoded.get(f"{name}_error")
        if error is not None:
            values = {k: v for k, v in decoded.items() if k not in (name, f"{name}_error")}
            return Part(values, status=str(error), faulty=frozenset((name,)))
        if name in decoded:
            return Part(decoded, status=GOOD)
    return Part(decoded)


def _with_sentinel(decoded: dict[str, Any]) -> Part:
    name, words = SENTINELS[decoded["Node_type"]]
    values = {key: _without_unit(value) for key, value in decoded.items()}
    reading = values.get(name)
    if isinstance(reading, str) and reading in words:
        del values[name]
        return Part(values, status=reading, faulty=frozenset((name,)))
    return Part(values, status=GOOD)


def _without_unit(value: Any) -> Any:
    match = WITH_UNIT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    return float(match[1]) if "." in match[1] else int(match[1])
