"""One MQTT connection on the event loop: reads packets as they come, hands publications on, keeps itself alive.

It lives from the open socket until it is lost and never reconnects: that is the door's business.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from tsunagu.adapters import clock
from tsunagu.adapters.inbound import packets
from tsunagu.adapters.inbound.packets import Malformed, Other, Publication, Reader
from tsunagu.adapters.sink import SinkUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Taker = Callable[["Connection", list[Publication], int], None]

KEEP_ALIVE = 60
ANSWER_WITHIN = 20.0  # seconds for the answer to a ping
LAST_PACKET_ID = 65_535
REASONS = {  # the commonest of CONNACK: 3.1.1 (3.2.2.3), then 5 (3.2.2.2)
    1: "unsupported protocol version",
    2: "client identifier not valid",
    3: "server unavailable",
    4: "bad user name or password",
    5: "not authorized",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x84: "unsupported protocol version",
    0x85: "client identifier not valid",
    0x86: "bad user name or password",
    0x87: "not authorized",
    0x88: "server unavailable",
    0x89: "server busy",
    0x8A: "banned",
    0x8D: "keep alive timeout",
    0x8E: "session taken over: another client uses this client id",
    0x8B: "server shutting down",
    0x97: "quota exceeded",
}
UNSUPPORTED_VERSION = frozenset((1, 0x84))


class Refused(Exception):
    """The MQTT broker refused the connection or a subscription; `code` is its reason code."""

    def __init__(self, code: int, what: str = "the connection") -> None:
        super().__init__(f"{what} was refused: {REASONS.get(code, f'reason {code:#04x}')}")
        self.code = code


class Connection(asyncio.Protocol):
    """An MQTT connection.

    `take(publications, received)` gets what each read brought, with its time in epoch ms. `lost` is done once the
    connection is gone.
    """

    def __init__(self, *, hello: bytes, version: int, longest: int, take: Taker) -> None:
        self.version = version
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._hello = hello
        self._reader = Reader(version, longest)
        self._take = take
        self._transport: asyncio.Transport | None = None
        self._answers: dict[tuple[int, int], asyncio.Future[bytes]] = {}
        self._last_id = 0
        self._timer: asyncio.TimerHandle | None = None
        self._asked = 0.0
        self._reading = True

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by name
        self._timer = asyncio.get_running_loop().call_later(KEEP_ALIVE / 2, self._keep_alive)
        self._transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        """Hand publications on, and everything else to who waits for it."""
        self._asked = 0.0
        try:
            found = self._reader.feed(data)
        except Malformed as error:
            self.abort(ConnectionError(str(error)))
            return
        publications = [one for one in found if type(one) is Publication]
        if len(publications) < len(found):
            for one in found:
                if type(one) is Other:
                    self._answer(one)
        if publications:
            self._take(self, publications, clock.now())

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits."""
        if self._timer is not None:
            self._timer.cancel()
        reason = exc or ConnectionError("the MQTT broker hung up")
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(reason)
        self._answers.clear()
        if not self.lost.done():
            self.lost.set_result(None)

    # What a door does.

    async def connected(self) -> None:
        """Wait for the answer to the hello. Raises Refused, OSError."""
        body = await self._expect(packets.CONNACK, 0)
        if body[1]:
            raise Refused(body[1])

    async def subscribe(self, filters: Sequence[str]) -> list[str]:
        """Subscribe at QoS 1; return the filters that the broker refused. Raises OSError."""
        packet_id = self._next_id()
        answer = self._expect(packets.SUBACK, packet_id)
        self._write(packets.subscribe(self.version, packet_id, filters))
        codes = packets.suback_codes(self.version, await answer)
        return [one for one, code in zip(filters, codes, strict=False) if code >= packets.FAILED]

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """End subscriptions. Raises OSError."""
        packet_id = self._next_id()
        answer = self._expect(packets.UNSUBACK, packet_id)
        self._write(packets.unsubscribe(self.version, packet_id, filters))
        await answer

    async def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> None:
        """Publish; return once the broker has acknowledged as `qos` asks. Raises OSError, SinkUnavailable."""
        packet_id = self._next_id() if qos else 0
        answer = self._expect(packets.PUBACK if qos == 1 else packets.PUBCOMP, packet_id) if qos else None
        self._write(packets.publish(self.version, packet_id, topic, payload, qos=qos, retain=retain))
        if answer is not None:
            body = await answer
            if len(body) > 2 and body[2] >= packets.FAILED:  # noqa: PLR2004 - a reason code after the packet id
                raise SinkUnavailable(f"the MQTT broker did not take the message: reason {body[2]:#04x}")

    def acknowledge(self, packet_ids: Sequence[int]) -> None:
        """Acknowledge messages, in the order in which they came."""
        self._write(packets.acknowledgements(packet_ids))

    def hold(self, held: bool) -> None:
        """Stop reading, or go on: what is not read waits at the broker, which is how the door closes."""
        if self._transport is not None and held == self._reading:
            self._reading = not held
            (self._transport.pause_reading if held else self._transport.resume_reading)()

    def close(self) -> None:
        """Say goodbye and close; the session stays."""
        self._write(packets.DISCONNECT_PACKET)
        if self._transport is not None:
            self._transport.close()

    def abort(self, reason: Exception) -> None:
        """Give the connection up."""
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(reason)
        if self._transport is not None:
            self._transport.abort()

    # Inside.

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _next_id(self) -> int:
        """Return a packet id that no message under way has."""
        taken = {packet_id for _, packet_id in self._answers}
        if len(taken) >= LAST_PACKET_ID - 1:
            raise SinkUnavailable("too many messages wait for the MQTT broker's acknowledgement")
        while True:
            self._last_id = self._last_id % LAST_PACKET_ID + 1
            if self._last_id not in taken:
                return self._last_id

    def _expect(self, kind: int, packet_id: int) -> asyncio.Future[bytes]:
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        if self.lost.done():
            answer.set_exception(ConnectionError("the MQTT broker hung up"))
        else:
            self._answers[kind, packet_id] = answer
            answer.add_done_callback(lambda _: self._answers.pop((kind, packet_id), None))
        return answer

    def _answer(self, packet: Other) -> None:
        """Settle what waits for a packet."""
        kind, body = packet.kind, packet.body
        packet_id = int.from_bytes(body[:2]) if kind not in (packets.CONNACK, packets.DISCONNECT) else 0
        if kind == packets.PUBREC:
            if len(body) > 2 and body[2] >= packets.FAILED:  # noqa: PLR2004 - refused: no second half follows
                kind = packets.PUBCOMP
            else:
                self._write(packets.release(packet_id))
                return
        elif kind == packets.DISCONNECT:
            self.abort(Refused(body[0] if body else 0, "the session"))
            return
        answer = self._answers.get((kind, packet_id))
        if answer is not None and not answer.done():
            answer.set_result(body)

    def _keep_alive(self) -> None:
        """Ping; give up when the last ping was not answered. While nothing is read, no answer can be seen."""
        now = asyncio.get_running_loop().time()
        if self._asked and self._reading and now - self._asked > ANSWER_WITHIN:
            self.abort(ConnectionError("the MQTT broker does not answer pings"))
            return
        self._asked = self._asked if self._asked and self._reading else now
        self._write(packets.PINGREQ_PACKET)
        self._timer = asyncio.get_running_loop().call_later(KEEP_ALIVE / 2, self._keep_alive)
