"""What the ASGI callables and the server agree on beyond ASGI: answers in one piece, and clients that have gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping, Sequence

WHOLE_ANSWER = "tsunagu.whole_answer"
"""Key in a scope's "extensions": a function (status, headers, body) that sends an answer, False if it cannot now."""

CLIENT_GONE = "tsunagu.client_gone"
"""Key in a scope's "extensions": a function that tells whether nobody waits for the answer any more."""


def client_gone(scope: MutableMapping[str, Any]) -> bool:
    """Tell whether the client has closed the connection; False where the server does not say."""
    gone = scope.get("extensions", {}).get(CLIENT_GONE)
    return gone is not None and bool(gone())


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
