"""The MQTT door: subscribes to the topics of all formats and acknowledges a message after its commit, never before.

QoS 1, a stable client id and a persistent session let the MQTT broker keep what we have not acknowledged; its Receive
Maximum (MQTT 5) bounds what is under way, and while too much waits here nothing is read. While some batches are being
committed the next one is prepared (`batches.py`). MQTT 5 with 3.1.1 as the fallback; reconnects for ever.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

import structlog

from tsunagu.adapters import metrics
from tsunagu.adapters.connections.book import NO_HEADERS, RoutedTopics
from tsunagu.adapters.inbound import packets
from tsunagu.adapters.inbound.batches import Batches, persist
from tsunagu.adapters.inbound.connection import KEEP_ALIVE, UNSUPPORTED_VERSION, Connection, Refused
from tsunagu.adapters.inbound.packets import V5, V311, Publication
from tsunagu.adapters.inbound.user_properties import proof_of, repeat_key_of, user_properties
from tsunagu.adapters.sink import SinkUnavailable
from tsunagu.background import end

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tsunagu.adapters.message import Message
    from tsunagu.adapters.pipeline import Pipeline
    from tsunagu.adapters.work import Work

DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883, "tcp": 1883, "ssl": 8883}
TLS = frozenset(("mqtts", "ssl"))
FAILURES_BEFORE_311 = 2
ANSWER_WITHIN = 4.0  # seconds from the open socket to the broker's first answer
CONNECT_WITHIN = 10.0
FIRST_WAIT = 0.2
LONGEST_WAIT = 15.0
PUBLISH_WITHIN = 5.0
MAX_BODY = 1024 * 1024
MAX_WAITING = 64 * 1024 * 1024  # bytes of payload that wait here before the door stops reading
AT_ONCE = 100  # messages prepared in one go of the event loop
BYTES_AT_ONCE = 256 * 1024  # and their payloads; they become many times as much while they are prepared
BATCH_BYTES = 4 * 1024 * 1024  # bytes of payload on their way to the commit
BESIDE = 500  # messages that make a batch beside others that are under way

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Arrival:
    """A publication, the connection it came over (a packet id means nothing on another one), and when, epoch ms."""

    connection: Connection
    publication: Publication
    received: int


def _size(arrival: Arrival) -> int:
    payload = arrival.publication.payload
    return len(payload) if payload is not None else 0


class Topics(Protocol):
    """What a door subscribes to, and what it makes of a publication; see `connections.book.RoutedTopics`."""

    @property
    def filters(self) -> list[str]:
        """The MQTT topic filters."""

    def message(self, topic: str, body: bytes, received: int, *, headers: Mapping[str, str]) -> Message | None:
        """Return the message on a topic; None for a topic that is none of these."""


class Network:
    """How a broker is reached: any address that its name has, and the system's certificate authorities."""

    async def address(self, host: str, port: int) -> str:
        """Return the address to connect to. Raises OSError."""
        del port
        return host

    async def context(self) -> ssl.SSLContext:
        """Return how TLS is spoken. Raises ValueError."""
        return ssl.create_default_context()


def tell_metrics(connected: bool, error: str) -> None:
    """Tell the state of the operator's own MQTT broker."""
    del error
    metrics.CONNECTED.set(1 if connected else 0)


