"""The server's HTTP protocol: whole answers in one piece, and all that HTTP/1.1 asks of a connection."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from tsunagu.asgi import client_gone, send_whole
from tsunagu.up.protocol import Cycle, Protocol

BODY = b'{"a":1}'
LENGTH = (b"content-length", b"%d" % len(BODY))
GONE: asyncio.Queue[bool] = asyncio.Queue()


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers whole under /whole, echoes a body under /echo, streams under /stream, splits a header under /split.

    Under /gone it notes whether the client has gone, at first and once it has.
    """
    path = scope["path"]
    if path == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in (b"one", b"two"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    elif path == "/echo":
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message.get("more_body"):
                break
        await send_whole(scope, send, 200, [(b"content-length", b"%d" % len(body))], body)
    elif path == "/gone":
        GONE.put_nowait(client_gone(scope))
        while (await receive())["type"] != "http.disconnect":
            pass
        GONE.put_nowait(client_gone(scope))
    elif path == "/split":
        await send_whole(scope, send, 200, [LENGTH, (b"location", b"/a\r\nset-cookie: x")], BODY)
    else:
        shown = (b"seen", b"%s %s" % (scope["raw_path"], scope["query_string"]))
        await send_whole(scope, send, 200, [LENGTH, shown], BODY)


@contextlib.asynccontextmanager
async def serving(idle: int = 5, protocol: type[Protocol] = Protocol) -> AsyncIterator[int]:
    """Serve the application; gives the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        application, http=protocol, ws="none", lifespan="off", log_config=None, server_header=False,
        timeout_keep_alive=idle,
    )  # fmt: skip
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task


async def talk(port: int, *parts: bytes) -> bytes:
    """Send parts of a conversation, the last of which ends it, and return all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.02)
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


GET = b"GET /whole?x=%20 HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /whole HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("path", [b"/whole", b"/stream"])
async def test_an_answered_request_is_nothing_for_the_garbage_collector(path: bytes) -> None:
    """What a request took is free again with the next one, while nothing is collected."""
    cycles: list[weakref.ref[Cycle]] = []

    class Watched(Protocol):
        def on_headers_complete(self) -> None:
            super().on_headers_complete()
            cycles.append(weakref.ref(self.cycle))

    gc.disable()
    try:
        async with serving(protocol=Watched) as port:
            await talk(port, b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path, GET, LAST)
            assert [cycle() for cycle in cycles[:2]] == [None, None]
    finally:
        gc.enable()


async def test_requests_of_one_connection_are_answered_in_turn() -> None:
    """A connection stays open between dated answers, takes requests that come at once, and closes when asked to."""
    async with serving() as port:
        apart = await talk(port, GET, GET, LAST)
        at_once = await talk(port, GET + GET + LAST)
    for found in (apart, at_once):
        assert found.count(b"HTTP/1.1 200 OK\r\n") == found.count(b"\r\n\r\n" + BODY) == 3
        assert found.count(b"\r\ndate: ") == 3
        assert b"seen: /whole x=%20\r\n" in found
        assert found.count(b"connection: close\r\n") == 1


@pytest.mark.parametrize(
    ("request_text", "expected"),
    [
        (b"HEAD /whole HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", [b"content-length: 7\r\n"]),
        (b"GET /whole HTTP/1.0\r\n\r\n", [b"connection: close\r\n", BODY]),
        (b"GET http://a/whole HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", [b"seen: /whole \r\n", BODY]),
        (b"GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", [b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"]),
        (b"POST /echo HTTP/1.1\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", [b"\r\n\r\nabc"]),
        (b"GET /whole HTTP/9\r\n\r\n", [b"HTTP/1.1 400 ", b"errors/InvalidRequest", b"connection: close\r\n"]),
        (b"GET /whole?x=%b HTTP/1.1\r\n\r\n" % (b"a" * 100_000), [b"HTTP/1.1 414 ", b'"status":414', b"65535"]),
    ],
)
async def test_one_request(request_text: bytes, expected: list[bytes]) -> None:
    """HEAD has no body, HTTP/1.0 closes, a URL may be whole, streams are chunked, bodies arrive, rubbish is 400."""
    async with serving() as port:
        answer = await talk(port, request_text)
    assert all(part in answer for part in expected)
    assert answer.endswith(b"\r\n\r\n") or not request_text.startswith(b"HEAD")


async def test_a_client_that_asks_whether_to_go_on_is_told() -> None:
    """100 Continue goes out before the answer, once the body is wanted."""
    head = b"POST /echo HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    async with serving() as port:
        answer = await talk(port, head, b"abc")
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


async def test_a_header_with_a_line_break_is_never_sent() -> None:
    """What would split an answer becomes a 500."""
    async with serving() as port:
        answer = await talk(port, b"GET /split HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"set-cookie" not in answer


async def test_an_idle_connection_is_closed() -> None:
    """A connection without a request under way is closed after its time, counted from its last answer."""
    async with serving(idle=1) as port:
        assert (await talk(port, GET)).endswith(BODY)
        assert (await talk(port, GET, GET)).count(BODY) == 2


class Hasty(Protocol):
    """Gives a request hardly any time."""

    patience = 0.05


@pytest.mark.parametrize(
    "piece",
    [
        b"GET /whole HT",
        b"POST /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc",
        b"\r\n",
        GET + b"POST /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc",
    ],
)
async def test_a_request_that_does_not_come_to_its_end_is_refused(piece: bytes) -> None:
    """Who sends a part of a request and then nothing gets 408 with a problem, and the connection is closed."""
    async with serving(protocol=Hasty) as port:
        answer = await talk(port, piece)
    last = answer[answer.rindex(b"HTTP/1.1") :]
    assert last.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b'"status":408' in last


async def test_a_connection_that_asks_nothing_is_closed() -> None:
    """Who connects and sends nothing is sent nothing."""
    async with serving(protocol=Hasty) as port:
        assert await talk(port) == b""


async def test_a_body_that_keeps_coming_has_the_time_it_needs() -> None:
    """A request that takes longer than a request may, but brings its body fast enough, is answered."""

    class Fair(Hasty):
        pace = 1

    head = b"POST /echo HTTP/1.1\r\nContent-Length: 200\r\nConnection: close\r\n\r\n"
    async with serving(protocol=Fair) as port:
        answer = await talk(port, head + b"a" * 199, *[b""] * 10, b"z")
    assert answer.endswith(b"aaaz")


async def test_a_head_that_does_not_end_is_refused() -> None:
    """Headers without end are 431, whatever their pace."""
    async with serving() as port:
        answer = await talk(port, b"GET /whole HTTP/1.1\r\nX: ", *[b"a" * 100_000] * 4)
    assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")


async def test_an_answer_before_the_body_leaves_the_connection_to_others() -> None:
    """A body that nobody wanted is read over; then the connection serves the next request, or is closed in time."""
    early = b"POST /whole HTTP/1.1\r\nContent-Length: 3\r\n\r\n"
    async with serving(idle=1) as port:
        assert (await talk(port, early, b"abc", GET)).count(BODY) == 2
        assert (await talk(port, early, b"abc")).count(BODY) == 1


async def test_it_tells_when_the_client_has_gone() -> None:
    """A connection that was closed while its request is worked on shows in the scope; an open one does not."""
    async with serving() as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /gone HTTP/1.1\r\nHost: a\r\n\r\n")
        async with asyncio.timeout(10):
            assert not await GONE.get()
            writer.close()
            assert await GONE.get()
