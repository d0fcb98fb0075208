"""The shapes in which BLE gateways report adverts; `named["shape"]` says which one a topic or path carries.

Sources: barnowl-minew (JSON-LONG, JSON-RAW), AprilBrother gateway V4 guide (MessagePack), Ruuvi gateway docs,
OpenMQTTGateway. A gateway's own id is written as twelve hexadecimal digits without separators. AprilBrother's `time`
counts from its boot and OpenMQTTGateway sends none: the time of receipt counts.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from typing import TYPE_CHECKING, Any

import msgpack  # type: ignore[import-untyped]

from tsunagu.adapters import json_body, values
from tsunagu.adapters.ble_gateway.frames import ibeacon, identity
from tsunagu.adapters.errors import BadMeasure, BadPayload, MissingParameters
from tsunagu.adapters.message import Message, Reading, Sighting

if TYPE_CHECKING:
    from collections.abc import Callable

APRIL_HEADER = 8
MAX_ADVERTS = 5000
LARGEST_UINT16 = 0xFFFF


def decode(message: Message) -> list[Reading]:
    """Return the sightings of a message. Raises BadPayload."""
    shape = message.named.get("shape", "")
    read = SHAPES.get(shape)
    if read is None:
        raise BadPayload(f"shape {shape[:40]!r} is none of {', '.join(SHAPES)}")
    sightings = read(message)
    if len(sightings) > MAX_ADVERTS:
        raise BadPayload(f"{len(sightings)} adverts in one message; at most {MAX_ADVERTS} are taken")
    return sightings


def mac(text: Any) -> str:
    """Return a MAC as twelve hexadecimal digits in lower case. Raises BadPayload."""
    digits = str(text).replace(":", "").replace("-", "").lower()
    if len(digits) != 12 or not all(c in "0123456789abcdef" for c in digits):  # noqa: PLR2004 - six bytes
        raise BadPayload("a MAC address has twelve hexadecimal digits")
    return digits


def signal(value: Any) -> int | None:
    """Return an RSSI in dBm, None if there is none. Raises BadPayload."""
    if value is None:
        return None
    try:
        return round(values.number(value))
    except BadMeasure:
        raise BadPayload(f"rssi must be a number and not {str(value)[:40]!r}") from None


def advert_bytes(text: Any) -> bytes:
    """Return the bytes of an advert in hexadecimal digits. Raises BadPayload."""
    try:
        return bytes.fromhex(text)
    except (TypeError, ValueError):
        raise BadPayload("adverts are written in hexadecimal digits") from None


def _gateway(message: Message, found: Any) -> str:
    """Return the gateway's id: from the topic or query if it is there, else from the body."""
    given = message.named.get("device")
    if given:
        return given
    if not found:
        raise MissingParameters('Some of the mandatory params weren\'t found in the request: ["Device Id"]')
    return name(found, "the gateway's id")


def name(value: Any, what: str) -> str:
    """Return an id that is text or a whole number. Raises BadPayload saying what it should be."""
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise BadPayload(f"{what} must be text and not {str(value)[:40]!r}")
    return str(value)


def _objects(body: bytes) -> list[dict[str, Any]]:
    value = json_body.parse(body)
    if not isinstance(value, list) or not value or not all(isinstance(one, dict) for one in value):
        raise BadPayload("the payload must be an array of objects, the gateway first")
    return value


def minew_long(message: Message) -> list[Reading]:
    """Read Minew JSON-LONG: [{"type": "Gateway", "mac"}, {"timestamp", "mac", "rssi", "rawData"} …].

    Other firmware gives an iBeacon as "ibeaconUuid", "ibeaconMajor" and "ibeaconMinor" instead of "rawData".
    """
    if message.body.removeprefix(BOM_UTF8).lstrip()[:1] != b"[":
        raise BadPayload("this is no JSON: firmware 2 and 3 can send a binary form; set the gateway to JSON-LONG")
    head, *rest = _objects(message.body)
    if head.get("type") != "Gateway":
        raise BadPayload('element 0 must be the gateway: {"type": "Gateway", "mac": …}')
    gateway = _gateway(message, mac(head.get("mac")))
    sightings: list[Reading] = []
    for one in rest:
        address = mac(one.get("mac"))
        tag = identity(advert_bytes(one["rawData"])) if one.get("rawData") else _minew_ibeacon(one)
        sightings.append(_sighting(message, gateway, tag or address, address, one))
    return sightings


