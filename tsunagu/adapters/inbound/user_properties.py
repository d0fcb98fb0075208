"""The properties of a PUBLISH packet of MQTT 5 (3.3.2.3): what its publisher adds beside topic and payload.

Of these the user properties alone are of use here, as the headers of a request are over HTTP: a device's own token, an
Idempotency-Key, and whatever a route reads apikey or device from. An MQTT broker hands them on unaltered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsunagu.adapters.credentials import Proof, digest
from tsunagu.adapters.receipts import LONGEST_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

USER_PROPERTY = 0x26
SUBSCRIPTION = 0x0B  # a variable byte integer
FIXED = {0x01: 1, 0x02: 4, 0x23: 2}  # payload format, message expiry, topic alias
TEXTS = {0x03: 1, 0x08: 1, 0x09: 1, USER_PROPERTY: 2}  # content type, response topic, correlation data
CONTINUES = 0x80


def user_properties(data: bytes) -> dict[str, str]:
    """Return the user properties by name in lower case; of those that stand twice, and of rubbish, nothing."""
    found: dict[str, str] = {}
    twice: set[str] = set()
    at = 0
    while at < len(data):
        kind = data[at]
        at += 1
        if kind in FIXED:
            at += FIXED[kind]
        elif kind == SUBSCRIPTION:
            while at < len(data) and data[at] & CONTINUES:
                at += 1
            at += 1
        elif kind in TEXTS:
            parts = []
            for _ in range(TEXTS[kind]):
                size = int.from_bytes(data[at : at + 2])
                parts.append(data[at + 2 : at + 2 + size].decode("utf-8", "replace"))
                at += 2 + size
            if kind == USER_PROPERTY:
                name, value = parts[0].lower(), parts[1]
                twice.update((name,) if name in found else ())
                found[name] = value
        else:
            return {}
    return {} if at > len(data) else {name: value for name, value in found.items() if name not in twice}


def proof_of(headers: Mapping[str, str]) -> Proof | None:
    """Return what the properties show of their device: `authorization: Bearer <token>` or `x-device-token`."""
    bearer = headers.get("authorization", "")
    token = bearer[7:] if bearer[:7].lower() == "bearer " else headers.get("x-device-token", "")
    return Proof(digest(token.strip())) if token.strip() else None


def repeat_key_of(headers: Mapping[str, str]) -> str:
    """Return the Idempotency-Key among the properties, "" for none and for one that is too long."""
    key = headers.get("idempotency-key", "").strip()
    return key if len(key) <= LONGEST_KEY else ""
