"""How a notification travels: one file per transport, and the table of URI schemes below.

A new transport is a file here and a row in SCHEMES.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsunagu.subscriptions.transports.http import HttpTransport
from tsunagu.subscriptions.transports.mqtt import MqttTransport
from tsunagu.subscriptions.transports.transport import Message, Result, Transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from tsunagu.broker.access.outgoing import OutgoingGuard

SCHEMES: dict[str, Callable[[OutgoingGuard], Transport]] = {
    "http": HttpTransport,
    "https": HttpTransport,
    "mqtt": MqttTransport,
    "mqtts": MqttTransport,
}

__all__ = ["SCHEMES", "Message", "Result", "Transport", "Transports"]


class Transports:
    """The transports of a process, made when first used; `close` closes them."""

    def __init__(self, guard: OutgoingGuard) -> None:
        self._guard = guard
        self._made: dict[Callable[[OutgoingGuard], Transport], Transport] = {}

    async def send(self, message: Message) -> Result:
        """Send a message by the transport of its URI's scheme."""
        factory = SCHEMES[message.uri.partition(":")[0].lower()]
        transport = self._made.get(factory)
        if transport is None:
            transport = self._made[factory] = factory(self._guard)
        return await transport.send(message)

    async def close(self) -> None:
        """Close all connections."""
        made, self._made = self._made, {}
        for transport in made.values():
            await transport.close()
