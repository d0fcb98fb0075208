"""What the hot ASGI callables and the server agree on beyond ASGI: answers that are whole go out in one piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping, Sequence

WHOLE_ANSWER = "tsunagu.whole_answer"
"""Key in a scope's "extensions": a function (status, headers, body) that sends an answer, False if it cannot now."""


async def send_whole(
    scope: MutableMapping[str, Any],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    status: int,
    headers: Sequence[tuple[bytes, bytes]],
    body: bytes,
) -> None:
    """Send an answer that is at hand: in one piece where the server can, else as ASGI's two messages.

    `headers` are in lower case and have the length of `body`, which is not sent in answer to HEAD.
    """
    whole = scope.get("extensions", {}).get(WHOLE_ANSWER)
    if whole is None or not whole(status, headers, body):
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
