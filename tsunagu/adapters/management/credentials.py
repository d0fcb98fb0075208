"""Giving devices credentials of their own, one or many; and which devices still have none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.adapters import clock
from tsunagu.adapters.catalogue import DEVICES
from tsunagu.adapters.credentials import digest, fingerprint_of, new_token
from tsunagu.adapters.devices.registry import device_id_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tsunagu.adapters.catalogue import Entry
    from tsunagu.adapters.provisioning.store import ProvisioningStore

SHARED, TOKEN, CERTIFICATE = "sharedApikey", "token", "certificate"


def shown(device: Entry) -> dict[str, Any]:
    """Return what is known of a device's credential: its kinds and when it was issued, nothing of the secret."""
    given = device.get("credentials") or {}
    kinds = [kind for kind, member in ((TOKEN, "token"), (CERTIFICATE, "fingerprint")) if given.get(member)]
    found: dict[str, Any] = {
        "deviceId": device["device_id"],
        "apikey": device.get("apikey"),
        "servicePath": device["service_path"],
        "credentials": kinds or [SHARED],
        "weak": not kinds,
    }
    if given.get("fingerprint"):
        found["fingerprint"] = given["fingerprint"]
    if given.get("token"):
        found["issuedAt"] = clock.iso(given["token"]["issuedAt"])
    return found


async def listed(store: ProvisioningStore, tenant: str, *, weak: bool | None) -> list[dict[str, Any]]:
    """Return the devices of a tenant with their credentials; with `weak` only those without (or with) their own."""
    devices = [shown(device) for device in await store.catalogue.find(tenant, DEVICES)]
    return [one for one in devices if weak is None or one["weak"] == weak]


async def issue(store: ProvisioningStore, tenant: str, devices: Sequence[Entry], *, overlap: float) -> list[Entry]:
    """Give each device a new token; return the devices with "token", which nobody can read again.

    The old token counts for `overlap` seconds longer.
    """
    issued = []
    for device in devices:
        token, now = new_token(), clock.now()
        given = dict(device.get("credentials") or {})
        old = (given.get("token") or {}).get("digest", "")
        given["token"] = {"digest": digest(token), "issuedAt": now}
        if old and overlap:
            given["token"] |= {"previous": old, "until": now + round(overlap * 1000)}
        await _write(store, tenant, {**device, "credentials": given})
        issued.append({**device, "token": token})
    return issued


async def pin(store: ProvisioningStore, tenant: str, device: Entry, fingerprint: str) -> Entry:
    """Bind a device to a client certificate; return the device. Raises BadMeasure."""
    given = {**(device.get("credentials") or {}), "fingerprint": fingerprint_of(fingerprint)}
    changed = {**device, "credentials": given}
    await _write(store, tenant, changed)
    return changed


async def withdraw(store: ProvisioningStore, tenant: str, device: Entry) -> None:
    """Take a device's credentials away: its apikey is enough again."""
    await _write(store, tenant, {name: value for name, value in device.items() if name != "credentials"})


async def _write(store: ProvisioningStore, tenant: str, device: Entry) -> None:
    key = device_id_of(device["service_path"], device.get("apikey") or "", device["device_id"])
    await store.catalogue.replace(tenant, DEVICES, key, device)
    store.registry.device_changed(tenant, key)
