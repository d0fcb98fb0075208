"""Calls between processes: "there is something for you", and no more than that.

On one machine a call is a UDP datagram on 127.0.0.1, between machines it goes through Redis, if there is one. It may
get lost, or come from anybody: all that it does is that the one who is called looks at once into MongoDB, where it
would have looked a little later.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tsunagu.subscriptions.home import MACHINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tsunagu.broker.storage.leases import Writer
    from tsunagu.broker.storage.shared import Fanout

LOOPBACK = "127.0.0.1"
CHANGES, PARKED, ROLE, WRITERS = b"c", b"p", b"r", b"w"
SEPARATOR = "\0"


class Calls(asyncio.DatagramProtocol):
    """Takes and makes calls. `called` gets the kind of a call and its words (a tenant; a subscription)."""

    def __init__(self, called: Callable[[bytes, list[str]], None], fanout: Fanout) -> None:
        self._called = called
        self._fanout = fanout
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self, writer: str) -> int:
        """Listen for calls to a writer; return the port at which this machine's processes call it."""
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, local_addr=(LOOPBACK, 0))
        self._transport = transport
        await self._fanout.start(writer, self._received)
        return int(transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Take a call; see `asyncio.DatagramProtocol`."""
        del addr
        self._received(data)

    def _received(self, data: bytes) -> None:
        self._called(data[:1], data[1:].decode(errors="replace").split(SEPARATOR))

    def error_received(self, exc: Exception) -> None:
        """Ignore that nobody listened; see `asyncio.DatagramProtocol`."""

    def call(self, writer: str, whom: Writer, kind: bytes, *words: str) -> None:
        """Call a process."""
        message = kind + SEPARATOR.join(words).encode()
        if whom.home.machine != MACHINE:
            self._fanout.call(writer, message)
        elif self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(message, (LOOPBACK, whom.port))

    async def close(self) -> None:
        """Take no more calls."""
        if self._transport is not None:
            self._transport.close()
        await self._fanout.close()
