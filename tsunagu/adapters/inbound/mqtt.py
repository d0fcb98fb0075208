"""The MQTT door: subscribes to the topics of all formats and acknowledges a message after its commit, never before.

paho-mqtt runs in a thread of its own and hands messages to the event loop, once per burst. QoS 1, a stable client id
and a persistent session let the MQTT broker keep what we have not acknowledged; its Receive Maximum (MQTT 5) bounds
what is under way. While the sink is unavailable the same messages are tried again, in order, for ever. MQTT 5 with
3.1.1 as the fallback; reconnects for ever.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

import structlog
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from tsunagu.adapters import clock, metrics
from tsunagu.adapters.inbound.topics import TopicTree
from tsunagu.adapters.message import Message
from tsunagu.adapters.registry import FORMATS
from tsunagu.adapters.sink import SinkUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tsunagu.adapters.pipeline import Pipeline

T = TypeVar("T")

FOREVER = 0xFFFFFFFF
DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883, "tcp": 1883, "ssl": 8883}
FAILURES_BEFORE_311 = 2
ANSWER_WITHIN = 4.0  # seconds from the open socket to the broker's first answer
LONGEST_WAIT = 15.0
PUBLISH_WITHIN = 5.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Arrival:
    """A message as paho gave it, with the connection it came over: a packet id means nothing on another one."""

    connection: int
    packet: MQTTMessage
    received: int


class MqttDoor:
    """One MQTT broker's door. `await start()`, `await stop()`; `connected` for health checks.

    `url` is mqtt://[user:password@]host[:port], mqtts:// for TLS. `share` names a shared subscription for several
    workers, each with its own client id. `receive_maximum` bounds the messages under way, `batch` those of one commit.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        url: str,
        client_id: str,
        share: str | None = None,
        receive_maximum: int = 4000,
        batch: int = 1000,
        longest_wait: float = LONGEST_WAIT,
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
        self.topics = TopicTree(FORMATS.values())
        self.connected = False
        self.protocol = MQTTProtocolVersion.MQTTv5
        self._inbox: deque[Arrival] = deque()
        self._signalled = False
        self._arrived = asyncio.Event()
        self._connection = 0
        self._failures = 0
        self._client: Client | None = None
        self._pump: asyncio.Task[None] | None = None
        self._changing: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answer: asyncio.TimerHandle | None = None
        self._stopping = False

    async def start(self) -> None:
        """Connect in the background and take messages from then on."""
        self._loop = asyncio.get_running_loop()
        self._pump = asyncio.create_task(self._run(), name="mqtt-pump")
        self._connect()

    async def stop(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - how long a commit under way may still take
        """Finish what is being committed, leave the rest unacknowledged to the MQTT broker's session, disconnect."""
        self._stopping = True
        self._arrived.set()
        if self._answer is not None:
            self._answer.cancel()
        if self._pump is not None:
            await asyncio.wait({self._pump}, timeout=timeout)
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
        if self._changing is not None:
            await asyncio.gather(self._changing, return_exceptions=True)
        if self._client is not None:
            await asyncio.to_thread(_close, self._client)
        self.connected = False

    async def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> None:
        """Publish to a device; return once the MQTT broker has it. Raises SinkUnavailable."""
        client = self._client
        if client is None or not self.connected:
            raise SinkUnavailable("not connected to the MQTT broker")
        sent = client.publish(topic, payload, qos=qos, retain=retain)
        try:
            await asyncio.to_thread(sent.wait_for_publish, PUBLISH_WITHIN)
        except (ValueError, RuntimeError) as error:
            raise SinkUnavailable(str(error)) from None
        if not sent.is_published():
            raise SinkUnavailable("the MQTT broker did not take the message in time")

    # The network thread.

    def _connect(self) -> None:
        five = self.protocol == MQTTProtocolVersion.MQTTv5
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self.client_id,
            clean_session=None if five else False,
            protocol=self.protocol,
            manual_ack=True,
        )
        if self.url.username:
            client.username_pw_set(unquote(self.url.username), unquote(self.url.password or ""))
        if self.url.scheme in ("mqtts", "ssl"):
            client.tls_set()
        client.reconnect_delay_set(1, round(self.longest_wait) or 1)
        client.on_socket_open = self._on_socket_open
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        self._client = client
        port = self.url.port or DEFAULT_PORTS[self.url.scheme]
        if five:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = FOREVER
            properties.ReceiveMaximum = self.receive_maximum
            client.connect_async(str(self.url.hostname), port, clean_start=False, properties=properties)
        else:
            client.connect_async(str(self.url.hostname), port)
        client.loop_start()

    def _on_connect_fail(self, _client: Client, _userdata: Any) -> None:
        log.warning("the MQTT broker cannot be reached", host=self.url.hostname, port=self.url.port)

    def _on_socket_open(self, client: Client, _userdata: Any, _socket: Any) -> None:
        if self._connection == 0 and self._loop is not None and not self._stopping:
            self._loop.call_soon_threadsafe(self._expect_answer, client)

    def _on_connect(self, client: Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            log.warning("MQTT broker refused the connection", reason=str(reason))
            if str(reason) == "Unsupported protocol version":
                self._fall_back(client)
            return
        self._failures = 0
        self._connection += 1
        prefix = f"$share/{self.share}/" if self.share else ""
        if self.protocol == MQTTProtocolVersion.MQTTv5:
            options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
            client.subscribe([(prefix + one, options) for one in self.topics.filters])
        else:
            client.subscribe([(prefix + one, 1) for one in self.topics.filters])
        self.connected = True
        metrics.CONNECTED.set(1)
        log.info("connected to the MQTT broker", host=self.url.hostname, protocol=int(self.protocol))

    def _on_disconnect(self, client: Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.connected = False
        metrics.CONNECTED.set(0)
        if self._stopping:
            return
        log.warning("disconnected from the MQTT broker", reason=str(reason))
        if self._connection == 0:
            self._failures += 1
            if self._failures >= FAILURES_BEFORE_311:
                self._fall_back(client)

    def _fall_back(self, client: Client) -> None:
        """Go on with the other protocol version: a broker that knows only 3.1.1 says so, or hangs up, or is silent."""
        if self._loop is not None and not self._stopping:
            self._loop.call_soon_threadsafe(self._change_protocol, client)

    def _on_message(self, _client: Client, _userdata: Any, packet: MQTTMessage) -> None:
        self._inbox.append(Arrival(self._connection, packet, clock.now()))
        if not self._signalled and self._loop is not None:
            self._signalled = True
            self._loop.call_soon_threadsafe(self._wake)

    # The event loop.

    def _wake(self) -> None:
        self._signalled = False
        self._arrived.set()

    def _expect_answer(self, client: Client) -> None:
        assert self._loop is not None
        self._answer = self._loop.call_later(ANSWER_WITHIN, self._give_up, client)

    def _give_up(self, client: Client) -> None:
        if client is self._client and self._connection == 0 and not self._stopping:
            log.warning("the MQTT broker does not answer", protocol=int(self.protocol))
            self._change_protocol(client)

    def _change_protocol(self, client: Client) -> None:
        """Change once for a client, however many signs it gives that it is not understood."""
        if client is self._client and (self._changing is None or self._changing.done()):
            self._changing = asyncio.create_task(self._reconnect_otherwise())

    async def _reconnect_otherwise(self) -> None:
        five = self.protocol == MQTTProtocolVersion.MQTTv5
        self.protocol = MQTTProtocolVersion.MQTTv311 if five else MQTTProtocolVersion.MQTTv5
        self._failures = 0
        if self._client is not None:
            await asyncio.to_thread(_close, self._client)
        if not self._stopping:
            self._connect()

    async def _run(self) -> None:
        while not self._stopping:
            await self._arrived.wait()
            self._arrived.clear()
            while self._inbox and not self._stopping:
                arrivals = list(islice(self._inbox, self.batch))
                for _ in arrivals:
                    self._inbox.popleft()
                await self._take(arrivals)

    async def _take(self, arrivals: list[Arrival]) -> None:
        """Bring a batch to its commit, however long that takes, then acknowledge it."""
        messages = []
        for arrival in arrivals:
            message = self._message(arrival)
            if message is not None:
                messages.append(message)
        metrics.WAITING.labels("mqtt").set(len(arrivals) + len(self._inbox))
        work = await self._persist(lambda: self.pipeline.prepare(messages))
        await self._persist(lambda: self.pipeline.commit(work))
        self._acknowledge(arrivals)
        metrics.WAITING.labels("mqtt").set(len(self._inbox))

    def _message(self, arrival: Arrival) -> Message | None:
        """Return the message in a packet; None for a topic that no format has."""
        packet = arrival.packet
        topic = packet.topic
        found = self.topics.match(topic)
        if found is None:
            return None
        name, named = found
        return Message(
            name,
            bytes(packet.payload),
            arrival.received,
            named,
            topic,
            redelivered=packet.dup,
            retained=packet.retain,
            tag=packet.mid if packet.qos else 0,
        )

    async def _persist(self, step: Callable[[], Awaitable[T]]) -> T:
        """Try a step until the sink is there."""
        wait = 0.1
        while True:
            try:
                return await step()
            except SinkUnavailable as unavailable:
                log.warning("device messages wait for the broker", reason=str(unavailable), seconds=round(wait, 1))
            await asyncio.sleep(wait)
            wait = min(wait * 2, self.longest_wait)

    def _acknowledge(self, arrivals: list[Arrival]) -> None:
        """Acknowledge what came over the present connection; the rest is delivered again, and its receipts tell."""
        client, connection = self._client, self._connection
        if client is None:
            return
        for arrival in arrivals:
            if arrival.connection == connection and arrival.packet.qos:
                client.ack(arrival.packet.mid, arrival.packet.qos)


def _close(client: Client) -> None:
    client.disconnect()
    client.loop_stop()
