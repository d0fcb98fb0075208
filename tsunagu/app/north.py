"""FIWARE's north port: provisioning, and the commands that a context broker sends to an IoT agent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

COMMAND = re.compile(r"/ngsi-ld/v1/entities/.+/attrs/.+")


def north_door(provisioning: ASGIApp, api: ASGIApp) -> ASGIApp:
    """Return what the north port serves: `provisioning`, and of `api` (NGSI-LD) the update of one attribute.

    Brokers that hold an agent for a context source forward commands like that, and FIWARE's tutorials try it by hand.
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        command = scope["method"] == "PATCH" and COMMAND.fullmatch(scope["path"]) is not None
        await (api if command else provisioning)(scope, receive, send)

    return serve
