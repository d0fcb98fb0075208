"""What all transports have in common: a message, a result, and the protocol between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """A notification ready to be sent.

    `bare`: over MQTT the body stands alone, as receivers of NGSIv2 want it, and not in the envelope of clause 7.2.

    `headers` go with it (HTTP headers, MQTT metadata): Content-Type, Link, NGSILD-Tenant, those of receiverInfo.
    `settings` are the pairs of notifierInfo. `timeout` in seconds. For the record: `id` is the notification's,
    `changes` are the keys of the changes that it tells.
    """

    uri: str = field(repr=False)
    body: bytes = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    timeout: float
    settings: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    id: str = ""
    changes: tuple[str, ...] = ()
    bare: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a message.

    `ok`: the receiver has it. `status`: the HTTP status, None if there was none. `reason`: one line for people.
    `refused`: the receiver is well, but does not take this very message. `retry_after`: seconds that it asks to wait.
    `told`: of the jobs that were to go in the message only so many did, the first ones; None: all.
    """

    ok: bool
    status: int | None = None
    reason: str = ""
    refused: bool = False
    retry_after: float | None = None
    told: int | None = None


class Transport(Protocol):
    """Sends messages."""

    async def send(self, message: Message) -> Result:
        """Send one message and wait for its fate, no longer than its timeout. Never raises for the network's faults."""

    async def close(self) -> None:
        """Close all connections."""
