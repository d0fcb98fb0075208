"""uvicorn's HTTP protocol with a short way for whole answers, less to do for each request, and limits.

uvicorn takes head and body of an answer as two messages, looks every header through with two regular expressions, and
sets a timer for each request. An application that has its whole answer at hand gives it to an ASGI extension instead
(`tsunagu.asgi`): one write, one look. What streams goes uvicorn's way.

uvicorn waits for ever for the rest of a request, takes headers of any length, and answers what is no HTTP with plain
text. Here a request has its time and its length, and what is refused is told why in a problem document.
"""

from __future__ import annotations

import asyncio
import math
import urllib.parse
from typing import TYPE_CHECKING, Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from tsunagu.asgi import CLIENT_GONE, WHOLE_ANSWER
from tsunagu.broker.api.problems import HeadTooLarge, RequestTimeout, UriTooLong, problem_answer
from tsunagu.broker.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uvicorn._types import ASGI3Application, HTTPScope

    from tsunagu.broker.errors import NgsiError

URI_LIMIT = 65_535  # bytes; the parser takes no more
HEAD_LIMIT = 262_144  # bytes of a head that comes in several pieces


class Cycle(RequestResponseCycle):
    """One request and its answer."""

    def whole(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
        """Send a whole answer with uvicorn's own headers (Date) and these, in lower case, the body's length among them.

        Returns False, having done nothing, where the connection cannot take it now: then send it as messages. Raises
        RuntimeError if a header holds a line break.
        """
        if self.flow.write_paused or self.disconnected or self.response_started:
            return False
        lines = [STATUS_LINE[status]]
        for name, value in (*self.default_headers, *headers):
            lines += (name, b": ", value, b"\r\n")
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        head = b"".join(lines)
        count = len(self.default_headers) + len(headers) + (2 if self.keep_alive else 3)
        if head.count(b"\n") != count or b"\0" in head:
            raise RuntimeError("a header of the answer holds a line break or NUL")
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.transport.write(head if self.scope["method"] == "HEAD" else head + body)
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
        return True

    def gone(self) -> bool:
        """Tell whether the client has closed the connection."""
        return self.disconnected

    async def run_asgi(self, app: ASGI3Application) -> None:
        """Run the application; then let go of what refers to this cycle, so that it goes without garbage collection."""
        await super().run_asgi(app)
        self.scope["extensions"] = {}


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol with such cycles, and one timer for each connection that looks whether its time is over.

    A request shall be whole `patience` seconds after its first byte, and a second later for each `pace` bytes of body.
    """

    patience = 30.0
    pace = 1_000

    _idle = True
    _deadline = math.inf  # of being idle, or of the request that is coming; inf while it is whole and not answered yet
    _in_head = False
    _head = 0
    _refusal: NgsiError | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, which shall bring a request."""
        super().connection_made(transport)
        self._deadline = self.loop.time() + self.patience
        self._look_in(min(self.patience, self.timeout_keep_alive))

    def data_received(self, data: bytes) -> None:
        """Read a piece of a request, or refuse one whose head does not end."""
        if self._in_head:
            self._head += len(data)
            if self._head > HEAD_LIMIT:
                self._refuse(HeadTooLarge(f"the request's headers have more than {HEAD_LIMIT} bytes"))
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin a request; the scope is made when its headers are there."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._in_head = True
        self._head = 0

    def on_url(self, url: bytes) -> None:
        """Take the URI, or a piece of it."""
        self.url += url
        if len(self.url) > URI_LIMIT:
            text = f"the request's URI has more than {URI_LIMIT} bytes; POST /entityOperations/query takes long queries"
            self._refusal = UriTooLong(text)
            raise self._refusal

    def on_headers_complete(self) -> None:
        """Start the application on a request, or queue it behind the one before it on the connection (pipelining)."""
        self._in_head = False
        parser = self.parser
        version = parser.get_http_version()
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "method": parser.get_method().decode("ascii"),
            "scheme": self.scheme,
            "path": urllib.parse.unquote(path) if "%" in path else path,
            "raw_path": url.path,
            "query_string": url.query or b"",
            "root_path": "",
            "headers": self.headers,
            "server": self.server,
            "client": self.client,
            "state": self.app_state.copy(),
        }
        self.scope = cast("HTTPScope", scope)
        before = self.cycle
        cycle = self.cycle = Cycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        scope["extensions"] = {WHOLE_ANSWER: cycle.whole, CLIENT_GONE: cycle.gone}
        if before is None or before.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body, which earns the rest of it more time."""
        self._deadline += len(body) / self.pace
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the end of a request. If its answer came before, the connection is idle now."""
        self._deadline = math.inf
        if self.cycle.response_complete:
            self._rest()
            return
        self.cycle.more_body = False
        self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        """Take the next request of the connection, or be idle."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            if cycle.more_body:
                self._expect(self.patience)
            self._start_asgi_task(cycle, app)
            return
        self._rest()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's signature
        """Answer what could not be parsed, or was refused while it was, and close."""
        self._refuse(self._refusal or InvalidRequest("this is no HTTP/1.1 request that can be understood"))

    def _refuse(self, error: NgsiError) -> None:
        """Answer the request that is coming with a problem, unless its answer has begun, and close the connection."""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            answer = problem_answer(error)
            body = answer.body or b""
            length = (b"content-length", b"%d" % len(body))
            headers = (*self.server_state.default_headers, *answer.headers, length, (b"connection", b"close"))
            lines = [name + b": " + value + b"\r\n" for name, value in headers]
            self.transport.write(b"".join([STATUS_LINE[answer.status], *lines, b"\r\n", body]))
        self.transport.close()

    def _rest(self) -> None:
        """Be idle from now on."""
        self._idle = True
        self._expect(self.timeout_keep_alive)

    def _expect(self, seconds: float) -> None:
        """Set the time in which something must come."""
        self._deadline = self.loop.time() + seconds
        if self.timeout_keep_alive_task is None:
            self._look_in(seconds)

    def _unset_keepalive_if_required(self) -> None:
        if self._idle:
            self._idle = False
            self._deadline = self.loop.time() + self.patience

    def _look_in(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """End the connection if its time is over; while a request is being answered it has no end."""
        self.timeout_keep_alive_task = None
        if self.transport.is_closing() or self._deadline == math.inf:
            return
        left = self._deadline - self.loop.time()
        if left > 0:
            self._look_in(left)
        elif self._idle:
            self.transport.close()
        else:
            self._refuse(RequestTimeout("the request did not arrive whole in time; send it again, faster"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
        super().connection_lost(exc)
