"""The first steps: what a message says by its format's codec, and which device each of its readings is of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsunagu.adapters.credentials import check_proof
from tsunagu.adapters.devices.plan import settings_of
from tsunagu.adapters.errors import BadPayload, DeviceError, EntityRefused, GroupNotFound, NotAllowed, TooLarge
from tsunagu.adapters.registry import FORMATS
from tsunagu.adapters.sink import SinkUnavailable
from tsunagu.adapters.work import Item, Work, fail

LONGEST_ID = 256

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tsunagu.adapters.credentials import Credential
    from tsunagu.adapters.devices.plan import Plan
    from tsunagu.adapters.devices.registry import DeviceRegistry
    from tsunagu.adapters.format import Format
    from tsunagu.adapters.message import Message


async def decode(work: Sequence[Work], registry: DeviceRegistry) -> None:
    """Read every message by its format's codec."""
    for one in work:
        row = FORMATS[one.message.format]
        try:
            if one.message.too_large:
                raise TooLarge(f"the payload has {one.message.too_large} bytes, more than are taken")  # noqa: TRY301
            if one.message.fault is not None:
                raise one.message.fault  # noqa: TRY301
            check_names(one.message)
            if row.configured:
                group = await registry.group(row.resources, one.message.named.get("apikey", ""))
                check_realm(one.message, group["service"])
                one.tenant = group["service"]
                readings = row.decode(one.message, settings_of(group.get("internal_attributes")))
            else:
                readings = row.decode(one.message)
            one.items = [Item(reading) for reading in readings]
        except SinkUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the others of the batch go on
            fail(one, error)
            one.tenant = one.tenant or one.message.realm or await _tenant_of(one.message, row, registry)


async def _tenant_of(message: Message, row: Format, registry: DeviceRegistry) -> str:
    """Return whose quarantine a message belongs to that nobody could read: that of its apikey's group."""
    try:
        group = await registry.group(row.resources, message.named.get("apikey", ""))
    except DeviceError:
        return ""
    return str(group["service"])


async def identify(work: Sequence[Work], registry: DeviceRegistry) -> None:
    """Find the plan of every reading's device: in memory, or in the registry."""
    for one in work:
        if one.error is not None:
            continue
        resources = FORMATS[one.message.format].resources
        for item in one.items:
            reading = item.reading
            plan = registry.known(resources, reading.apikey, reading.device_id)
            if plan is None or (one.message.realm is not None and plan.tenant != one.message.realm):
                plan = await _look_up(one, item, resources, registry=registry)
                if plan is None:
                    break
            if plan.credential is not None and not is_proven(one, plan.credential):
                break
            item.plan = plan
            one.tenant = plan.tenant


async def _look_up(one: Work, item: Item, resources: tuple[str, ...], *, registry: DeviceRegistry) -> Plan | None:
    reading, realm = item.reading, one.message.realm
    try:
        if not 0 < len(reading.device_id) <= LONGEST_ID:
            raise EntityRefused(f"a device id has 1 to {LONGEST_ID} characters")  # noqa: TRY301
        if realm is not None:
            check_realm(one.message, (await registry.group(resources, reading.apikey))["service"])
        return await registry.find(resources, reading.apikey, reading.device_id)
    except SinkUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - the others of the batch go on
        fail(one, error)
        group = registry.group_of(resources, reading.apikey) if realm is None else None
        one.tenant = group["service"] if group else realm or ""
        return None


def check_names(message: Message) -> None:
    """Raise BadPayload for a message whose topic has nothing in the place of apikey or device."""
    named = message.named
    for name in ("apikey", "device"):
        if named.get(name) == "":
            raise BadPayload(f"the topic's level for the {name} is empty")


def is_proven(one: Work, credential: Credential) -> bool:
    """Tell whether a message shows what its device must show; one that does not is refused and not kept.

    What comes out of the quarantine again was let in there by a person.
    """
    if one.message.key:
        return True
    try:
        check_proof(credential, one.message.proof, one.message.received)
    except NotAllowed as error:
        one.error, one.discard = error, True
        return False
    return True


def check_realm(message: Message, tenant: str) -> None:
    """Raise GroupNotFound for a group of another tenant than the one that the message may reach."""
    if message.realm is not None and tenant != message.realm:
        raise GroupNotFound("Couldn't find device group for the apikey of this message in the connection's tenant")
