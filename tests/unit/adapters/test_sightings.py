"""Reducing adverts to sightings."""

from __future__ import annotations

from typing import Any

import pytest

from tsunagu.adapters import clock
from tsunagu.adapters.devices.plan import Plan, compile_plan
from tsunagu.adapters.errors import BadMeasure
from tsunagu.adapters.message import Sighting
from tsunagu.adapters.sightings import SightingReducer, TagRules
from tsunagu.adapters.time_policy import Stamp

START = 1784401800000
TAG = "b5b182c7-eab1-4988-aa99-b5c1517008d9:1:5"
RULES = TagRules.of({"tags": {"allow": ["b5b182c7-eab1-4988-aa99-b5c1517008d9"]}})


def reader(name: str) -> Plan:
    device = {
        "device_id": name,
        "static_attributes": [
            {"name": "location", "type": "geo:json", "value": {"type": "Point", "coordinates": [134.8, 34.7]}}
        ],
    }
    return compile_plan(device, {"entity_type": "TagReader", "service": "city", "subservice": "/"})


class Walk:
    """A tag that walks past readers; seconds count from START."""

    def __init__(self, rules: TagRules = RULES) -> None:
        self.reducer = SightingReducer()
        self.rules = rules
        self.readers = {name: reader(name) for name in "ABCD"}
        self.seen: list[tuple[str, str, float]] = []

    def heard(self, name: str, second: float, rssi: int = -70, *, tag: str = TAG, **more: Any) -> str | None:
        at = START + round(second * 1000)
        sighting = Sighting("k", name, tag, "aabbccddeeff", rssi, **more)
        update = self.reducer.reduce(
            self.readers[name],
            sighting,
            Stamp(at, clock.iso(at), dated=True),
            received=at,
            rules=self.rules,
            pseudonym=lambda identity: f"p{hash(identity) % 1000}",
        )
        if update is None:
            return None
        presence = update.attrs["presence"]["value"]
        self.seen.append((presence, name, second))
        return presence


def test_a_tag_enters_after_two_adverts() -> None:
    """One advert alone is chance."""
    walk = Walk()
    assert [walk.heard("A", 0), walk.heard("A", 1), walk.heard("A", 2)] == [None, "enter", None]


def test_a_tag_that_stays_is_told_every_thirty_seconds() -> None:
    """Adverts once a second become two updates a minute."""
    walk = Walk()
    for second in range(120):
        walk.heard("A", second)
    assert [(presence, second) for presence, _, second in walk.seen] == [
        ("enter", 1),
        ("present", 31),
        ("present", 61),
        ("present", 91),
    ]


def test_the_stronger_of_two_readers_keeps_the_tag() -> None:
    """A second reader that hears the tag no better makes no sighting of its own."""
    walk = Walk()
    for second in range(10):
        walk.heard("A", second, -60)
        walk.heard("B", second + 0.5, -64)
    assert walk.seen == [("enter", "A", 1)]


def test_a_clearly_stronger_reader_takes_the_tag_over() -> None:
    """The tag has come nearer to it."""
    walk = Walk()
    for second in range(4):
        walk.heard("A", second, -80)
        walk.heard("B", second + 0.5, -60)
    assert [(presence, name) for presence, name, _ in walk.seen] == [("enter", "A"), ("enter", "B")]


def test_a_child_that_passes_four_readers_makes_four_sightings() -> None:
    """One sighting each, in order, also where their ranges overlap."""
    walk = Walk()
    for place, name in enumerate("ABCD"):
        for second in range(12):
            walk.heard(name, place * 10 + second + place * 0.1, -70)
    assert [(presence, name) for presence, name, _ in walk.seen] == [("enter", name) for name in "ABCD"]


def test_a_silent_tag_leaves_once() -> None:
    """After sixty seconds of silence it has left, at the time when that was settled."""
    walk = Walk()
    walk.heard("A", 0)
    walk.heard("A", 1)
    assert walk.reducer.silent(START + 50_000) == []
    ((tenant, update),) = walk.reducer.silent(START + 62_000)
    assert (tenant, update.attrs["presence"]["value"], update.attrs["presence"]["observedAt"]) == (
        "city",
        "leave",
        clock.iso(START + 61_000),
    )
    walk.reducer.forget(tenant, update.id)
    assert walk.reducer.silent(START + 200_000) == []


def test_an_edge_filter_is_believed() -> None:
    """Its enter needs no second advert; its leave counts only for the reader that has the tag."""
    walk = Walk()
    assert walk.heard("A", 0, event="enter") == "enter"
    assert walk.heard("B", 1, event="leave") is None
    assert walk.heard("A", 2, event="leave") == "leave"


def test_a_stranger_leaves_no_trace() -> None:
    """A million tags that nobody admits take no memory."""
    walk = Walk()
    for number in range(100_000):
        walk.heard("A", 0, tag=f"{number:08x}-0000-0000-0000-000000000000:1:1")
    assert walk.seen == []
    assert len(walk.reducer._tags) == 0


def test_admitted_tags_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up numbers behind an admitted prefix do not fill memory."""
    monkeypatch.setattr("tsunagu.adapters.sightings.MAX_TAGS", 100)
    walk = Walk()
    for number in range(1000):
        sighting = Sighting("k", "A", f"{TAG}{number}", "", -70)
        walk.reducer.reduce(
            walk.readers["A"],
            sighting,
            Stamp(START, "", dated=True),
            received=START,
            rules=RULES,
            pseudonym=lambda identity: identity,
        )
    assert len(walk.reducer._tags) <= 100


def test_nothing_of_the_tag_but_its_pseudonym_is_written() -> None:
    """The identity and the address stay outside."""
    walk = Walk()
    walk.heard("A", 0, event="enter")
    update = walk.reducer.reduce(
        walk.readers["B"],
        Sighting("k", "B", TAG, "aabbccddeeff", -20, event="enter"),
        Stamp(START + 5000, clock.iso(START + 5000), dated=True),
        received=START,
        rules=RULES,
        pseudonym=lambda _: "pseudo",
    )
    assert update is not None
    assert update.id == "urn:ngsi-ld:TagSighting:pseudo"
    assert "aabbccddeeff" not in repr(update)
    assert "b5b182c7" not in repr(update)


def test_an_old_advert_does_not_move_the_tag() -> None:
    """An edge's late message becomes a sighting of its own time; the state stays."""
    walk = Walk()
    walk.heard("A", 200, event="enter")
    assert walk.heard("B", 10, event="enter") == "enter"
    assert walk.heard("A", 201) is None


@pytest.mark.parametrize("tags", [{"refresh": "soon"}, {"silence": -1}, {"merge_window": True}, "all"])
def test_rules_that_cannot_be_are_refused(tags: object) -> None:
    """The error names the member."""
    with pytest.raises(BadMeasure, match=r"internal_attributes\.tags"):
        TagRules.of({"tags": tags})
