"""Notifications over HTTP, to a real server."""

from __future__ import annotations

import asyncio
import base64
import shutil
import ssl
import time
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from tests.unit.broker.access.certificates import Authority
from tsunagu.broker.access.outgoing import OutgoingGuard
from tsunagu.subscriptions.transports import Transports
from tsunagu.subscriptions.transports.http import HttpTransport
from tsunagu.subscriptions.transports.transport import Message, Result

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.unit.subscriptions.receiver import Receiver


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    """Give a transport that may reach this machine."""
    one = HttpTransport(OutgoingGuard(("127.0.0.1", "localhost")))
    yield one
    await one.close()


def message(uri: str, body: bytes = b"{}", timeout: float = 2.0) -> Message:
    return Message(uri, body, (("Content-Type", "application/json"), ("X-Extra", "1")), timeout)


def answering(status: int, **options: object) -> object:
    async def answer(request: web.Request, body: object) -> web.StreamResponse:
        return web.Response(status=status, **options)

    return answer


async def test_body_and_headers_arrive(transport: HttpTransport, receiver: Receiver) -> None:
    """The body and the headers arrive as they were given, at path and query of the URI."""
    result = await transport.send(message(receiver.url("/a/b?c=d"), b'{"x":1}'))
    assert result == Result(ok=True, status=204)
    path, headers, body = receiver.got[0]
    assert (path, body) == ("/a/b", {"x": 1})
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Extra"] == "1"


@pytest.mark.parametrize(
    ("status", "ok", "refused"),
    [
        *((status, True, False) for status in (200, 202, 299)),
        *((status, False, True) for status in (400, 413, 422)),
        *((status, False, False) for status in (302, 401, 404, 429, 500, 503)),
    ],
)
async def test_statuses(transport: HttpTransport, receiver: Receiver, status: int, ok: bool, refused: bool) -> None:
    """Any 2xx is success; a body that is not liked is refused; everything else is a failure of the endpoint."""
    receiver.answer = answering(status)
    result = await transport.send(message(receiver.url()))
    assert (result.ok, result.status, result.refused) == (ok, status, refused)


async def test_redirects_are_not_followed(transport: HttpTransport, receiver: Receiver) -> None:
    """A redirect is a failure: it could lead where the guard would not let us go."""
    receiver.answer = answering(307, headers={"Location": receiver.url("/elsewhere")})
    assert (await transport.send(message(receiver.url()))).reason == "307 Temporary Redirect"
    assert receiver.got == []


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("7", 7, 7),
        ("0", 0, 0),
        ("999999999", 86400, 86400),
        (60, 50, 61),
        (-60, 0, 0),
    ],
)
async def test_retry_after(
    transport: HttpTransport, receiver: Receiver, text: str | int, low: float, high: float
) -> None:
    """Retry-After is read in seconds and as a date, and bounded by a day."""
    if isinstance(text, int):
        text = formatdate(time.time() + text, usegmt=True)
    receiver.answer = answering(503, headers={"Retry-After": text})
    result = await transport.send(message(receiver.url()))
    assert result.retry_after is not None
    assert low <= result.retry_after <= high


async def test_an_unreadable_retry_after_is_ignored(transport: HttpTransport, receiver: Receiver) -> None:
    """Rubbish in Retry-After is as if it were absent."""
    receiver.answer = answering(503, headers={"Retry-After": "soon"})
    assert (await transport.send(message(receiver.url()))).retry_after is None


async def test_no_answer_in_time(transport: HttpTransport, receiver: Receiver) -> None:
    """An endpoint that does not answer within the timeout has failed."""

    async def answer(request: web.Request, body: object) -> web.StreamResponse:
        await asyncio.sleep(3)
        return web.Response()

    receiver.answer = answer
    started = time.monotonic()
    result = await transport.send(message(receiver.url(), timeout=0.1))
    assert result == Result(ok=False, reason="no answer within 0.1 s")
    assert time.monotonic() - started < 1


async def test_nobody_listens(transport: HttpTransport, receiver: Receiver) -> None:
    """A refused connection is a failure with a reason."""
    await receiver.stop()
    result = await transport.send(message(receiver.url()))
    assert not result.ok
    assert "Cannot connect" in result.reason


async def test_a_host_that_does_not_exist(transport: HttpTransport) -> None:
    """A name that cannot be resolved is a failure with a reason."""
    result = await transport.send(message("http://no-such-host.invalid/x"))
    assert not result.ok
    assert result.reason