def _minew_ibeacon(one: dict[str, Any]) -> str | None:
    """Return the identity of an advert that the gateway has read itself ("type": "iBeacon"), None for other adverts."""
    if "ibeaconUuid" not in one:
        return None
    return _ibeacon({"uuid": one["ibeaconUuid"], "major": one.get("ibeaconMajor"), "minor": one.get("ibeaconMinor")})


def minew_raw(message: Message) -> list[Reading]:
    """Read Minew JSON-RAW: [{"gateway"}, {"mac", "no", "rssi", "timestamp"} …]; it has no advert, only addresses."""
    head, *rest = _objects(message.body)
    if "gateway" not in head:
        raise BadPayload('element 0 must be the gateway: {"gateway": …}')
    gateway = _gateway(message, mac(head["gateway"]))
    return [_sighting(message, gateway, mac(one.get("mac")), mac(one.get("mac")), one) for one in rest]


def _sighting(message: Message, gateway: str, tag: str, address: str, one: dict[str, Any]) -> Sighting:
    return Sighting(message.named["apikey"], gateway, tag, address, signal(one.get("rssi")), one.get("timestamp"))


def aprilbrother(message: Message) -> list[Reading]:
    """Read AprilBrother V4: MessagePack {v, mid, time, ip, mac, devices: [type 1, MAC 6, RSSI 1 (256 - x), advert]}."""
    try:  # firmware that knows only the old MessagePack writes its bytes as text
        body = msgpack.unpackb(message.body, unicode_errors="surrogateescape")
    except (ValueError, msgpack.UnpackException):
        raise BadPayload("the payload is not MessagePack") from None
    if not isinstance(body, dict) or not isinstance(body.get("devices"), list):
        raise BadPayload("devices is missing: this is no message of an AprilBrother gateway")
    gateway = _gateway(message, mac(body["mac"]) if "mac" in body else None)
    sightings: list[Reading] = []
    for i, given in enumerate(body["devices"]):
        one = given.encode("utf-8", "surrogateescape") if isinstance(given, str) else given
        if not isinstance(one, bytes) or len(one) < APRIL_HEADER:
            raise BadPayload(f"devices[{i}] must be binary: type, MAC, RSSI, advert")
        address = one[1:7].hex()
        tag = identity(one[APRIL_HEADER:]) or address
        sightings.append(Sighting(message.named["apikey"], gateway, tag, address, one[7] - 256))
    return sightings


def ruuvi(message: Message) -> list[Reading]:
    """Read Ruuvi gateway: {"data": {"gw_mac", "nonce", "tags": {MAC: {"rssi", "timestamp", "data"}}}}.

    Over MQTT it sends each tag by itself, its MAC as the topic's last level: {"gw_mac", "rssi", "gwts", "ts", "data"}.
    """
    body = json_body.parse_object(message.body)
    data = body.get("data")
    if isinstance(data, str) and "gw_mac" in body:
        return [_ruuvi_tag(message, body)]
    if not isinstance(data, dict) or not isinstance(data.get("tags"), dict):
        raise BadPayload("data.tags is missing: this is no message of a Ruuvi gateway")
    gateway = _gateway(message, mac(data["gw_mac"]) if "gw_mac" in data else None)
    nonce = data.get("nonce")
    sightings: list[Reading] = []
    for key, one in data["tags"].items():
        if not isinstance(one, dict):
            raise BadPayload("the members of data.tags must be objects")
        address = mac(key)
        tag = identity(advert_bytes(one["data"])) if one.get("data") else None
        sighting = _sighting(message, gateway, tag or address, address, one)
        sighting.receipt = f"ruuvi/{gateway}/{nonce}/{data.get('timestamp')}/{address}" if nonce is not None else None
        sightings.append(sighting)
    return sightings


def _ruuvi_tag(message: Message, body: dict[str, Any]) -> Sighting:
    gateway = _gateway(message, mac(body["gw_mac"]))
    given = message.named.get("mac")
    address = mac(given) if given else ""
    tag = identity(advert_bytes(body["data"])) or address
    if not tag:
        raise BadPayload("the advert names no beacon, and the topic no MAC: add {mac} to the route's topic")
    return Sighting(message.named["apikey"], gateway, tag, address, signal(body.get("rssi")), body.get("ts"))