class MqttDoor:
    """One MQTT broker's door. `await start()`, `await stop()`; `connected` for health checks.

    `url` is mqtt://[user:password@]host[:port], mqtts:// for TLS. `share` names a shared subscription for several
    workers, each with its own client id. `receive_maximum` bounds the messages under way, `batch` those of one commit,
    `max_body` the bytes of a payload: a longer one goes to the quarantine without its bytes. `version` settles the
    protocol (V311 or V5), `network` how the broker's address and certificates are found; `on_state` is told of every
    connection and of what broke it.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        url: str,
        client_id: str,
        share: str | None = None,
        receive_maximum: int = 4000,
        batch: int = 2000,
        longest_wait: float = LONGEST_WAIT,
        max_body: int = MAX_BODY,
        version: int | None = None,
        network: Network | None = None,
        on_state: Callable[[bool, str], None] = tell_metrics,
    ) -> None:
        self.pipeline = pipeline
        self.url = urlsplit(url if "://" in url else f"mqtt://{url}")
        if self.url.scheme not in DEFAULT_PORTS or not self.url.hostname:
            raise ValueError("an MQTT URL has the form mqtt://[user:password@]host[:port], or mqtts:// for TLS")
        self.client_id = client_id
        self.share = share
        self.receive_maximum = receive_maximum
        self.batch = batch
        self.longest_wait = longest_wait
        self.max_body = max_body
        self.topics: Topics = RoutedTopics((), standard=True, realm=None)
        self.connected = False
        self.protocol = version or V5
        self._fixed = version is not None
        self._network = network or Network()
        self._on_state = on_state
        self._subscribed: list[str] = []
        self._inbox: deque[Arrival] = deque()
        self._bytes = 0
        self._batches = Batches(pipeline, done=self._acknowledge, longest_wait=longest_wait)
        self._arrived = asyncio.Event()
        self._connection: Connection | None = None
        self._ever_connected = False
        self._failures = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    async def start(self) -> None:
        """Connect in the background and take messages from then on."""
        self._tasks = [
            asyncio.create_task(self._keep_running(), name="mqtt-pump"),
            asyncio.create_task(self._keep_connected(), name="mqtt-connection"),
        ]

    async def stop(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - how long a commit under way may still take
        """Finish what is being committed, leave the rest unacknowledged to the MQTT broker's session, disconnect."""
        self._stopping = True
        self._arrived.set()
        if self._tasks:
            await asyncio.wait({self._tasks[0]}, timeout=timeout)
            await end(*self._tasks)
        self._lost()

    def use(self, topics: Topics) -> None:
        """Take the messages of these topics from now on; what is subscribed follows."""
        self.topics = topics
        if self.connected and self._subscribed != topics.filters:
            self._tasks.append(asyncio.create_task(self._subscribe_anew(), name="mqtt-subscriptions"))

    async def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> None:
        """Publish to a device; return once the MQTT broker has it. Raises SinkUnavailable."""
        connection = self._connection
        if connection is None or not self.connected:
            raise SinkUnavailable("not connected to the MQTT broker")
        try:
            async with asyncio.timeout(PUBLISH_WITHIN):
                await connection.publish(topic, payload, qos=qos, retain=retain)
        except TimeoutError:
            raise SinkUnavailable("the MQTT broker did not take the message in time") from None
        except OSError as error:
            raise SinkUnavailable(str(error)) from None

    # The connection.

    async def _keep_connected(self) -> None:
        """Connect, stay connected, connect again: for ever."""
        wait = FIRST_WAIT
        while not self._stopping:
            try:
                await self._connect()
                wait = FIRST_WAIT
                assert self._connection is not None
                await self._connection.lost
                log.warning("disconnected from the MQTT broker", host=self.url.hostname)
                self._on_state(False, "the MQTT broker hung up")
            except Refused as refused:
                log.warning("MQTT broker refused the connection", reason=str(refused), protocol=self.protocol)
                self._on_state(False, str(refused))
                if refused.code in UNSUPPORTED_VERSION:
                    self._change_protocol()
                    wait = FIRST_WAIT
            except (OSError, TimeoutError, ssl.SSLError, ValueError) as error:
                self._on_state(False, str(error) or "no answer in time")
                log.warning(
                    "the MQTT broker cannot be reached",
                    host=self.url.hostname,
                    port=self.url.port,
                    reason=str(error) or type(error).__name__,
                )
            finally:
                self._lost()
            await asyncio.sleep(wait)
            wait = min(wait * 2, self.longest_wait)

    async def _connect(self) -> None:
        """Open the connection and subscribe. Raises Refused, OSError, TimeoutError."""
        user = unquote(self.url.username) if self.url.username else None
        password = unquote(self.url.password) if self.url.password else None
        hello = packets.connect(
            self.protocol,
            client_id=self.client_id,
            user=user,
            password=password,
            keep_alive=KEEP_ALIVE,
            receive_maximum=self.receive_maximum,
        )
        host, port = str(self.url.hostname), self.url.port or DEFAULT_PORTS[self.url.scheme]
        context = await self._network.context() if self.url.scheme in TLS else None
        async with asyncio.timeout(CONNECT_WITHIN):
            address = await self._network.address(host, port)
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(hello=hello, version=self.protocol, longest=self.max_body + 70_000, take=self._take),
                address,
                port,
                ssl=context,
                server_hostname=host if context is not None else None,
            )
        self._connection = connection
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                await connection.connected()
        except (OSError, TimeoutError) as error:
            self._misunderstood(silent=isinstance(error, TimeoutError))
            raise
        self._ever_connected, self._failures = True, 0
        self._subscribed = []
        refused = await self._subscribe(connection)
        self.connected = True
        self._on_state(True, f"subscriptions were refused: {', '.join(refused)}" if refused else "")
        log.info("connected to the MQTT broker", host=self.url.hostname, protocol=self.protocol)

    async def _subscribe(self, connection: Connection) -> list[str]:
        """Subscribe to what is missing and end what is too much; return what was refused. Raises OSError."""
        prefix = f"$share/{self.share}/" if self.share else ""
        wanted, refused = list(self.topics.filters), []
        new = [one for one in wanted if one not in self._subscribed]
        gone = [one for one in self._subscribed if one not in wanted]
        async with asyncio.timeout(CONNECT_WITHIN):
            if new:
                refused = await connection.subscribe([prefix + one for one in new])
            if gone:
                await connection.unsubscribe([prefix + one for one in gone])
        self._subscribed = wanted
        if refused:
            log.error("the MQTT broker refused subscriptions: their devices are not heard", filters=refused)
        return refused

    async def _subscribe_anew(self) -> None:
        connection = self._connection
        if connection is not None:
            try:
                refused = await self._subscribe(connection)
                self._on_state(True, f"subscriptions were refused: {', '.join(refused)}" if refused else "")
            except (OSError, TimeoutError) as error:
                connection.abort(ConnectionError(f"subscriptions could not be changed: {error}"))

    def _misunderstood(self, *, silent: bool) -> None:
        """Go on with the other protocol version: a broker that knows only 3.1.1 says so, or hangs up, or is silent."""
        self._failures += 1
        if not self._fixed and not self._ever_connected and (silent or self._failures >= FAILURES_BEFORE_311):
            self._change_protocol()

    def _change_protocol(self) -> None:
        if self._fixed:
            return
        self.protocol = V311 if self.protocol == V5 else V5
        self._failures = 0

    def _lost(self) -> None:
        """Forget the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        if self.connected:
            self.connected = False
            self._on_state(False, "")

    def _take(self, connection: Connection, publications: list[Publication], received: int) -> None:
        """Put what came into the inbox; close the door while too much waits."""
        self._inbox.extend([Arrival(connection, one, received) for one in publications])
        self._bytes += sum([len(one.payload or b"") for one in publications])
        if self._bytes > MAX_WAITING or len(self._inbox) > 2 * self.receive_maximum:
            connection.hold(True)
        self._arrived.set()

    # The way of the messages.

    async def _keep_running(self) -> None:
        """Bring messages to their commit until the end; after a fault what is unacknowledged is delivered again."""
        while not self._stopping:
            try:
                await self._run()
            except Exception as fault:
                log.exception("device messages are asked for again: a fault of the broker")
                self._inbox.clear()
                self._bytes = 0
                if self._connection is not None:
                    self._connection.abort(ConnectionError(f"a fault of the broker: {fault}"))
                await asyncio.sleep(FIRST_WAIT)

    async def _run(self) -> None:
        """Prepare what arrives, and bring batch after batch on its way to the commit."""
        arrivals: list[Arrival] = []
        work: list[Work] = []
        size = 0
        try:
            while not self._stopping:
                if self._inbox and len(arrivals) < self.batch and size < BATCH_BYTES:
                    part = self._next(min(AT_ONCE, self.batch - len(arrivals)))
                    work += await self._prepare(part)
                    arrivals += part
                    size += sum(map(_size, part))
                    await asyncio.sleep(0)
                elif self._batches:
                    self._arrived.clear()
                    await self._batches.wait(self._arrived)
                elif not arrivals:
                    self._arrived.clear()
                    await self._arrived.wait()
                await self._batches.settle()
                if arrivals and self._may_start(len(arrivals), size):
                    metrics.WAITING.labels("mqtt").set(self._batches.messages + len(arrivals) + len(self._inbox))
                    self._batches.start(arrivals, work, size)
                    arrivals, work, size = [], [], 0
            await self._batches.finish()
        finally:
            await self._batches.abandon()

    def _may_start(self, messages: int, size: int) -> bool:
        """Tell whether a batch is large enough: not to be alone on its way, or to go beside others."""
        batches = self._batches
        if not batches:
            return messages >= min(AT_ONCE, self.batch) or size >= BATCH_BYTES or not self._inbox
        return (
            messages >= BESIDE
            and batches.messages + messages <= self.receive_maximum
            and batches.size + size <= BATCH_BYTES
        )

    async def _prepare(self, part: Sequence[Arrival]) -> list[Work]:
        """Take arrivals through the pipeline up to the commit."""
        messages = [message for one in part if (message := self._message(one)) is not None]
        return await persist(lambda: self.pipeline.prepare(messages), longest_wait=self.longest_wait)

    def _next(self, limit: int) -> list[Arrival]:
        """Take arrivals out of the inbox, and open the door again if it was closed for them."""
        part: list[Arrival] = []
        size = 0
        while self._inbox and len(part) < limit and size < BYTES_AT_ONCE:
            part.append(self._inbox.popleft())
            size += _size(part[-1])
        self._bytes -= size
        if self._connection is not None and self._bytes < MAX_WAITING // 2 and len(self._inbox) < self.receive_maximum:
            self._connection.hold(False)
        return part

    def _message(self, arrival: Arrival) -> Message | None:
        """Return the message in a publication; None for a topic that no format has."""
        publication = arrival.publication
        headers = user_properties(publication.properties) if publication.properties else NO_HEADERS
        message = self.topics.message(publication.topic, publication.payload or b"", arrival.received, headers=headers)
        if message is None:
            metrics.UNMATCHED.inc()
            return None
        message.redelivered = publication.duplicate
        message.retained = publication.retained
        message.tag = publication.packet_id
        if headers:
            message.proof, message.repeat_key = proof_of(headers), repeat_key_of(headers)
        if publication.payload is None:
            message.too_large = publication.size
        return message

    def _acknowledge(self, arrivals: Sequence[Arrival]) -> None:
        """Acknowledge what came over the present connection; the rest is delivered again, and its receipts tell."""
        metrics.WAITING.labels("mqtt").set(self._batches.messages + len(self._inbox))
        connection = self._connection
        if connection is not None:
            connection.acknowledge(
                [
                    one.publication.packet_id
                    for one in arrivals
                    if one.connection is connection and one.publication.packet_id
                ]
            )
