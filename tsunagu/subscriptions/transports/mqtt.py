"""Notifications over MQTT 3.1.1 and 5 (clause 7).

The endpoint is `mqtt[s]://[user[:password]@]host[:port]/topic[/subtopic]*`; notifierInfo may hold MQTT-Version
("mqtt5.0", the default, or "mqtt3.1.1"), MQTT-QoS (0, the default, 1 or 2), certificates for mqtts, and what OAuth2
needs (`oauth`): then the password is a token, and the user, if the URI names none, the client's id. A message is a
JSON object: `metadata` with what are headers over HTTP, `body` with the notification. One in the form of NGSIv2 is the
body alone, as Orion publishes it; MQTT 5 carries its headers as user properties. A message has arrived when the server
has acknowledged it as its QoS asks; with QoS 0, when it is written.

One connection for each server, user (and token) and version is kept while it is used. paho runs each in a thread of
its own; all state here is changed on the event loop only.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import orjson
from paho.mqtt.client import MQTT_ERR_SUCCESS, Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tsunagu.broker.access.tls import Certificates, certificates_of
from tsunagu.schemas.endpoint import QOS, VERSION
from tsunagu.subscriptions.transports.oauth import NoToken, Tokens, client_of
from tsunagu.subscriptions.transports.session import Session
from tsunagu.subscriptions.transports.transport import Message, Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paho.mqtt.reasoncodes import ReasonCode

    from tsunagu.broker.access.outgoing import OutgoingGuard
    from tsunagu.subscriptions.transports.oauth import Client as OAuthClient

VERSIONS = {"mqtt3.1.1": MQTTProtocolVersion.MQTTv311, "mqtt5.0": MQTTProtocolVersion.MQTTv5}
PORTS = {"mqtt": 1883, "mqtts": 8883}
KEEP_ALIVE = 30
IDLE_SECONDS = 60.0
REFUSALS = frozenset({0x90, 0x95, 0x99})  # topic name invalid, packet too large, payload format invalid
UNAUTHORIZED = frozenset({0x86, 0x87})  # bad user name or password, not authorized


class Unauthorized(ConnectionRefusedError):
    """The server does not take user and password."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where to connect, and as whom."""

    host: str
    port: int
    secure: bool
    user: str | None
    password: str | None = field(repr=False)
    version: str
    certificates: Certificates | None = None


class _Client(Client):
    """A paho client that connects to an address that was checked before, whatever the name leads to by now."""

    address: str = ""

    def _create_socket_connection(self) -> socket.socket:
        return socket.create_connection((self.address, self._port), timeout=self._connect_timeout)


