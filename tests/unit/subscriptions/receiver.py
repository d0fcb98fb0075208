"""A real HTTP endpoint that keeps what it is sent and answers as it is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Answer = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]


class Receiver:
    """Listens on a free port of this machine. `answer` may be replaced; `got` has (path, headers, body) in order."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.answer: Answer = self.well
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def well(self, _request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=204)

    async def start(self, port: int = 0) -> None:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _take(self, request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        response = await self.answer(request, body)
        if response.status < 300:
            self.got.append((request.path, dict(request.headers), body))
        return response

    def url(self, path: str = "/notify") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [body for _, _, body in self.got]

    @property
    def entities(self) -> list[dict[str, Any]]:
        return [entity for body in self.bodies for entity in body["data"]]

    async def wait(self, count: int, seconds: float = 10.0) -> list[dict[str, Any]]:
        """Return the notifications when there are `count` of them; fail if there are not in time."""
        async with asyncio.timeout(seconds):
            while len(self.got) < count:
                await asyncio.sleep(0.005)
        return self.bodies

    async def wait_entities(self, count: int, seconds: float = 10.0) -> list[dict[str, Any]]:
        """Return the notified entities when there are `count` of them; fail if there are not in time."""
        async with asyncio.timeout(seconds):
            while len(self.entities) < count:
                await asyncio.sleep(0.005)
        return self.entities
