"""What a device shows to be itself: a token over HTTP, or the certificate that a TLS gateway has verified.

A device without either is known by its group's apikey alone, which all devices of the group share: that is weak. Of a
token only its SHA-256 is kept. A token that was replaced may count for a while longer, so that devices in the field can
be told the new one. Over MQTT 5 a device may show its token as a user property; else the MQTT broker authenticates, and
its access rules bind a device to its topic: `internal_attributes.mqttAuthenticated` says so. Without either a device
that has a credential is refused there.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tsunagu.adapters.errors import BadMeasure, NotAllowed

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "tsd_"
TOKEN_BYTES = 24
HEX = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Proof:
    """What a request shows: the digest of its token, and the fingerprint that the gateway names; "" for none."""

    token: str = ""
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Credential:
    """What one device must show: one of these. `previous` counts until `until` (epoch ms)."""

    token: str = ""
    previous: str = ""
    until: int = 0
    fingerprint: str = ""
    trusts_mqtt: bool = False

    def accepts(self, proof: Proof, now: int) -> bool:
        """Tell whether a proof is this device's."""
        if self.fingerprint and hmac.compare_digest(self.fingerprint, proof.fingerprint):
            return True
        if not proof.token:
            return False
        accepted = [self.token, *([self.previous] if now < self.until else [])]
        return any(one and hmac.compare_digest(one, proof.token) for one in accepted)


def credential_of(device: Mapping[str, Any], settings: Mapping[str, Any]) -> Credential | None:
    """Return what a device must show, None if its apikey is enough. Raises BadMeasure for a wrong setting."""
    trusted = settings.get("mqttAuthenticated")
    if trusted not in (True, False, None):
        raise BadMeasure("internal_attributes.mqttAuthenticated must be true or false")
    given = device.get("credentials")
    if not given:
        return None
    token = given.get("token") or {}
    return Credential(
        token=token.get("digest", ""),
        previous=token.get("previous", ""),
        until=token.get("until", 0),
        fingerprint=given.get("fingerprint", ""),
        trusts_mqtt=trusted is True,
    )


def check_proof(credential: Credential, proof: Proof | None, now: int) -> None:
    """Raise NotAllowed unless a message shows what its device must show; `proof` is None for a message over MQTT."""
    if proof is None:
        if not credential.trusts_mqtt:
            raise NotAllowed(
                "the device has a credential, which this message does not show; send the token as user property "
                "x-device-token (MQTT 5), or set internal_attributes.mqttAuthenticated where the MQTT broker knows it"
            )
    elif not credential.accepts(proof, now):
        raise NotAllowed("the device's own token is needed (Authorization: Bearer …), or its client certificate")


def new_token() -> str:
    """Return a token that nobody can guess."""
    return PREFIX + secrets.token_urlsafe(TOKEN_BYTES)


def digest(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def fingerprint_of(text: str) -> str:
    """Return a certificate's fingerprint (SHA-256 or SHA-1) without separators. Raises BadMeasure."""
    found = re.sub(r"^sha(?:1|256)[:=]", "", text.strip().lower()).replace(":", "").replace(" ", "")
    if not HEX.fullmatch(found):
        raise BadMeasure("fingerprint: must be the SHA-256 or SHA-1 of the certificate, in hexadecimal digits")
    return found
