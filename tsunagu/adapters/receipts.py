"""Idempotency keys of updates: what makes a repeated message harmless."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tsunagu.adapters.message import Measure, Message
    from tsunagu.adapters.sink import EntityUpdate


def set_receipts(message: Message, reading: Measure, updates: list[EntityUpdate], *, dated: bool, index: int) -> None:
    """Give the updates of one reading their idempotency keys.

    The reading's own key if it has one; else, for a reading with a time of its own, the digest of device, time and
    bytes: the same three are then the same observation. Without a time only the transport can tell a repetition: its
    packet id goes into the digest, and `fresh` says whether it calls this the first delivery. Over HTTP there is no
    such id, and no receipt.
    """
    given, fresh = reading.receipt, False
    if given is None and message.key and not dated:
        given = f"{message.key}/{index}"
    if given is None:
        if not dated and not message.tag:
            return
        digest = blake2b(message.body, digest_size=16)
        when = f"t{reading.time}" if dated else f"p{message.tag}"
        digest.update(f"\0{message.origin}\0{reading.apikey}\0{reading.device_id}\0{index}\0{when}".encode())
        given = digest.hexdigest()
        fresh = not dated and not message.redelivered
    for number, update in enumerate(updates):
        update.receipt = f"{given}/{number}" if number else given
        update.fresh = fresh
