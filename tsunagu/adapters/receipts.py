"""Idempotency keys of updates: what makes a repeated message harmless.

What a reading is known by, the first of these that there is:

1. its own key (ChirpStack's deduplicationId …), or that of the quarantine that it comes from;
2. its own time: device, time and bytes are then the same observation;
3. its own number, where the group or device names the member in `internal_attributes.sequence`: device, bytes and the
   hour of receipt, for a device that begins anew counts from 0 again;
4. the sender's word: the HTTP header Idempotency-Key (MQTT 5: a user property), with device and bytes; over MQTT the
   packet id, which counts where the transport says that this is not the first delivery.

Without any of them the same bytes are a new observation: a device without a clock may well measure the same twice.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from tsunagu.adapters.errors import BadMeasure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tsunagu.adapters.message import Measure, Message
    from tsunagu.adapters.sink import EntityUpdate

HOUR = 3_600_000
LONGEST_KEY = 256  # characters of an Idempotency-Key


def sequence_of(settings: Mapping[str, Any]) -> str | None:
    """Return the member that numbers a device's messages, None if none does. Raises BadMeasure."""
    name = settings.get("sequence")
    if name is not None and (not isinstance(name, str) or not name):
        raise BadMeasure('internal_attributes.sequence must be the name of a member of the measures, e.g. "seq"')
    return name


def set_receipts(
    message: Message,
    reading: Measure,
    updates: list[EntityUpdate],
    *,
    dated: bool,
    index: int,
    sequence: str | None = None,
) -> None:
    """Give the updates of one reading their idempotency keys; `sequence` is the member that numbers the messages.

    `fresh` says that the transport calls this the first delivery.
    """
    given, fresh = reading.receipt, False
    if given is None and message.key and not dated:
        given = f"{message.key}/{index}"
    if given is None:
        if dated:
            known = f"t{reading.time}"
        elif sequence is not None and reading.values.get(sequence) is not None:
            known = f"s{reading.values[sequence]}/{message.received // HOUR}"
        elif message.repeat_key:
            known = f"i{message.repeat_key}"
        elif message.tag:
            known, fresh = f"p{message.tag}", not message.redelivered
        else:
            return
        digest = blake2b(message.body, digest_size=16)
        digest.update(f"\0{message.origin}\0{reading.apikey}\0{reading.device_id}\0{index}\0{known}".encode())
        given = digest.hexdigest()
    for number, update in enumerate(updates):
        update.receipt = f"{given}/{number}" if number else given
        update.fresh = fresh
