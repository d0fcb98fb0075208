"""Fetching remote contexts from a real HTTP server on loopback."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import orjson
import pytest

from tsunagu.broker.errors import BadRequestData, LdContextNotAvailable
from tsunagu.broker.jsonld.fetch import REDIRECT_LIMIT, ContextFetcher

DOCUMENT = {"@context": {"Car": "http://a/Car"}}


class Everywhere:
    """A guard that permits everything and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def permits(self, host, address):
        self.asked.append((host, address))
        return True


class Nowhere:
    """A guard that permits nothing."""

    def permits(self, host, address):
        return False


@asynccontextmanager
async def server(answer):
    """Serve HTTP: `answer(path, headers)` returns the bytes of the response; yields the base URL."""

    async def handle(reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split(" ", 2)[1]
            writer.write(await answer(path, head))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


def response(body=b"", status="200 OK", headers=""):
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{headers}\r\n".encode() + body


@asynccontextmanager
async def fetching(guard=None, **options):
    fetcher = ContextFetcher(guard or Everywhere(), **options)
    try:
        yield fetcher
    finally:
        await fetcher.close()


def always(data):
    async def answer(_path, _head):
        return data

    return answer


async def test_a_context_document_is_fetched():
    """The document is asked for as JSON-LD, under the host's own name."""
    seen = []

    async def answer(_path, head):
        seen.append(head.lower())
        return response(orjson.dumps(DOCUMENT))

    async with server(answer) as base, fetching() as fetcher:
        assert await fetcher.fetch(base + "/c.jsonld") == DOCUMENT
        assert "accept: application/ld+json" in seen[0]
        assert f"host: {base.removeprefix('http://')}" in seen[0]


async def test_a_redirect_is_followed_and_guarded():
    """Each address on the way is shown to the guard."""

    async def answer(path, _head):
        if path == "/old":
            return response(status="302 Found", headers="Location: /new\r\n")
        return response(orjson.dumps(DOCUMENT))

    guard = Everywhere()
    async with server(answer) as base, fetching(guard) as fetcher:
        assert await fetcher.fetch(base + "/old") == DOCUMENT
    assert guard.asked == [("127.0.0.1", "127.0.0.1")] * 2


async def test_redirects_have_an_end():
    """A server that redirects for ever is not available."""
    async with (
        server(always(response(status="302 Found", headers="Location: /again\r\n"))) as base,
        fetching() as fetcher,
    ):
        with pytest.raises(LdContextNotAvailable, match=f"more than {REDIRECT_LIMIT} redirects"):
            await fetcher.fetch(base + "/c")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://a/b"])
async def test_a_redirect_leads_to_http_only(target):
    """Other schemes are refused, wherever they come from."""
    async with (
        server(always(response(status="302 Found", headers=f"Location: {target}\r\n"))) as base,
        fetching() as fetcher,
    ):
        with pytest.raises(BadRequestData, match="http or https"):
            await fetcher.fetch(base + "/c")


async def test_a_forbidden_address_is_not_connected_to():
    """The guard's word is final: nothing is sent to a private address that the operator does not list."""
    connections = []

    async def answer(_path, _head):
        connections.append(1)
        return response(orjson.dumps(DOCUMENT))

    async with server(answer) as base, fetching(Nowhere()) as fetcher:
        with pytest.raises(BadRequestData, match="no address that this broker may connect to"):
            await fetcher.fetch(base + "/c")
    assert connections == []


@pytest.mark.parametrize("status", ["404 Not Found", "500 Internal Server Error", "204 No Content"])
async def test_a_server_without_the_document_is_not_available(status):
    """5.5.6: LdContextNotAvailable when the server does not answer with the document."""
    async with server(always(response(status=status))) as base, fetching() as fetcher:
        with pytest.raises(LdContextNotAvailable, match=status[:3]):
            await fetcher.fetch(base + "/c")


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"5", b'{"context": {}}', b""])
async def test_a_document_that_is_no_context_is_refused(body):
    """5.5.6: what is there, but invalid, is BadRequestData."""
    async with server(always(response(body))) as base, fetching() as fetcher:
        with pytest.raises(BadRequestData, match=r"not JSON|member @context"):
            await fetcher.fetch(base + "/c")


async def test_a_large_document_is_refused():
    """A document beyond the limit is not read to its end."""
    body = orjson.dumps(DOCUMENT | {"x": "y" * 5000})
    async with server(always(response(body))) as base, fetching(max_bytes=1000) as fetcher:
        with pytest.raises(BadRequestData, match="larger than 1000 bytes"):
            await fetcher.fetch(base + "/c")


async def test_a_slow_server_is_given_up():
    """The time limit covers the whole fetch."""

    async def answer(_path, _head):
        await asyncio.sleep(30)
        return b""

    async with server(answer) as base, fetching(timeout=0.2) as fetcher:
        with pytest.raises(LdContextNotAvailable, match=r"within 0\.2 seconds"):
            await fetcher.fetch(base + "/c")


async def test_a_server_that_is_not_there_is_not_available():
    """A refused connection is LdContextNotAvailable."""
    async with server(always(b"")) as base:
        pass
    async with fetching() as fetcher:
        with pytest.raises(LdContextNotAvailable, match="@context"):
            await fetcher.fetch(base + "/c")


async def test_a_server_that_talks_nonsense_is_not_available():
    """An answer that is not HTTP is LdContextNotAvailable."""
    async with server(always(b"hello\r\n\r\n")) as base, fetching() as fetcher:
        with pytest.raises(LdContextNotAvailable, match="@context"):
            await fetcher.fetch(base + "/c")


@pytest.mark.parametrize("url", ["ftp://a/b", "cars.jsonld", "http://", "http://[bad", "//host/x", "http:///x"])
async def test_what_is_no_http_url_is_refused(url):
    """Only absolute http and https URLs are fetched."""
    async with fetching() as fetcher:
        with pytest.raises(BadRequestData, match="http or https URL"):
            await fetcher.fetch(url)
