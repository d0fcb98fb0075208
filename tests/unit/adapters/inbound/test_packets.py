"""The MQTT packets of the door."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tsunagu.adapters.inbound import packets
from tsunagu.adapters.inbound.packets import V5, V311, Malformed, Other, Publication, Reader

LONGEST = 100_000
topics = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0+#"), min_size=1, max_size=60)
messages = st.tuples(topics, st.binary(max_size=300), st.integers(0, 1), st.booleans())


def sent(version: int, given: list[tuple[str, bytes, int, bool]]) -> bytes:
    """Return the packets of messages one after the other, numbered from 1."""
    return b"".join(
        packets.publish(version, number, topic, payload, qos=qos, retain=retain)
        for number, (topic, payload, qos, retain) in enumerate(given, 1)
    )


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Cut bytes at places."""
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(ends)]


@given(st.sampled_from((V311, V5)), st.lists(messages, max_size=8), st.lists(st.integers(0, 4000), max_size=12))
def test_publications_come_out_as_they_went_in(
    version: int, given: list[tuple[str, bytes, int, bool]], places: list[int]
) -> None:
    """However the stream is cut, each message comes out once, whole and in order, in both versions."""
    reader = Reader(version, LONGEST)
    found = [one for part in cut(sent(version, given), places) for one in reader.feed(part)]
    assert [(one.topic, one.payload, one.packet_id, one.retained) for one in found if isinstance(one, Publication)] == [
        (topic, payload, number if qos else 0, retain) for number, (topic, payload, qos, retain) in enumerate(given, 1)
    ]


@given(st.lists(st.integers(0, 600_000), max_size=6))
def test_a_payload_that_is_too_long_is_skipped_and_told(places: list[int]) -> None:
    """Of a long message topic, id and size come out, its bytes are not kept, and the next message is whole."""
    data = sent(V311, [("a", b"x" * 500_000, 1, False), ("b", b"y", 1, False)])
    reader = Reader(V311, LONGEST)
    found = [one for part in cut(data, [*places, 65_536, 131_072]) for one in reader.feed(part)]
    assert found == [
        Publication("a", None, 1, duplicate=False, retained=False, size=500_000),
        Publication("b", b"y", 2, duplicate=False, retained=False, size=1),
    ]


def test_properties_of_mqtt_5_are_passed_over() -> None:
    """A PUBLISH with properties, also more than 127 bytes of them, gives its payload alone."""
    for count in (1, 9):
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.UserProperty = [("name", "x" * 30)] * count
        body = b"\x00\x01t" + properties.pack() + b"payload"  # type: ignore[no-untyped-call]
        data = b"\x30" + packets._variable(len(body)) + body
        found = Reader(V5, LONGEST).feed(data)
        assert [(one.topic, one.payload) for one in found if isinstance(one, Publication)] == [("t", b"payload")]


def test_other_packets_come_with_their_bodies() -> None:
    """A CONNACK between two publications keeps its place."""
    data = sent(V311, [("a", b"1", 0, False)]) + b"\x20\x02\x00\x05" + sent(V311, [("b", b"2", 0, False)])
    found = Reader(V311, LONGEST).feed(data)
    assert [type(one) for one in found] == [Publication, Other, Publication]
    assert found[1] == Other(packets.CONNACK, b"\x00\x05")


@pytest.mark.parametrize("data", [b"\x30\x02\x00\x09", b"\x30\xff\xff\xff\xff\x01", b"\x32\x03\x00\x01a"])
def test_rubbish_is_told(data: bytes) -> None:
    """Bytes that are no MQTT raise Malformed."""
    with pytest.raises(Malformed):
        Reader(V5, LONGEST).feed(data)


def test_a_connect_asks_for_the_session_that_is_there() -> None:
    """CONNECT has clean start 0, and in MQTT 5 a session that never expires and the Receive Maximum (3.1.2)."""
    hello = packets.connect(V5, client_id="me", user="u", password=None, keep_alive=60, receive_maximum=4000)
    assert hello == b"\x10\x1a\x00\x04MQTT\x05\x80\x00\x3c\x08\x11\xff\xff\xff\xff\x21\x0f\xa0\x00\x02me\x00\x01u"
    hello = packets.connect(V311, client_id="me", user=None, password=None, keep_alive=60, receive_maximum=4000)
    assert hello == b"\x10\x0e\x00\x04MQTT\x04\x00\x00\x3c\x00\x02me"


@pytest.mark.parametrize(("version", "body"), [(V311, b"\x00\x07\x01\x80"), (V5, b"\x00\x07\x00\x01\x87")])
def test_a_suback_has_a_code_for_each_filter(version: int, body: bytes) -> None:
    """Refusals stand out by codes from 0x80 on, in both versions."""
    assert [code >= packets.FAILED for code in packets.suback_codes(version, body)] == [False, True]
