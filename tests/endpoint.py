"""As much of an HTTP server as a receiver of notifications needs, so that its own cost is small."""

from __future__ import annotations

import asyncio
from typing import cast

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Endpoint(asyncio.Protocol):
    """Reads requests from a keep-alive connection, bodies by their Content-Length; `answer` is called for each."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        """Hand every complete request on."""
        self._buffer += data
        while True:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            lines = head.split(b"\r\n")
            length = next((int(line[15:]) for line in lines if line[:15].lower() == b"content-length:"), 0)
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            method, path, _ = lines[0].split(b" ")
            self.answer(method, path.decode(), rest[:length])

    def answer(self, method: bytes, path: str, body: bytes) -> None:
        """Do what the request asks, and `write` an answer, now or later."""
        raise NotImplementedError

    def write(self, answer: bytes) -> None:
        """Send an answer, if the connection still stands."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)
