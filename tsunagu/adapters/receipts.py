"""Idempotency keys of updates: what makes a repeated message harmless."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tsunagu.adapters.message import Message
    from tsunagu.adapters.sink import EntityUpdate


def set_receipts(message: Message, updates: list[EntityUpdate], given: str | None, *, dated: bool, index: int) -> None:
    """Give the updates of one reading their idempotency keys.

    The message's own key if it has one; else, for a message with a time of its own, the digest of its bytes: the same
    bytes are then the same observation. Without a time only the transport can tell a repetition: its packet id goes
    into the digest, and `fresh` says whether it calls this the first delivery. Over HTTP there is no such id, and no
    receipt.
    """
    if given is None and message.key and not dated:
        given = f"{message.key}/{index}"
    if given is None:
        if not dated and not message.tag:
            return
        digest = blake2b(message.body, digest_size=16)
        digest.update(f"\0{message.origin}\0{index}\0{0 if dated else message.tag}".encode())
        given = digest.hexdigest()
        fresh = not dated and not message.redelivered
    else:
        fresh = False
    for number, update in enumerate(updates):
        update.receipt = f"{given}/{number}" if number else given
        update.fresh = fresh
