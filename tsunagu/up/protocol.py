"""uvicorn's HTTP protocol with a short way for whole answers, and less to do for each request.

uvicorn takes head and body of an answer as two messages, looks every header through with two regular expressions, and
sets a timer for each request. An application that has its whole answer at hand gives it to an ASGI extension instead
(`tsunagu.asgi`): one write, one look. What streams goes uvicorn's way.
"""

from __future__ import annotations

import asyncio
import math
import urllib.parse
from typing import TYPE_CHECKING, Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from tsunagu.asgi import WHOLE_ANSWER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uvicorn._types import HTTPScope


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


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol with such cycles, and one timer for each connection that looks whether it is idle."""

    _idle_since = math.inf

    def on_message_begin(self) -> None:
        """Begin a request; the scope is made when its headers are there."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """Start the application on a request, or queue it behind the one before it on the connection (pipelining)."""
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
        scope["extensions"] = {WHOLE_ANSWER: cycle.whole}
        if before is None or before.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def on_response_complete(self) -> None:
        """Take the next request of the connection, or be idle."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._look_in(self.timeout_keep_alive)

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = math.inf

    def _look_in(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it has been idle for the time it may be, else look again when it may have been."""
        self.timeout_keep_alive_task = None
        if self.transport.is_closing() or self._idle_since == math.inf:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._look_in(left)
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
        super().connection_lost(exc)