async def test_connections_are_kept(transport: HttpTransport, receiver: Receiver) -> None:
    """Several messages go over one connection, also when the answers have bodies."""
    ports = set()

    async def answer(request: web.Request, body: object) -> web.StreamResponse:
        ports.add(request.transport.get_extra_info("peername")[1])
        return web.Response(text="thank you")

    receiver.answer = answer
    for _ in range(5):
        assert (await transport.send(message(receiver.url()))).ok
    assert len(ports) == 1


async def test_a_kept_connection_that_was_closed(transport: HttpTransport, receiver: Receiver) -> None:
    """When the receiver was restarted, the next message goes over a new connection without a failure."""
    assert (await transport.send(message(receiver.url()))).ok
    port = receiver.port
    await receiver.stop()
    await receiver.start(port)
    assert (await transport.send(message(receiver.url()))).ok


async def test_an_endless_answer_is_cut_off(transport: HttpTransport, receiver: Receiver) -> None:
    """Of a long answer only the beginning is read."""

    async def answer(request: web.Request, body: object) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
        except ConnectionError:
            return response

    receiver.answer = answer
    assert (await transport.send(message(receiver.url()))).ok


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_private_address_is_not_connected_to(receiver: Receiver, host: str) -> None:
    """The guard is asked at the connection, for addresses and for what names lead to."""
    transport = HttpTransport(OutgoingGuard())
    result = await transport.send(message(f"http://{host}:{receiver.port}/x"))
    await transport.close()
    assert not result.ok
    assert "private" in result.reason
    assert receiver.got == []


async def test_the_table_of_schemes(receiver: Receiver) -> None:
    """A message goes by the transport of its URI's scheme, whatever its case."""
    transports = Transports(OutgoingGuard(("127.0.0.1",)))
    result = await transports.send(message(receiver.url().replace("http", "HTTP")))
    await transports.close()
    assert result.ok


class Secured:
    """An HTTPS endpoint with a certificate of its own CA, that may want to see one of its clients."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.server = self.authority.sign("server")
        self.client = self.authority.sign("client")
        self.runner: web.AppRunner | None = None
        self.url = ""

    async def start(self, *, mutual: bool = False) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server.certificate, self.server.key_file)
        if mutual:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=self.authority.own.pem)
        app = web.Application()
        app.router.add_post("/", self.take)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self.url = f"https://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/"  # type: ignore[union-attr]

    async def take(self, request: web.Request) -> web.Response:
        return web.Response(status=204)

    def message(self, **settings: str) -> Message:
        given = tuple((f"TLS-{key.replace('_', '-')}", value) for key, value in settings.items())
        return Message(self.url, b"{}", (), 5.0, given)


@pytest.fixture
async def secured(tmp_path: Path) -> AsyncIterator[Secured]:
    """Give an HTTPS endpoint that is not started."""
    one = Secured(tmp_path)
    yield one
    if one.runner is not None:
        await one.runner.cleanup()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
async def test_a_ca_of_the_endpoint(transport: HttpTransport, secured: Secured) -> None:
    """An endpoint whose certificate the system does not know is reached with its CA, and only with it."""
    await secured.start()
    refused = await transport.send(secured.message())
    assert not refused.ok
    assert "certificate is not trusted" in refused.reason
    assert (await transport.send(secured.message(CA=secured.authority.own.pem))).ok
    assert not (await transport.send(secured.message())).ok


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
async def test_a_client_certificate(transport: HttpTransport, secured: Secured) -> None:
    """An endpoint that wants to see a certificate is shown the subscription's."""
    await secured.start(mutual=True)
    pem = secured.authority.own.pem
    assert not (await transport.send(secured.message(CA=pem))).ok
    shown = {"Client_Certificate": secured.client.pem, "Client_Key": secured.client.key}
    assert (await transport.send(secured.message(CA=pem, **shown))).ok


async def test_user_and_password_of_the_address(transport: HttpTransport, receiver: Receiver) -> None:
    """User and password in the address are shown to the receiver as Basic credentials."""
    assert (await transport.send(message(receiver.url().replace("://", "://bob:p%40ss@")))).ok
    assert receiver.got[0][1]["Authorization"] == "Basic " + base64.b64encode(b"bob:p@ss").decode()
