"""One worker process of a broker: uvicorn with uvloop and httptools over the application (`tsunagu serve`)."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import uvicorn

from tsunagu.app import create_app
from tsunagu.app.cors import with_cors
from tsunagu.up.ports import BACKLOG, listening_socket
from tsunagu.up.protocol import Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tsunagu.app.application import Application
    from tsunagu.broker.settings import Settings

DRAIN = 10  # seconds that requests under way have to end after SIGTERM


class _Server(uvicorn.Server):
    """uvicorn's server, which tells the application that it is about to wait for the requests under way."""

    def __init__(self, config: uvicorn.Config, application: Application) -> None:
        super().__init__(config)
        self._application = application

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop: take nothing new, wait for what is under way, then end the application."""
        self._application.leave()
        await super().shutdown(sockets)


def serve(settings: Settings, *, descriptors: Sequence[int] = ()) -> int:
    """Serve until SIGTERM or SIGINT; gives the exit code.

    `descriptors` are listening sockets that the parent handed over; without them the worker binds settings.host:port
    and FIWARE's ports, if the settings name them (raising UpError when one cannot be had).
    """
    if descriptors:
        listeners = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    else:
        listeners = [listening_socket(settings.host, settings.port, option="TSUNAGU_PORT")]
        for port, option in ((settings.north_port, "TSUNAGU_NORTH_PORT"), (settings.south_port, "TSUNAGU_SOUTH_PORT")):
            if port:
                listeners.append(listening_socket(settings.host, port, option=option))
    application = create_app(settings)
    config = uvicorn.Config(
        with_cors(application, settings.cors_origins),
        loop="uvloop",
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=DRAIN,
    )
    server = _Server(config, application)
    server.run(sockets=listeners)
    return 0 if server.started else 1
