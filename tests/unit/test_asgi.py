"""Whole answers on any ASGI server."""

from __future__ import annotations

from typing import Any

from tsunagu.asgi import WHOLE_ANSWER, send_whole

BODY = b'{"a":1}'
LENGTH = (b"content-length", b"%d" % len(BODY))


async def test_without_the_servers_help_an_answer_is_two_messages() -> None:
    """On another ASGI server, or when the connection cannot take it now, the answer goes ASGI's way."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    for extensions in ({}, {"extensions": {WHOLE_ANSWER: lambda *_: False}}):
        sent.clear()
        await send_whole({"method": "GET", **extensions}, send, 200, [LENGTH], BODY)
        assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
        assert sent[1]["body"] == BODY
