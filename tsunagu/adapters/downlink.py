"""Commands to LoRaWAN devices: ChirpStack v4 takes them as downlinks over MQTT (chirpstack-docs, integrations/mqtt.md).

`application/<application id>/device/<devEui>/command/down` gets {"devEui", "confirmed", "fPort"} with "data", base64,
or, where the network's codec is to encode it, "object". `internal_attributes.downlink` of group or device gives
``{"fPort": 85, "confirmed": false}``; a command whose payloadType is binary or text makes the bytes itself.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from tsunagu.adapters.errors import BadMeasure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tsunagu.adapters.catalogue import Entry
    from tsunagu.adapters.devices.plan import Plan

CHIRPSTACK = "/iot/chirpstack"
LARGEST_PORT = 223  # the last one for applications (LoRaWAN 1.0.4, 4.3.2)
MADE_HERE = ("binaryfromstring", "binaryfromhex", "binaryfromjson", "text")


@dataclass(frozen=True, slots=True)
class Downlink:
    """How a device's downlinks are sent."""

    port: int
    confirmed: bool = False


def downlink_of(settings: Mapping[str, Any]) -> Downlink | None:
    """Return how downlinks are sent, None if nothing is said. Raises BadMeasure naming the member."""
    given = settings.get("downlink")
    if given is None:
        return None
    if not isinstance(given, dict) or not given.keys() <= {"fPort", "confirmed"}:
        raise BadMeasure("internal_attributes.downlink must be an object with fPort and maybe confirmed")
    port, confirmed = given.get("fPort"), given.get("confirmed", False)
    if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= LARGEST_PORT:
        raise BadMeasure(f"internal_attributes.downlink.fPort must be a whole number from 1 to {LARGEST_PORT}")
    if not isinstance(confirmed, bool):
        raise BadMeasure("internal_attributes.downlink.confirmed must be true or false")
    return Downlink(port, confirmed)


def topic_of(plan: Plan) -> str:
    """Return the topic on which a device's network takes downlinks."""
    return f"application/{plan.apikey}/device/{_eui(plan)}/command/down"


def wrapped(plan: Plan, command: Entry, payload: bytes) -> bytes:
    """Return a command's payload as its network takes it. Raises BadMeasure if there is no port for it."""
    if plan.downlink is None:
        raise BadMeasure(f"{command['name']}: a LoRaWAN device needs internal_attributes.downlink with fPort")
    message: dict[str, Any] = {
        "devEui": _eui(plan),
        "confirmed": plan.downlink.confirmed,
        "fPort": plan.downlink.port,
    }
    content = None if (command.get("payloadType") or "").lower() in MADE_HERE else orjson.loads(payload)
    if isinstance(content, dict):
        message["object"] = content
    else:
        message["data"] = base64.b64encode(payload).decode()
    return orjson.dumps(message)


def _eui(plan: Plan) -> str:
    return plan.device_id.replace(":", "").replace("-", "").lower()