def openmqttgateway(message: Message) -> list[Reading]:
    """Read OpenMQTTGateway: {"id": MAC, "rssi", …}, an iBeacon also with "uuid", "major", "minor"."""
    body = json_body.parse_object(message.body)
    address = mac(body.get("id") or message.named.get("mac"))
    tag = address
    if "uuid" in body and "major" in body and "minor" in body:
        tag = _ibeacon(body)
    gateway = _gateway(message, None)
    return [Sighting(message.named["apikey"], gateway, tag, address, signal(body.get("rssi")))]


def edge(message: Message) -> list[Reading]:
    """Read what an edge filter sends: {"gw", "ts", "seq", "ev", "vendor", "uuid", "major", "minor", "rssiMax", "n"}."""
    body = json_body.parse_object(message.body)
    event = body.get("ev")
    if event not in ("enter", "refresh", "leave"):
        raise BadPayload(f"ev must be enter, refresh or leave and not {str(event)[:40]!r}")
    gateway = _gateway(message, body.get("gw"))
    tag = _ibeacon(body)
    # seq begins anew when the edge does: only with its time does it name one event.
    receipt = f"edge/{gateway}/{body['seq']}/{body.get('ts')}" if "seq" in body else None
    count = body.get("n", 1)
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise BadPayload("n must be a whole number from 1 on: how many adverts the edge has merged")
    return [
        Sighting(
            message.named["apikey"],
            gateway,
            tag,
            "",
            signal(body.get("rssiMax")),
            body.get("ts"),
            count,
            event,
            receipt,
        )
    ]


def _ibeacon(body: dict[str, Any]) -> str:
    uuid, major, minor = body.get("uuid"), body.get("major"), body.get("minor")
    digits = str(uuid).replace("-", "")
    if len(digits) != 32 or not all(c in "0123456789abcdefABCDEF" for c in digits):  # noqa: PLR2004 - sixteen bytes
        raise BadPayload("uuid must have 32 hexadecimal digits")
    try:
        return ibeacon(digits, _uint16(major), _uint16(minor))
    except BadMeasure:
        raise BadPayload("major and minor must be whole numbers from 0 to 65535") from None


def _uint16(value: Any) -> int:
    found = values.whole(value)
    if not 0 <= found <= LARGEST_UINT16:
        raise BadMeasure("out of range")
    return found


def pozyx(message: Message) -> list[Reading]:
    """Read Pozyx: [{"deviceId", "timestamp" (s), "data": {"anchorData": [{"anchorId", "rss"} …]}}].

    The positioning engine has merged what its anchors, the readers, heard: each anchor's part is a sighting of its own.
    """
    value = json_body.parse(message.body)
    sightings: list[Reading] = []
    for i, one in enumerate(value if isinstance(value, list) else [value]):
        if not isinstance(one, dict) or "deviceId" not in one or not isinstance(one.get("data"), dict):
            raise BadPayload(f"[{i}] must have deviceId and data: this is no message of Pozyx")
        anchors = one["data"].get("anchorData")
        if not isinstance(anchors, list) or not all(isinstance(anchor, dict) for anchor in anchors):
            raise BadPayload(f"[{i}].data.anchorData must be a list of anchors")
        tag, time = name(one["deviceId"], f"[{i}].deviceId"), one.get("timestamp")
        for anchor in anchors:
            if "anchorId" not in anchor:
                raise BadPayload(f"[{i}].data.anchorData: anchorId is missing")
            reader = name(anchor["anchorId"], "anchorId")
            receipt = f"pozyx/{reader}/{tag}/{time}"
            rssi = signal(anchor.get("rss"))
            sightings.append(Sighting(message.named["apikey"], reader, tag, "", rssi, time, receipt=receipt))
    return sightings


SHAPES: dict[str, Callable[[Message], list[Reading]]] = {
    "minew": minew_long,
    "minew-raw": minew_raw,
    "aprilbrother": aprilbrother,
    "ruuvi": ruuvi,
    "openmqttgateway": openmqttgateway,
    "edge": edge,
    "pozyx": pozyx,
}
