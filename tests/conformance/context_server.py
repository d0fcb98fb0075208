"""A small web server for @contexts, on loopback, whose documents a test can change or take away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson


class ContextServer:
    """Serves `documents` by path; `asked` counts requests by path; `headers` go with every answer."""

    def __init__(self) -> None:
        self.documents: dict[str, Any] = {}
        self.headers: dict[str, str] = {}
        self.asked: dict[str, int] = {}
        self.base = ""

    def host(self, path: str, document: Any) -> str:
        """Serve a document, an object or raw bytes, and return its URL."""
        self.documents[path] = document
        return self.base + path

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close the connection."""
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ")[1].decode()
        self.asked[path] = self.asked.get(path, 0) + 1
        document = self.documents.get(path)
        body = document if isinstance(document, bytes) else orjson.dumps(document)
        status = "404 Not Found" if document is None else "200 OK"
        lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "content-type: application/ld+json"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        writer.write("\r\n".join([*lines, "connection: close", "", ""]).encode() + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def context_server() -> AsyncIterator[ContextServer]:
    """Run a context server."""
    contexts = ContextServer()
    server = await asyncio.start_server(contexts.answer, "127.0.0.1", 0)
    contexts.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield contexts
