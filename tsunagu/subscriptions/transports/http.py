"""Notifications over HTTP and HTTPS (6.3.8): one POST each, any 2xx is success.

An endpoint may have a CA and a client certificate of its own, and be spoken to with OAuth2 tokens (`oauth`).
"""

from __future__ import annotations

import asyncio
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from tsunagu.broker.access.outgoing import literal
from tsunagu.broker.access.tls import certificates_of
from tsunagu.subscriptions.transports.contexts import Contexts
from tsunagu.subscriptions.transports.oauth import Client, NoToken, Tokens, bearer, client_of
from tsunagu.subscriptions.transports.transport import Message, Result

if TYPE_CHECKING:
    import ssl

    from tsunagu.broker.access.outgoing import OutgoingGuard

REFUSALS = frozenset({400, 406, 409, 411, 413, 414, 415, 422, 431})
LONGEST_RETRY_AFTER = 24 * 3600.0
ANSWER_BYTES = 64 * 1024
DNS_SECONDS = 30
RESOLVER_THREADS = 64
TOKEN_SECONDS = 10.0
UNAUTHORIZED = 401


class _Forbidden(OSError):
    """The name leads to a private address."""


class GuardedResolver(AbstractResolver):
    """Resolves names, and refuses those that lead to a private address.

    It has many threads of its own: names that are not answered must not keep others from being resolved.
    """

    def __init__(self, guard: OutgoingGuard) -> None:
        self._guard = guard
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, "resolver")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host. Raises OSError."""
        ask = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)
        rows = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        found: list[ResolveResult] = []
        for one_family, _, protocol, _, place in rows:
            address = str(place[0])
            if not self._guard.permits(host, address):
                raise _Forbidden(f"{host} leads to the private address {address}")
            found.append(
                ResolveResult(
                    hostname=host,
                    host=address,
                    port=port,
                    family=one_family,
                    proto=protocol,
                    flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                )
            )
        return found

    async def close(self) -> None:
        """Wait for no answer any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class HttpTransport:
    """Posts messages over kept-alive connections, without a limit on their number: the queues see to that."""

    def __init__(self, guard: OutgoingGuard) -> None:
        self._guard = guard
        self._session: aiohttp.ClientSession | None = None
        self._contexts = Contexts()
        self._tokens = Tokens(self._fetch)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=0,
                limit_per_host=0,
                ttl_dns_cache=DNS_SECONDS,
                keepalive_timeout=30,
                resolver=GuardedResolver(self._guard),
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "Tsunagu", "Accept": "*/*"},
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return self._session

    def _check(self, uri: str) -> None:
        """Raise _Forbidden if a URI names a private address, for which no resolver is asked."""
        host = urlsplit(uri).hostname or ""
        if literal(host) is not None and not self._guard.permits(host, host):
            raise _Forbidden(f"{host} is a private address; the operator may list it in TSUNAGU_ALLOW_PRIVATE")

    async def send(self, message: Message) -> Result:
        """Post one message; see `Transport.send`."""
        try:
            async with asyncio.timeout(message.timeout):
                self._check(message.uri)
                settings = dict(message.settings)
                secure = await self._contexts.of(certificates_of(settings))
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
            return Result(ok=False, reason=_reason(error))

    async def _post_twice(
        self, message: Message, secure: ssl.SSLContext | None, more: tuple[tuple[str, str], ...]
    ) -> Result:
        try:
            return await self._post(message, secure, more)
        except (aiohttp.ServerDisconnectedError, ConnectionResetError):
            # Mostly a kept-alive connection that the receiver had closed: once more, on a new one.
            return await self._post(message, secure, more)

    async def _post(self, message: Message, secure: ssl.SSLContext | None, more: tuple[tuple[str, str], ...]) -> Result:
        async with self._open().post(
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

    async def _fetch(self, client: Client) -> tuple[int, bytes]:
        """Ask a token URL for a token; return the status and the body of its answer. Raises NoToken."""
        form, headers = client.request()
        try:
            async with asyncio.timeout(TOKEN_SECONDS):
                self._check(client.url)
                secure = await self._contexts.of(client.certificates, system=True)
                async with self._open().post(
                    client.url,
                    data=form,
                    headers=headers,
                    allow_redirects=False,
                    ssl=True if secure is None else secure,
                ) as response:
                    return response.status, await response.content.read(ANSWER_BYTES)
        except TimeoutError:
            raise NoToken(f"{client.place} did not answer within {TOKEN_SECONDS:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NoToken(f"{client.place}: {_reason(error)}") from None

    async def close(self) -> None:
        """Close all connections."""
        await self._tokens.close()
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()


def _reason(error: Exception) -> str:
    """Return an error of a connection as a line for people."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"no connection: the certificate is not trusted: {error.certificate_error}"[:300]
    if isinstance(error, aiohttp.ClientConnectorError):
        fault = error.os_error
        return f"no connection: {fault}" if isinstance(fault, _Forbidden) else str(error)[:300]
    if isinstance(error, _Forbidden):
        return str(error)
    if isinstance(error, aiohttp.InvalidURL):
        return "the address is not a valid URL"
    return f"{type(error).__name__}: {error}"[:300]


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
