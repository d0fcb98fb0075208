"""One write for an answer's head and body."""

from __future__ import annotations

import asyncio
from typing import Any

from tsunagu.up.protocol import JoiningTransport

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class Recorder:
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def joined() -> tuple[Any, Recorder]:
    recorder = Recorder()
    return JoiningTransport(recorder, asyncio.get_running_loop()), recorder  # type: ignore[arg-type]


async def test_head_and_body_go_out_together() -> None:
    """The head waits for the body that is written in the same turn."""
    transport, recorder = joined()
    transport.write(HEAD)
    transport.write(b"{}")
    await asyncio.sleep(0)
    assert recorder.written == [HEAD + b"{}"]


async def test_a_head_alone_goes_out_with_the_turn() -> None:
    """A stream's head does not wait for its first event."""
    transport, recorder = joined()
    transport.write(HEAD)
    assert recorder.written == []
    await asyncio.sleep(0)
    assert recorder.written == [HEAD]


async def test_nothing_is_kept_back_at_the_end() -> None:
    """Closing writes the head first; an interim answer is never kept back; other methods reach the transport."""
    transport, recorder = joined()
    transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    transport.write(HEAD)
    transport.close()
    assert recorder.written == [b"HTTP/1.1 100 Continue\r\n\r\n", HEAD]
    assert transport.is_closing()
