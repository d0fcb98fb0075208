"""How the broker speaks HTTP to endpoints and token URLs: past the guard, over connections that are kept."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from tsunagu.broker.access.outgoing import literal
from tsunagu.subscriptions.transports.contexts import Contexts
from tsunagu.subscriptions.transports.oauth import NoToken

if TYPE_CHECKING:
    from tsunagu.broker.access.outgoing import OutgoingGuard
    from tsunagu.subscriptions.transports.oauth import Client

ANSWER_BYTES = 64 * 1024
DNS_SECONDS = 30
RESOLVER_THREADS = 64
TOKEN_SECONDS = 10.0


class Forbidden(OSError):
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
                raise Forbidden(f"{host} leads to the private address {address}")
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


class Session:
    """One client session of a process, opened when first needed, and the TLS contexts of its endpoints."""

    def __init__(self, guard: OutgoingGuard) -> None:
        self._guard = guard
        self._client: aiohttp.ClientSession | None = None
        self.contexts = Contexts()

    @property
    def client(self) -> aiohttp.ClientSession:
        """The session; without a limit on the number of connections: the queues see to that."""
        if self._client is None:
            connector = aiohttp.TCPConnector(
                limit=0,
                limit_per_host=0,
                ttl_dns_cache=DNS_SECONDS,
                keepalive_timeout=30,
                resolver=GuardedResolver(self._guard),
            )
            self._client = aiohttp.ClientSession(
                connector=connector,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "Tsunagu", "Accept": "*/*"},
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return self._client

    def check(self, uri: str) -> None:
        """Raise Forbidden if a URI names a private address, for which no resolver is asked."""
        host = urlsplit(uri).hostname or ""
        if literal(host) is not None and not self._guard.permits(host, host):
            raise Forbidden(f"{host} is a private address; the operator may list it in TSUNAGU_ALLOW_PRIVATE")

    async def fetch(self, client: Client) -> tuple[int, bytes]:
        """Ask a token URL for a token; return the status and the body of its answer. Raises NoToken."""
        form, headers = client.request()
        try:
            async with asyncio.timeout(TOKEN_SECONDS):
                self.check(client.url)
                secure = await self.contexts.of(client.certificates, system=True)
                async with self.client.post(
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
            raise NoToken(f"{client.place}: {reason_of(error)}") from None

    async def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()


def reason_of(error: Exception) -> str:
    """Return an error of a connection as a line for people."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"no connection: the certificate is not trusted: {error.certificate_error}"[:300]
    if isinstance(error, aiohttp.ClientConnectorError):
        fault = error.os_error
        return f"no connection: {fault}" if isinstance(fault, Forbidden) else str(error)[:300]
    if isinstance(error, Forbidden):
        return str(error)
    if isinstance(error, aiohttp.InvalidURL):
        return "the address is not a valid URL"
    return f"{type(error).__name__}: {error}"[:300]
