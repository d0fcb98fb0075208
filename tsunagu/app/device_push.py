"""Posting commands to devices' endpoints, past the guard that all outgoing requests pass."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp

from tsunagu.adapters.command_push import SECONDS, Pushed
from tsunagu.broker.access.outgoing import literal
from tsunagu.subscriptions.transports.session import GuardedResolver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tsunagu.broker.access.outgoing import OutgoingGuard

ANSWER_BYTES = 64 * 1024


class DevicePusher:
    """See `adapters.command_push.Pusher`. `await close()` at the end."""

    def __init__(self, guard: OutgoingGuard) -> None:
        self._guard = guard
        self._session: aiohttp.ClientSession | None = None

    async def push(self, url: str, body: bytes, headers: Mapping[str, str]) -> Pushed:
        """Post, and wait at most SECONDS for the answer."""
        host = urlsplit(url).hostname or ""
        if literal(host) is not None and not self._guard.permits(host, host):
            return Pushed(0, reason=f"{host} is a private address; the operator may list it in TSUNAGU_ALLOW_PRIVATE")
        if self._session is None:
            connector = aiohttp.TCPConnector(resolver=GuardedResolver(self._guard))
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        try:
            async with (
                asyncio.timeout(SECONDS),
                self._session.post(url, data=body, headers=dict(headers), allow_redirects=False) as answer,
            ):
                return Pushed(answer.status, await answer.content.read(ANSWER_BYTES))
        except TimeoutError:
            return Pushed(0, reason=f"no answer within {SECONDS:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Pushed(0, reason=f"{type(error).__name__}: {error}"[:300])

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
