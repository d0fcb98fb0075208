"""One worker process of a broker: uvicorn with uvloop and httptools over the application (`tsunagu serve`)."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import uvicorn

from tsunagu.app import create_app
from tsunagu.up.ports import BACKLOG, listening_socket
from tsunagu.up.protocol import JoiningProtocol

if TYPE_CHECKING:
    from tsunagu.broker.settings import Settings

DRAIN = 10  # seconds that requests under way have to end after SIGTERM


def serve(settings: Settings, *, descriptor: int | None = None) -> int:
    """Serve until SIGTERM or SIGINT; gives the exit code.

    `descriptor` is a listening socket that the parent handed over; without it the worker binds settings.host:port
    (raising UpError when that cannot be had).
    """
    if descriptor is None:
        listener = listening_socket(settings.host, settings.port, option="TSUNAGU_PORT")
    else:
        listener = socket.socket(fileno=descriptor)
    config = uvicorn.Config(
        create_app(settings),
        loop="uvloop",
        http=JoiningProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=DRAIN,
    )
    server = uvicorn.Server(config)
    server.run(sockets=[listener])
    return 0 if server.started else 1
