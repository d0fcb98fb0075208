"""The HTTP door: a plain ASGI callable for device messages, in the form of FIWARE's IoT Agents.

POST /iot/json?k&i[&t], GET|POST /iot/d?k&i[&d][&t], POST /iot/json/attrs/<attr>?k&i, POST /iot/chirpstack?event=up,
POST /iot/ble/<shape>?k[&i],
POST /iot/camera?k&i. The answer is 200 `{}` (after the commit), 4xx `{"name", "message"}`, or 503 with Retry-After.
Messages that arrive together are committed together.
"""

from __future__ import annotations

import asyncio
import contextlib
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl

import orjson
import structlog

from tsunagu.adapters import clock, metrics
from tsunagu.adapters.command_payload import answer
from tsunagu.adapters.credentials import Proof, check_proof, digest, fingerprint_of
from tsunagu.adapters.errors import (
    BadMeasure,
    BadPayload,
    Busy,
    DeviceError,
    MethodNotAllowed,
    MissingParameters,
    PathNotFound,
    TooLarge,
    UnsupportedType,
)
from tsunagu.adapters.inbound.topics import is_named
from tsunagu.adapters.message import Message
from tsunagu.adapters.receipts import LONGEST_KEY
from tsunagu.adapters.registry import FORMATS
from tsunagu.adapters.sink import SinkUnavailable
from tsunagu.asgi import send_whole

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    from tsunagu.adapters.format import Format, Route
    from tsunagu.adapters.pipeline import Pipeline
    from tsunagu.adapters.work import Work

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

    class Hooks(Protocol):
        """See `connections.book.RouteBook.hook`."""

        def __call__(
            self, method: str, path: str, body: bytes, *, received: int, headers: Mapping[str, str]
        ) -> Message:
            """Return the message that a request is. Raises DeviceError."""


QUERY = {"k": "apikey", "i": "device", "t": "t", "event": "event", "getCmd": "getCmd"}
NEEDED = {"k": "API Key", "i": "Device Id"}
WAITING = metrics.WAITING.labels("http")
BATCH = 500
LIMIT = 5_000
MAX_BODY = 1024 * 1024
HOOKS = "/iot/hooks/"
NO_PROOF = Proof()

log = structlog.get_logger(__name__)


