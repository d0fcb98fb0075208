"""The entities that the benchmarks store: water level stations of eight attributes."""

from __future__ import annotations

from typing import Any


def station(number: int) -> dict[str, Any]:
    """Return a water level station: eight attributes, about 600 bytes."""
    spread = (number * 7919 % 10_000) / 10_000
    return {
        "id": f"urn:ngsi-ld:WaterLevelObserved:{number:06d}",
        "type": "WaterLevelObserved",
        "name": {"type": "Property", "value": f"Station {number:06d}"},
        "waterLevel": {
            "type": "Property",
            "value": round(spread * 5, 3),
            "unitCode": "MTR",
            "observedAt": "2026-11-21T00:00:00Z",
        },
        "flowRate": {"type": "Property", "value": round(spread * 100, 2)},
        "temperature": {"type": "Property", "value": 15.5, "unitCode": "CEL"},
        "batteryLevel": {"type": "Property", "value": 0.87},
        "status": {"type": "Property", "value": "ok"},
        "location": {
            "type": "GeoProperty",
            "value": {
                "type": "Point",
                "coordinates": [134.6 + spread * 0.22, 34.6 + (number * 31 % 1000) / 1000 * 0.18],
            },
        },
        "refDevice": {"type": "Relationship", "object": f"urn:ngsi-ld:Device:{number:06d}"},
    }
