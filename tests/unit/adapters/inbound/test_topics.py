"""Finding the format of a topic."""

from __future__ import annotations

import pytest

from tsunagu.adapters.inbound.topics import TopicTree, mqtt_filter
from tsunagu.adapters.registry import FORMATS

TREE = TopicTree(FORMATS.values())


@pytest.mark.parametrize(
    ("topic", "name", "named"),
    [
        ("/json/k/d/attrs", "iotagent_json", {"apikey": "k", "device": "d"}),
        ("json/k/d/attrs", "iotagent_json", {"apikey": "k", "device": "d"}),
        ("/k/d/attrs", "iotagent_json", {"apikey": "k", "device": "d"}),
        ("k/d/attrs", "iotagent_json", {"apikey": "k", "device": "d"}),
        ("/json/k/d/attrs/level", "iotagent_json", {"apikey": "k", "device": "d", "attr": "level"}),
        ("/k/attrs/attrs", "iotagent_json", {"apikey": "k", "device": "attrs"}),
        ("/json/k/d/cmdexe", "iotagent_json", {"apikey": "k", "device": "d", "action": "result"}),
        ("/ul/k/d/attrs", "ultralight", {"apikey": "k", "device": "d"}),
        ("application/a/device/e/event/up", "chirpstack", {"apikey": "a", "device": "e", "event": "up"}),
        ("/ble/minew/k/g", "ble_gateway", {"apikey": "k", "device": "g", "shape": "minew"}),
        (
            "home/g/BTtoMQTT/AABB",
            "ble_gateway",
            {"apikey": "home", "device": "g", "mac": "AABB", "shape": "openmqttgateway"},
        ),
        ("axis/S/event/A/B", "camera", {"apikey": "axis", "device": "S", "rest": "A/B"}),
        ("camera/k/c/onvif-ej/A/&1", "camera", {"apikey": "k", "device": "c", "rest": "A/&1", "action": "onvif"}),
    ],
)
def test_a_topic_leads_to_its_format_and_names_its_parts(topic: str, name: str, named: dict[str, str]) -> None:
    """Literal levels win over named ones."""
    assert TREE.match(topic) == (name, named)


@pytest.mark.parametrize("topic", ["", "/", "x", "/json/k/d", "/json/k/d/other", "+/d/attrs/x/y", "#"])
def test_other_topics_lead_nowhere(topic: str) -> None:
    """No format takes them."""
    assert TREE.match(topic) is None


@pytest.mark.parametrize(
    ("topic", "named"),
    [
        ("json//d/attrs", {"apikey": "", "device": "d"}),
        ("/json/k//attrs", {"apikey": "k", "device": ""}),
        ("//d/attrs", {"apikey": "", "device": "d"}),
    ],
)
def test_a_topic_with_an_empty_level_still_leads_to_its_format(topic: str, named: dict[str, str]) -> None:
    """The MQTT filter takes such a topic, so that its message must be told to be wrong and not vanish."""
    assert TREE.match(topic) == ("iotagent_json", named)


def test_a_pattern_becomes_an_mqtt_filter() -> None:
    """Named parts become single-level wildcards."""
    assert mqtt_filter("/json/{apikey}/{device}/attrs") == "/json/+/+/attrs"
    assert mqtt_filter("{device}/onvif-ej/#") == "+/onvif-ej/#"


def test_topics_that_a_publisher_invents_do_not_fill_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of topics is bounded."""
    monkeypatch.setattr("tsunagu.adapters.inbound.topics.MAX_CACHED", 100)
    tree = TopicTree(FORMATS.values())
    for number in range(1000):
        tree.match(f"/json/k/{number}/attrs")
    assert tree.match.cache_info().currsize <= 100
