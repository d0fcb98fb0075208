"""Notifications over HTTP and HTTPS (6.3.8): one POST each, any 2xx is success."""

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
from tsunagu.subscriptions.transports.transport import Message, Result

if TYPE_CHECKING:
    from tsunagu.broker.access.outgoing import OutgoingGuard

REFUSALS = frozenset({400, 406, 409, 411, 413, 414, 415, 422, 431})
LONGEST_RETRY_AFTER = 24 * 3600.0
ANSWER_BYTES = 64 * 1024
DNS_SECONDS = 30
RESOLVER_THREADS = 64


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

    async def send(self, message: Message) -> Result:
        """Post one message; see `Transport.send`."""
        host = urlsplit(message.uri).hostname or ""
        if literal(host) is not None and not self._guard.permits(host, host):
            return Result(
                ok=False, reason=f"{host} is a private address; the operator may list it in TSUNAGU_ALLOW_PRIVATE"
            )
        try:
            async with asyncio.timeout(message.timeout):
                try:
                    return await self._post(message)
                except (aiohttp.ServerDisconnectedError, ConnectionResetError):
                    # Mostly a kept-alive connection that the receiver had closed: once more, on a new one.
                    return await self._post(message)
        except TimeoutError:
            return Result(ok=False, reason=f"no answer within {message.timeout:g} s")
        except aiohttp.ClientConnectorError as error:
            fault = error.os_error
            return Result(
                ok=False, reason=f"no connection: {fault}" if isinstance(fault, _Forbidden) else str(error)[:300]
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Result(ok=False, reason=f"{type(error).__name__}: {error}"[:300])

    async def _post(self, message: Message) -> Result:
        async with self._open().post(
            message.uri, data=message.body, headers=message.headers, allow_redirects=False
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
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()


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
