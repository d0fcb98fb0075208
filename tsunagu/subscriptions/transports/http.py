"""Notifications over HTTP and HTTPS (6.3.8): one POST each, any 2xx is success.

An endpoint may have a CA and a client certificate of its own, and be spoken to with OAuth2 tokens (`oauth`).
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import aiohttp

from tsunagu.broker.access.tls import certificates_of
from tsunagu.subscriptions.transports.oauth import NoToken, Tokens, bearer, client_of
from tsunagu.subscriptions.transports.session import ANSWER_BYTES, Session, reason_of
from tsunagu.subscriptions.transports.transport import Message, Result

if TYPE_CHECKING:
    import ssl

    from tsunagu.broker.access.outgoing import OutgoingGuard

REFUSALS = frozenset({400, 406, 409, 411, 413, 414, 415, 422, 431})
LONGEST_RETRY_AFTER = 24 * 3600.0
UNAUTHORIZED = 401


class HttpTransport:
    """Posts messages over kept-alive connections."""

    def __init__(self, guard: OutgoingGuard) -> None:
        self._session = Session(guard)
        self._tokens = Tokens(self._session.fetch)

    async def send(self, message: Message) -> Result:
        """Post one message; see `Transport.send`."""
        try:
            async with asyncio.timeout(message.timeout):
                self._session.check(message.uri)
                settings = dict(message.settings)
                secure = await self._session.contexts.of(certificates_of(settings))
                client = client_of(settings)
                if client is None:
                    return await self._post_twice(message, secure, ())
                token = await self._tokens.get(client)
                result = await self._post_twice(message, secure, (bearer(token),))
                if result.status == UNAUTHORIZED:
                    self._tokens.refused(client, token)
                    token = await self._tokens.get(client)
                    result = await self._post_twice(message, secure, (bearer(token),))
                return result
        except TimeoutError:
            return Result(ok=False, reason=f"no answer within {message.timeout:g} s")
        except NoToken as error:
            return Result(ok=False, reason=f"no OAuth2 token: {error}"[:300])
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Result(ok=False, reason=reason_of(error))

    async def _post_twice(
        self, message: Message, secure: ssl.SSLContext | None, more: tuple[tuple[str, str], ...]
    ) -> Result:
        try:
            return await self._post(message, secure, more)
        except (aiohttp.ServerDisconnectedError, ConnectionResetError):
            # Mostly a kept-alive connection that the receiver had closed: once more, on a new one.
            return await self._post(message, secure, more)

    async def _post(self, message: Message, secure: ssl.SSLContext | None, more: tuple[tuple[str, str], ...]) -> Result:
        async with self._session.client.post(
            message.uri,
            data=message.body,
            headers=(*message.headers, *more),
            allow_redirects=False,
            ssl=True if secure is None else secure,
        ) as response:
            status = response.status
            left = ANSWER_BYTES
            while left > 0 and (chunk := await response.content.read(left)):
                left -= len(chunk)  # an answer read to its end leaves the connection usable
            if 200 <= status < 300:  # noqa: PLR2004 - any 2xx
                return Result(ok=True, status=status)
            return Result(
                ok=False,
                status=status,
                reason=f"{status} {response.reason or ''}".strip(),
                refused=status in REFUSALS,
                retry_after=_retry_after(response.headers.get("Retry-After")),
            )

    async def close(self) -> None:
        """Close all connections."""
        await self._tokens.close()
        await self._session.close()


def _retry_after(text: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110, 10.2.3), None if it is absent or unreadable."""
    if text is None:
        return None
    if text.strip().isdigit():
        return min(float(text), LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = (moment - datetime.fromtimestamp(time.time(), UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
