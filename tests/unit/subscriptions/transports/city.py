"""A city that wants OAuth2 tokens, for tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from tsunagu.subscriptions.transports.transport import Message


class City:
    """A token URL and an endpoint that wants its tokens."""

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, str], str | None]] = []
        self.got: list[str | None] = []
        self.valid: set[str] = set()
        self.lifetime: Any = 3600
        self.refuse: tuple[int, dict[str, str]] | None = None
        self.stubborn = False
        self.port = 0

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.asked.append(({key: str(value) for key, value in form.items()}, request.headers.get("Authorization")))
        await asyncio.sleep(0.02)
        if self.refuse is not None:
            return web.json_response(self.refuse[1], status=self.refuse[0])
        token = f"token-{len(self.asked)}"
        self.valid = {token}
        return web.json_response({"access_token": token, "token_type": "bearer", "expires_in": self.lifetime})

    async def notify(self, request: web.Request) -> web.Response:
        self.got.append(request.headers.get("Authorization"))
        good = (self.got[-1] or "").removeprefix("Bearer ") in self.valid and not self.stubborn
        return web.Response(status=204 if good else 401)

    def settings(self, secret: str = "pa:ss") -> tuple[tuple[str, str], ...]:
        """Return what an endpoint needs to get tokens here."""
        return (
            ("OAuth2-Token-URL", f"http://127.0.0.1:{self.port}/token"),
            ("OAuth2-Client-Id", "city"),
            ("OAuth2-Client-Secret", secret),
        )

    def message(self, *more: tuple[str, str], secret: str = "pa:ss") -> Message:
        return Message(f"http://127.0.0.1:{self.port}/notify", b"{}", (), 2.0, (*self.settings(secret), *more))


@contextlib.asynccontextmanager
async def running_city() -> AsyncIterator[City]:
    """Run a token URL and an endpoint."""
    one = City()
    app = web.Application()
    app.router.add_post("/token", one.token)
    app.router.add_post("/notify", one.notify)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    one.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    yield one
    await runner.cleanup()
