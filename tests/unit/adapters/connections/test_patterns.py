"""Topic and path patterns with named parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsunagu.adapters.connections.patterns import PatternError, compile_pattern

LEVEL = st.text(alphabet="abcXYZ019-_.@", min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("pattern", "topic", "filter_", "parts"),
    [
        (
            "v3/{app}@{tenant}/devices/{dev}/up",
            "v3/a-1@t/devices/d/up",
            "v3/+/devices/+/up",
            {"app": "a-1", "tenant": "t", "dev": "d"},
        ),
        ("v3/{app}@{tenant}/devices/{dev}/up", "v3/a/devices/d/up", "v3/+/devices/+/up", None),
        ("{d}/telemetry", "x/telemetry", "+/telemetry", {"d": "x"}),
        ("{d}/telemetry", "/telemetry", "+/telemetry", None),
        ("plant/{d}/#", "plant/p1/a/b", "plant/+/#", {"d": "p1", "rest": "a/b"}),
        ("plant/{d}/#", "plant/p1", "plant/+/#", {"d": "p1", "rest": None}),
        ("a.b/c", "a.b/c", "a.b/c", {}),
        ("a.b/c", "axb/c", "a.b/c", None),
        ("/lead/{d}", "/lead/x", "/lead/+", {"d": "x"}),
    ],
)
def test_a_pattern_subscribes_and_matches(pattern: str, topic: str, filter_: str, parts: dict[str, str] | None) -> None:
    """Its filter is MQTT's, its match is exact."""
    compiled = compile_pattern(pattern)
    assert (compiled.filter, compiled.match(topic)) == (filter_, parts)


@pytest.mark.parametrize(
    "pattern", ["", "a/+/b", "a/#/b", "a/{b", "a/}b", "{1}/x", "{a}/{a}", "{rest}/x", "a{b}#", "x" * 2000]
)
def test_a_pattern_that_cannot_be_read_is_refused(pattern: str) -> None:
    """With what would be right."""
    with pytest.raises(PatternError):
        compile_pattern(pattern)


@given(st.lists(LEVEL, min_size=1, max_size=5), st.data())
def test_what_a_topic_was_made_of_comes_out_of_it(levels: list[str], data: st.DataObject) -> None:
    """A pattern with some levels named gives back just those levels."""
    named = data.draw(st.sets(st.integers(0, len(levels) - 1)))
    pattern = "/".join(f"{{p{i}}}" if i in named else level for i, level in enumerate(levels))
    assert compile_pattern(pattern).match("/".join(levels)) == {f"p{i}": levels[i] for i in named}
