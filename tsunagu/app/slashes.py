"""Paths of the provisioning API that end in a slash, as FIWARE's documents write some of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


def without_last_slash(app: ASGIApp) -> ASGIApp:
    """Return the application, which then serves `/iot/devices/` as `/iot/devices`, as FIWARE's IoT agents do.

    Starlette would send a redirect, which many clients do not follow for anything but GET.
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path.startswith("/iot/") and path.endswith("/"):
            scope = {**scope, "path": path.rstrip("/"), "raw_path": scope["raw_path"].rstrip(b"/")}
        await app(scope, receive, send)

    return serve