class DeviceDoor:
    """The ASGI application. `paths` says which requests are its own; `await stop()` waits for what is under way.

    `hooks` makes messages of what comes under /iot/hooks/; app.py sets it. `certificate_header` is the header in which
    a TLS gateway names the fingerprint of the client certificate that it verified; "" for none.
    """

    paths = frozenset(route.path for row in FORMATS.values() for route in row.routes if "{" not in route.path)
    prefixes = tuple(
        {route.path.partition("{")[0] for row in FORMATS.values() for route in row.routes if "{" in route.path}
        | {HOOKS}
    )

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        max_body: int = MAX_BODY,
        limit: int = LIMIT,
        certificate_header: str = "",
        now: Callable[[], int] = clock.now,
    ) -> None:
        self.pipeline = pipeline
        self.max_body = max_body
        self.limit = limit
        self.certificate_header = certificate_header.lower().encode()
        self.now = now
        self.hooks: Hooks | None = None
        self._routes = _table()
        self._waiting: list[tuple[Message, asyncio.Future[None]]] = []
        self._pending = 0
        self._flusher: asyncio.Task[None] | None = None

    def takes(self, path: str) -> bool:
        """Tell whether the door answers for this path."""
        return path in self.paths or path.startswith(self.prefixes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = monotonic()
        retry_after = None
        content = b"application/json"
        try:
            message = await self._message(scope, receive)
            if message.body or message.named.get("source") != "query":
                await self._submit(message)
            status, body = 200, b"{}"
            if message.named.get("getCmd") == "1":
                body, content = await self._commands(message)
        except DeviceError as error:
            status, body = error.status, orjson.dumps(error.body())
            retry_after = 1 if isinstance(error, Busy) else None
        except SinkUnavailable as unavailable:
            status, retry_after = 503, unavailable.retry_after
            body = orjson.dumps(
                {"name": "SERVICE_UNAVAILABLE", "message": f"nothing was stored; send it again ({unavailable})"}
            )
        headers = [
            (b"content-type", content),
            (b"content-length", str(len(body)).encode()),
            (b"x-processing-time", str(round((monotonic() - started) * 1000)).encode()),
        ]
        if retry_after is not None:
            headers.append((b"retry-after", str(retry_after).encode()))
        await send_whole(scope, send, status, headers, body)

    async def _commands(self, message: Message) -> tuple[bytes, bytes]:
        """Return the commands that wait for the device, and their content type. Raises DeviceError, SinkUnavailable."""
        row = FORMATS[message.format]
        plan = await self.pipeline.registry.find(row.resources, message.named["apikey"], message.named["device"])
        if plan.credential is not None:
            check_proof(plan.credential, message.proof, message.received)
        found = await self.pipeline.commands.fetch(plan) if self.pipeline.commands is not None else []
        ultralight = message.format == "ultralight"
        return answer(found, ultralight=ultralight), b"text/plain" if ultralight else b"application/json"

    async def stop(self) -> None:
        """Wait until everything that was taken is committed or answered."""
        if self._flusher is not None:
            await self._flusher

    async def _message(self, scope: Scope, receive: Receive) -> Message:
        """Return the message of a request. Raises DeviceError."""
        path, method = scope["path"], scope["method"]
        if path.startswith(HOOKS) and self.hooks is not None:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            message = self.hooks(method, path, await self._body(scope, receive), received=self.now(), headers=headers)
            message.proof, message.repeat_key = self._proof(scope), _repeat_key(scope)
            return message
        content_type = _header(scope, b"content-type")
        self._route(path, method, content_type)
        body = await self._body(scope, receive)
        message = self.message_of(method, path, scope["query_string"], content_type=content_type, body=body)
        message.proof, message.repeat_key = self._proof(scope), _repeat_key(scope)
        return message

    def _proof(self, scope: Scope) -> Proof:
        """Return what a request shows: a bearer token, a fingerprint in the header of the TLS gateway."""
        token = fingerprint = ""
        for name, value in scope["headers"]:
            if name == b"authorization" and value[:7].lower() == b"bearer ":
                token = digest(value[7:].strip().decode("latin-1"))
            elif name == b"x-device-token":
                token = digest(value.strip().decode("latin-1"))
            elif name == self.certificate_header:
                with contextlib.suppress(BadMeasure):
                    fingerprint = fingerprint_of(value.decode("latin-1"))
        return Proof(token, fingerprint) if token or fingerprint else NO_PROOF

    def message_of(self, method: str, path: str, query_string: bytes, *, content_type: str, body: bytes) -> Message:
        """Return the message that a request is. Raises DeviceError."""
        row, route, parts = self._route(path, method, content_type)
        pairs = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)
        query = dict(pairs)
        if len(query) < len(pairs):
            raise BadPayload("a parameter stands twice in the query: which one is meant?")
        source = route.named.get("source")
        if source is not None:
            body = query.get("d", "").encode() if source == "query" else query_string
            content_type = ""
        named = {**parts, **{name: query[key] for key, name in QUERY.items() if query.get(key)}, **route.named}
        missing = [NEEDED[key] for key in row.needs if not query.get(key)]
        if source == "query" and not body and query.get("getCmd") != "1":
            missing.append("Payload")
        if missing:
            raise MissingParameters(
                f"Some of the mandatory params weren't found in the request: {orjson.dumps(missing).decode()}"
            )
        return Message(row.name, body, self.now(), named, path, content_type)

    def _route(self, path: str, method: str, content_type: str) -> tuple[Format, Route, dict[str, str]]:
        """Return the format, its route and the path's named parts; the content type decides between two formats."""
        kind = content_type.partition(";")[0].strip().lower()
        found = [(row, route, parts) for row, route in self._routes if (parts := _match(route.path, path)) is not None]
        if not found:
            raise PathNotFound(f"there is no {path} at the device door")
        allowed = [one for one in found if method in one[1].methods]
        if not allowed:
            methods = sorted({m for _, route, _ in found for m in route.methods})
            raise MethodNotAllowed(f"{path} takes {', '.join(methods)} and not {method}")
        for one in allowed:
            if method == "GET" or not one[1].types or kind in one[1].types:
                return one
        expected = ", ".join(dict.fromkeys(kind for _, route, _ in allowed for kind in route.types))
        raise UnsupportedType(f"The request content didn't have the expected type [{expected} ]")

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        length = _header(scope, b"content-length")
        if length.isdigit() and int(length) > self.max_body:
            raise TooLarge(f"the body has {length} bytes; at most {self.max_body} are taken")
        event = await receive()
        body: bytes = event.get("body", b"")
        if event.get("more_body"):
            chunks, size = [body], len(body)
            while event.get("more_body"):
                event = await receive()
                chunks.append(event.get("body", b""))
                size += len(chunks[-1])
                if size > self.max_body:
                    raise TooLarge(f"the body is larger than {self.max_body} bytes")
            body = b"".join(chunks)
        if event["type"] == "http.disconnect":
            raise BadPayload("the client left before the body was complete")
        if len(body) > self.max_body:
            raise TooLarge(f"the body has {len(body)} bytes; at most {self.max_body} are taken")
        return body

    async def _submit(self, message: Message) -> None:
        """Wait until the message is committed. Raises DeviceError, SinkUnavailable."""
        if self._pending >= self.limit:
            raise Busy(f"{self._pending} messages wait already; send it again in a second")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((message, done))
        self._pending += 1
        WAITING.set(self._pending)
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush())
        try:
            await done
        finally:
            self._pending -= 1
            WAITING.set(self._pending)

    async def _flush(self) -> None:
        """Process what waits, batch by batch, until nothing does."""
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            work: list[Work] = []
            try:
                work = await self.pipeline.prepare([message for message, _ in batch])
                await self.pipeline.commit(work)
            except Exception as error:
                for one in work:
                    for undo in reversed(one.undo):
                        undo()
                if not isinstance(error, SinkUnavailable):
                    log.exception("device messages failed")
                for _, done in batch:
                    if not done.done():
                        done.set_exception(
                            error if isinstance(error, SinkUnavailable) else SinkUnavailable("internal error")
                        )
                continue
            for (_, done), one in zip(batch, work, strict=True):
                if done.done():
                    continue
                if one.error is not None:
                    done.set_exception(one.error)
                else:
                    done.set_result(None)


def _table() -> list[tuple[Format, Route]]:
    return [(row, route) for row in FORMATS.values() for route in row.routes]


def _match(pattern: str, path: str) -> dict[str, str] | None:
    if "{" not in pattern:
        return {} if pattern == path else None
    wanted, given = pattern.split("/"), path.split("/")
    if len(wanted) != len(given):
        return None
    parts = {}
    for level, text in zip(wanted, given, strict=True):
        if is_named(level) and text:
            parts[level[1:-1]] = text
        elif level != text:
            return None
    return parts


def _repeat_key(scope: Scope) -> str:
    """Return the Idempotency-Key of a request, "" for none. Raises BadPayload for one that is too long."""
    key = _header(scope, b"idempotency-key").strip()
    if len(key) > LONGEST_KEY:
        raise BadPayload(f"the header Idempotency-Key has at most {LONGEST_KEY} characters")
    return key


def _header(scope: Scope, name: bytes) -> str:
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return ""