class _Connection:
    """One connection to a server. `lost` is the reason when it is no longer of use."""

    def __init__(self, server: Server, address: str, secure: ssl.SSLContext | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[str] = self._loop.create_future()
        self._sent: dict[int, asyncio.Future[Result]] = {}
        self._connecting: asyncio.Future[Any] | None = None
        self.lost: str | None = None
        self.unauthorized = False
        self.idle: asyncio.TimerHandle | None = None
        self._client = client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"tsunagu-{secrets.token_hex(6)}",
            protocol=VERSIONS[server.version],
            reconnect_on_failure=False,
        )
        client.address = address
        if server.user is not None:
            client.username_pw_set(server.user, server.password)
        if secure is not None:
            client.tls_set_context(secure)
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect
        self._server = server

    async def open(self, seconds: float) -> None:
        """Connect. Raises OSError, or TimeoutError when it takes longer."""
        client, server = self._client, self._server
        client.connect_timeout = max(seconds, 0.1)
        self._connecting = self._loop.run_in_executor(None, client.connect, server.host, server.port, KEEP_ALIVE)
        await asyncio.shield(self._connecting)
        self._client.loop_start()
        refusal = await self._ready
        if refusal:
            raise (Unauthorized if self.unauthorized else ConnectionRefusedError)(refusal)

    async def publish(self, topic: str, payload: bytes, qos: int, headers: Sequence[tuple[str, str]]) -> Result:
        """Publish a message and wait until it is acknowledged; `headers` go beside it if the version can carry them."""
        if self.lost is not None:
            return Result(ok=False, reason=self.lost)
        try:
            sent = self._client.publish(topic, payload, qos, properties=self._properties(headers))
        except ValueError as error:
            return Result(ok=False, reason=str(error), refused=True)
        if sent.rc != MQTT_ERR_SUCCESS:
            return Result(ok=False, reason=f"not connected ({sent.rc})")
        future: asyncio.Future[Result] = self._loop.create_future()
        self._sent[sent.mid] = future
        try:
            return await future
        finally:
            self._sent.pop(sent.mid, None)

    def _properties(self, headers: Sequence[tuple[str, str]]) -> Properties | None:
        if not headers or self._server.version == "mqtt3.1.1":
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho's
        properties.UserProperty = list(headers)
        return properties

    async def close(self) -> None:
        """Disconnect."""
        if self.idle is not None:
            self.idle.cancel()
        if self._connecting is not None:
            await asyncio.gather(self._connecting, return_exceptions=True)
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    # --- from paho's thread -----------------------------------------------------------------------------------------

    def _on_connect(self, _client: Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        self.unauthorized = code.is_failure and code.value in UNAUTHORIZED
        self._loop.call_soon_threadsafe(self._connected, f"the server refuses: {code}" if code.is_failure else "")

    def _on_publish(self, _client: Client, _data: Any, mid: int, code: ReasonCode, _properties: Any) -> None:
        failed = code is not None and code.is_failure
        result = Result(ok=not failed, reason=str(code) if failed else "", refused=failed and code.value in REFUSALS)
        self._loop.call_soon_threadsafe(self._published, mid, result)

    def _on_disconnect(self, _client: Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        self._loop.call_soon_threadsafe(self._disconnected, f"disconnected: {code}")

    # --- on the event loop ------------------------------------------------------------------------------------------

    def _connected(self, refusal: str) -> None:
        if not self._ready.done():
            self._ready.set_result(refusal)

    def _published(self, mid: int, result: Result) -> None:
        future = self._sent.get(mid)
        if future is not None and not future.done():
            future.set_result(result)

    def _disconnected(self, reason: str) -> None:
        self.lost = reason
        self._connected(reason)
        for future in self._sent.values():
            if not future.done():
                future.set_result(Result(ok=False, reason=reason))


class MqttTransport:
    """Publishes messages over connections that are kept while they are used."""

    def __init__(self, guard: OutgoingGuard) -> None:
        self._guard = guard
        self._session = Session(guard)
        self._tokens = Tokens(self._session.fetch)
        self._connections: dict[Server, _Connection] = {}
        self._locks: dict[Server, asyncio.Lock] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def send(self, message: Message) -> Result:
        """Publish one message; see `Transport.send`."""
        settings = dict(message.settings)
        server, topic = server_of(message.uri, settings.get(VERSION, "mqtt5.0"))
        server = replace(server, certificates=certificates_of(settings))
        payload, headers = message.body, message.headers
        if not message.bare:
            payload, headers = b'{"metadata":' + orjson.dumps(dict(headers)) + b',"body":' + payload + b"}", ()
        try:
            async with asyncio.timeout(message.timeout):
                connection = await self._authorized(server, client_of(settings), message.timeout)
                return await connection.publish(topic, payload, int(settings.get(QOS, "0")), headers)
        except TimeoutError:
            return Result(ok=False, reason=f"no acknowledgement within {message.timeout:g} s")
        except NoToken as error:
            return Result(ok=False, reason=f"no OAuth2 token: {error}"[:300])
        except (OSError, ValueError) as error:
            return Result(ok=False, reason=f"no connection: {error}"[:300])

    async def _authorized(self, server: Server, client: OAuthClient | None, seconds: float) -> _Connection:
        """Return an open connection, with a token if a client asks for them. Raises OSError, NoToken."""
        if client is None:
            return await self._connection(server, seconds)
        user = client.id if server.user is None else server.user
        token = await self._tokens.get(client)
        try:
            return await self._connection(replace(server, user=user, password=token), seconds)
        except Unauthorized:
            self._tokens.refused(client, token)
            token = await self._tokens.get(client)
            return await self._connection(replace(server, user=user, password=token), seconds)

    async def _connection(self, server: Server, seconds: float) -> _Connection:
        """Return a connection that is open. Raises OSError."""
        async with self._locks.setdefault(server, asyncio.Lock()):
            connection = self._connections.get(server)
            if connection is None or connection.lost is not None:
                if connection is not None:
                    self._end(server, connection)
                secure = await self._session.contexts.of(server.certificates) if server.secure else None
                if server.secure and secure is None:
                    secure = ssl.create_default_context()
                connection = _Connection(server, await self._address(server), secure)
                try:
                    await connection.open(seconds)
                except BaseException:
                    self._end(server, connection)
                    raise
                self._connections[server] = connection
        if connection.idle is not None:
            connection.idle.cancel()
        loop = asyncio.get_running_loop()
        connection.idle = loop.call_later(IDLE_SECONDS, self._end, server, connection)
        return connection

    async def _address(self, server: Server) -> str:
        """Return an address of a server that the guard permits. Raises OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
        for row in found:
            address = str(row[4][0])
            if self._guard.permits(server.host, address):
                return address
        raise OSError(f"{server.host} leads to a private address")

    def _end(self, server: Server, connection: _Connection) -> None:
        """Close a connection in the background."""
        if self._connections.get(server) is connection:
            del self._connections[server]
        task = asyncio.get_running_loop().create_task(connection.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close all connections."""
        for server, connection in list(self._connections.items()):
            self._end(server, connection)
        await asyncio.gather(*self._closing, return_exceptions=True)
        await self._tokens.close()
        await self._session.close()


def server_of(uri: str, version: str) -> tuple[Server, str]:
    """Return where an endpoint's URI leads to, and the topic."""
    parts = urlsplit(uri)
    scheme = parts.scheme.lower()
    user = unquote(parts.username) if parts.username is not None else None
    password = unquote(parts.password) if parts.password is not None else None
    server = Server(parts.hostname or "", parts.port or PORTS[scheme], scheme == "mqtts", user, password, version)
    return server, unquote(parts.path[1:])
