"""The packets of MQTT 3.1.1 and 5 that a door needs, from and to bytes; pure.

Only what a subscriber at QoS 1 that sometimes publishes has to read and write (OASIS MQTT 3.1.1 and 5.0, chapters 2
and 3). Why not a library: docs/decisions/0008.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

V311, V5 = 4, 5
CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 2, 3, 4, 5, 6, 7
SUBACK, UNSUBACK, PINGRESP, DISCONNECT = 9, 11, 13, 14
PINGREQ_PACKET = b"\xc0\x00"
DISCONNECT_PACKET = b"\xe0\x00"
FOREVER = 0xFFFFFFFF
FAILED = 0x80  # reason codes from here on say no
CONTINUES = 0x80
LONGEST_LENGTH = 4  # bytes of a remaining length
RETAINED_ONLY_IF_NEW = 0x10  # MQTT 5: retained messages come only with a subscription that was not there before


class Malformed(Exception):
    """The bytes are no MQTT."""


@dataclass(slots=True)
class Publication:
    """A PUBLISH packet that came in; `packet_id` is 0 at QoS 0; `size` is what its payload has, or had, in bytes.

    A payload that was too long to be taken is None. `properties` are those of MQTT 5, as they came.
    """

    topic: str
    payload: bytes | None
    packet_id: int
    duplicate: bool
    retained: bool
    size: int
    properties: bytes = b""


@dataclass(slots=True)
class Other:
    """Any other packet that came in: its type and what follows the fixed header."""

    kind: int
    body: bytes


class Reader:
    """Cuts a stream of bytes into packets. `version` must be set before the first PUBLISH comes.

    Of a packet longer than `longest` bytes only the beginning is kept, so that memory stays bounded.
    """

    def __init__(self, version: int, longest: int) -> None:
        self.version = version
        self.longest = longest
        self._rest = b""
        self._skip = 0

    def feed(self, data: bytes) -> list[Publication | Other]:
        """Return the packets that are complete now, in order. Raises Malformed."""
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        if self._rest:
            data = self._rest + data
        found: list[Publication | Other] = []
        position, end = 0, len(data)
        while end - position >= 2:  # noqa: PLR2004 - the shortest packet
            start, size = position + 2, data[position + 1]
            if size & CONTINUES:
                start, size = _length(data, position + 1)
                if not start:
                    break
            stop = start + size
            if stop > end and (size <= self.longest or end - start < self.longest):
                break
            kind = data[position] >> 4
            if kind == PUBLISH:
                found.append(self._publication(data, data[position], start, stop, size > self.longest))
            elif size <= self.longest:
                found.append(Other(kind, data[start:stop]))
            position = stop
        if position > end:
            self._skip = position - end
            position = end
        self._rest = data[position:]
        return found

    def _publication(self, data: bytes, first: int, start: int, stop: int, too_long: bool) -> Publication:
        """Return the PUBLISH packet whose variable header starts at `start` (3.3)."""
        try:
            at = start + 2 + (data[start] << 8 | data[start + 1])
            topic = data[start + 2 : at].decode("utf-8", "replace")
            packet_id = 0
            if first & 0x06:
                packet_id = data[at] << 8 | data[at + 1]
                at += 2
            properties = b""
            if self.version == V5:
                size = data[at]
                at += 1
                if size & CONTINUES:
                    at, size = _length(data, at - 1)
                if size:
                    properties = data[at : at + size]
                    at += size
        except IndexError:
            raise Malformed("a PUBLISH packet is shorter than its header") from None
        if at > stop:
            raise Malformed("a PUBLISH packet is shorter than its header")
        payload = None if too_long else data[at:stop]
        return Publication(topic, payload, packet_id, first & 0x08 != 0, first & 0x01 != 0, stop - at, properties)


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Return (the place after it, the value) of the variable byte integer at `at`; (0, 0) if it is not whole yet."""
    value = 0
    for index in range(LONGEST_LENGTH):
        if at + index >= len(data):
            return 0, 0
        byte = data[at + index]
        value |= (byte & 0x7F) << 7 * index
        if not byte & CONTINUES:
            return at + index + 1, value
    raise Malformed("a length has more than four bytes")


def _variable(value: int) -> bytes:
    """Return a variable byte integer."""
    found = bytearray()
    while True:
        value, digit = divmod(value, 128)
        found.append(digit | CONTINUES if value else digit)
        if not value:
            return bytes(found)


def _packet(first: int, body: bytes) -> bytes:
    return bytes((first,)) + _variable(len(body)) + body


def _text(value: str) -> bytes:
    data = value.encode()
    return len(data).to_bytes(2) + data


def connect(
    version: int,
    *,
    client_id: str,
    user: str | None,
    password: str | None,
    keep_alive: int,
    receive_maximum: int,
) -> bytes:
    """Return a CONNECT that takes up the session of `client_id` and keeps it for ever (3.1).

    MQTT 5 also says how many messages may be under way (Receive Maximum).
    """
    flags = (0x80 if user is not None else 0) | (0x40 if password is not None else 0)
    body = _text("MQTT") + bytes((version, flags)) + keep_alive.to_bytes(2)
    if version == V5:
        properties = b"\x11" + FOREVER.to_bytes(4) + b"\x21" + min(receive_maximum, 65_535).to_bytes(2)
        body += _variable(len(properties)) + properties
    body += _text(client_id) + b"".join(_text(one) for one in (user, password) if one is not None)
    return _packet(0x10, body)


def subscribe(version: int, packet_id: int, filters: Iterable[str]) -> bytes:
    """Return a SUBSCRIBE to filters at QoS 1 (3.8)."""
    options = bytes((1 | RETAINED_ONLY_IF_NEW if version == V5 else 1,))
    topics = b"".join(_text(one) + options for one in filters)
    return _packet(0x82, packet_id.to_bytes(2) + (b"\x00" if version == V5 else b"") + topics)


def unsubscribe(version: int, packet_id: int, filters: Iterable[str]) -> bytes:
    """Return an UNSUBSCRIBE (3.10)."""
    topics = b"".join(_text(one) for one in filters)
    return _packet(0xA2, packet_id.to_bytes(2) + (b"\x00" if version == V5 else b"") + topics)


def publish(version: int, packet_id: int, topic: str, payload: bytes, *, qos: int, retain: bool) -> bytes:
    """Return a PUBLISH (3.3); `packet_id` is left out at QoS 0."""
    number = packet_id.to_bytes(2) if qos else b""
    properties = b"\x00" if version == V5 else b""
    return _packet(0x30 | qos << 1 | retain, _text(topic) + number + properties + payload)


def acknowledgements(packet_ids: Iterable[int]) -> bytes:
    """Return the PUBACK packets for messages (3.4): without a reason code, which means success, also in MQTT 5."""
    return b"".join([b"\x40\x02" + one.to_bytes(2) for one in packet_ids])


def release(packet_id: int) -> bytes:
    """Return the PUBREL for an outgoing message at QoS 2 (3.6)."""
    return b"\x62\x02" + packet_id.to_bytes(2)


def suback_codes(version: int, body: bytes) -> bytes:
    """Return the reason codes of a SUBACK, one per filter (3.9). Raises Malformed."""
    at = 2
    if version == V5:
        start, size = _length(body, at)
        at = start + size
    if len(body) < at or at < 2:  # noqa: PLR2004 - the packet id
        raise Malformed("a SUBACK packet is shorter than its header")
    return body[at:]
