"""Cross-origin requests (CORS) of apps in browsers that come from elsewhere; off unless the operator lists origins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.middleware.cors import CORSMiddleware

from tsunagu.asgi import WHOLE_ANSWER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
READABLE = (
    *("Content-Range", "ETag", "Link", "Location", "NGSILD-EntityMap", "NGSILD-Results-Count", "NGSILD-Tenant"),
    *("NGSILD-Warning", "Preference-Applied", "Retry-After"),
)
PREFLIGHT_SECONDS = 3600


def with_cors(application: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Return an application that pages of these origins ("*": all) may call; without any, the application itself."""
    if not origins:
        return application

    async def in_messages(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and any(name == b"origin" for name, _ in scope["headers"]):
            # The answer has to come as messages, to which the permission is added (tsunagu.asgi).
            extensions = {name: value for name, value in scope.get("extensions", {}).items() if name != WHOLE_ANSWER}
            scope = {**scope, "extensions": extensions}
        await application(scope, receive, send)

    return CORSMiddleware(
        in_messages,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_headers=("*",),
        expose_headers=READABLE,
        max_age=PREFLIGHT_SECONDS,
    )
