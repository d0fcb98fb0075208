"""Fetching a remote @context, within limits of time, size, redirects and address (5.5.6)."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

import httpx
import orjson

from tsunagu.broker.errors import BadRequestData, LdContextNotAvailable
from tsunagu.broker.jsonld.freshness import lifetime

REDIRECT_LIMIT = 5
LIFETIMES_LIMIT = 1024
_ACCEPT = "application/ld+json, application/json;q=0.9, */*;q=0.1"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OK = 200


class Guard(Protocol):
    """Who decides which hosts the broker may connect to."""

    def permits(self, host: str, address: str) -> bool:
        """Tell whether a connection to `address`, found under the name `host`, is allowed."""


class ContextFetcher:
    """Fetches @context documents over HTTP.

    Each host is resolved once and the connection goes to the very address that the guard has permitted, at every
    redirect anew. `timeout` is in seconds for the whole of it, `max_bytes` for the decoded body.
    """

    def __init__(self, guard: Guard, *, timeout: float = 5.0, max_bytes: int = 1024 * 1024) -> None:
        self._guard = guard
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._client: httpx.AsyncClient | None = None
        self._lifetimes: dict[str, float | None] = {}

    def lifetime(self, url: str) -> float | None:
        """Return, once, how many seconds the document just fetched from `url` stays fresh; None if nobody said."""
        return self._lifetimes.pop(url, None)

    async def fetch(self, url: str) -> dict[str, Any]:
        """Return the JSON-LD document at `url`; it has a member @context.

        Raises LdContextNotAvailable if it cannot be had, BadRequestData if the address is not allowed or what is
        there is no JSON-LD context.
        """
        try:
            async with asyncio.timeout(self._timeout):
                body = await self._body(url)
        except TimeoutError:
            raise LdContextNotAvailable(f"@context {url}: no answer within {self._timeout:g} seconds") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            raise LdContextNotAvailable(f"@context {url}: {error or type(error).__name__}") from None
        return context_document(body, url)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _body(self, url: str) -> bytes:
        target = url
        for _ in range(REDIRECT_LIMIT + 1):
            request = await self._request(target)
            response = await self._http().send(request, stream=True)
            try:
                if response.status_code in _REDIRECTS and "location" in response.headers:
                    target = urljoin(target, response.headers["location"])
                    continue
                if response.status_code != _OK:
                    raise LdContextNotAvailable(f"@context {url}: the server answers {response.status_code}, not 200")
                body = await self._read(response, url)
                if len(self._lifetimes) >= LIFETIMES_LIMIT:
                    self._lifetimes.clear()
                self._lifetimes[url] = lifetime(response.headers)
                return body
            finally:
                await response.aclose()
        raise LdContextNotAvailable(f"@context {url}: more than {REDIRECT_LIMIT} redirects")

    async def _read(self, response: httpx.Response, url: str) -> bytes:
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.aiter_bytes():
            size += len(chunk)
            if size > self._max_bytes:
                raise BadRequestData(f"@context {url}: the document is larger than {self._max_bytes} bytes")
            chunks.append(chunk)
        return b"".join(chunks)

    async def _request(self, url: str) -> httpx.Request:
        """Return a request to a permitted address of the host of `url`, under the host's own name."""
        check_url(url)
        parts = httpx.URL(url)
        address = await self._address(parts.host, parts.port or (443 if parts.scheme == "https" else 80), url)
        headers = {
            "Accept": _ACCEPT,
            "Accept-Encoding": "identity",
            "Host": parts.netloc.decode("ascii"),
            "User-Agent": "tsunagu",
        }
        return self._http().build_request(
            "GET",
            parts.copy_with(host=address),
            headers=headers,
            extensions={"sni_hostname": parts.raw_host.decode("ascii")},
        )

    async def _address(self, host: str, port: int, url: str) -> str:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(row[4][0]) for row in found))
        for address in addresses:
            if self._guard.permits(host, address):
                return address
        raise BadRequestData(f"@context {url}: the host {host} has no address that this broker may connect to")

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            # No connection is used again: it belongs to an address, which another host may share.
            limits = httpx.Limits(max_keepalive_connections=0)
            self._client = httpx.AsyncClient(timeout=self._timeout, limits=limits, trust_env=False)
        return self._client


def check_url(url: str) -> None:
    """Raise BadRequestData unless `url` is an absolute http or https URL."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise BadRequestData(f"@context: an http or https URL is expected, not {url[:200]!r}")


def context_document(body: bytes, url: str) -> dict[str, Any]:
    """Return the document in `body`. Raises BadRequestData unless it is a JSON object with a member @context."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequestData(f"@context {url}: the document is not JSON ({error})") from None
    if type(document) is not dict or "@context" not in document:
        raise BadRequestData(f"@context {url}: the document is not a JSON object with a member @context")
    return document
