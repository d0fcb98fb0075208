"""Calls between the processes of one machine: "there is something for you", and no more than that.

A call is one UDP datagram on 127.0.0.1. It may get lost, or come from anybody: all that it does is that the one who is
called looks at once into MongoDB, where it would have looked a little later.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LOOPBACK = "127.0.0.1"
CHANGES, PARKED, ROLE, WRITERS = b"c", b"p", b"r", b"w"
SEPARATOR = "\0"


class Calls(asyncio.DatagramProtocol):
    """Takes and makes calls. `called` gets the kind of a call and its words (a tenant; a subscription)."""

    def __init__(self, called: Callable[[bytes, list[str]], None]) -> None:
        self._called = called
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self) -> int:
        """Listen on a free port, and return it."""
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, local_addr=(LOOPBACK, 0))
        self._transport = transport
        return int(transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Take a call; see `asyncio.DatagramProtocol`."""
        del addr
        self._called(data[:1], data[1:].decode(errors="replace").split(SEPARATOR))

    def error_received(self, exc: Exception) -> None:
        """Ignore that nobody listened; see `asyncio.DatagramProtocol`."""

    def call(self, port: int, kind: bytes, *words: str) -> None:
        """Call the process that listens on a port of this machine, 0 for none."""
        if port and self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(kind + SEPARATOR.join(words).encode(), (LOOPBACK, port))

    def close(self) -> None:
        """Take no more calls."""
        if self._transport is not None:
            self._transport.close()
