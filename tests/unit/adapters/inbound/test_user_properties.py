"""What a publisher of MQTT 5 adds beside topic and payload."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tsunagu.adapters.credentials import digest
from tsunagu.adapters.inbound.user_properties import proof_of, repeat_key_of, user_properties


def packed(*pairs: tuple[str, str]) -> bytes:
    """Return properties as paho writes them, without their length, with others around the user's."""
    properties = Properties(PacketTypes.PUBLISH)
    properties.PayloadFormatIndicator = 1
    properties.MessageExpiryInterval = 60
    properties.ContentType = "application/json"
    properties.ResponseTopic = "a/b"
    properties.CorrelationData = b"xyz"
    properties.SubscriptionIdentifier = 300
    for pair in pairs:
        properties.UserProperty = pair
    return bytes(properties.pack())[2 if len(properties.pack()) > 128 else 1 :]


def test_user_properties_are_read_among_others() -> None:
    """Names in lower case; one that stands twice says nothing."""
    found = user_properties(packed(("X-Device", "g1"), ("a", "1"), ("A", "2"), ("水位", "高")))
    assert found == {"x-device": "g1", "水位": "高"}
    assert user_properties(packed()) == {}


@given(st.binary(max_size=40))
def test_rubbish_is_no_property_and_harms_nobody(data: bytes) -> None:
    """An MQTT broker would not pass it on; it is read all the same."""
    assert isinstance(user_properties(data), dict)
    assert user_properties(b"\x26\x00\x01a\x00\x09b" + data[:3]) == {}


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"authorization": "Bearer tsd_x"}, "tsd_x"),
        ({"x-device-token": " tsd_x "}, "tsd_x"),
        ({"authorization": "Basic x"}, None),
        ({"x-device-token": ""}, None),
        ({}, None),
    ],
)
def test_a_token_is_shown_as_over_http(headers: dict[str, str], token: str | None) -> None:
    """By either name."""
    proof = proof_of(headers)
    assert (proof.token if proof else None) == (digest(token) if token else None)


def test_a_repetition_is_told_by_its_key() -> None:
    """One that is too long is none."""
    assert repeat_key_of({"idempotency-key": "x"}) == "x"
    assert repeat_key_of({"idempotency-key": "x" * 257}) == repeat_key_of({}) == ""
