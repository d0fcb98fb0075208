"""Stuck sensors, impossible jumps, and warning levels with hysteresis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.adapters.memory import RecordingSink
from tsunagu.adapters import clock
from tsunagu.adapters.devices.plan import compile_plan
from tsunagu.adapters.errors import BadMeasure
from tsunagu.adapters.judgement import Judge, judgement_of
from tsunagu.adapters.message import Message
from tsunagu.adapters.sink import EntityUpdate

if TYPE_CHECKING:
    from tests.adapters.memory import Site

START = 1784401800000
MINUTE = 60_000
STATIC = {"standbyLevel": {"value": 1.5}, "cautionLevel": {"value": 2.2}, "dangerLevel": {"value": 3.3}}
LEVELS = ["standbyLevel", "cautionLevel", "evacuationJudgementLevel", "dangerLevel"]
THRESHOLDS = {"thresholds": {"attribute": "waterLevel", "levels": LEVELS}}
QUALITY = {"quality": {"waterLevel": {"stuckAfter": 3600, "maxStep": 1.0}}}


class River:
    """A gauge, and what is judged of its readings."""

    def __init__(self, settings: dict[str, Any], judge: Judge | None = None) -> None:
        judgement = judgement_of(settings, STATIC)
        assert judgement is not None
        self.judgement = judgement
        self.judge = judge or Judge()
        self.stored: dict[str, Any] = {}

    def reads(self, level: float, minute: float) -> dict[str, Any]:
        at = clock.iso(round(START + minute * MINUTE))
        attrs = {"waterLevel": {"type": "Property", "value": level, "observedAt": at}}
        update = EntityUpdate("urn:river", "River", attrs)
        self.judge.note("", "urn:river", self.judgement, self.stored)
        self.judge.judge("", update, self.judgement)
        self.stored.update(update.attrs)
        return update.attrs

    def warnings(self, *levels: float) -> list[int]:
        return [self.reads(level, n)["warningLevel"]["value"] for n, level in enumerate(levels)]


def test_a_level_is_reached_at_once_and_left_with_patience() -> None:
    """Raised at the threshold, cleared 0.1 m below it in two readings; a wave about it changes nothing."""
    river = River(THRESHOLDS)
    assert river.warnings(1.0, 1.5, 2.2, 2.15, 2.05, 2.15, 2.05, 2.04, 1.45, 1.3, 1.3, 3.4) == [
        *(0, 1, 2, 2, 2, 2, 2, 1, 1, 1, 0, 4)
    ]


def test_levels_that_a_station_does_not_have_are_skipped() -> None:
    """Their numbers stay with the others: danger is 4 whether there is a 3 or not."""
    assert River(THRESHOLDS).warnings(2.9, 3.3) == [2, 4]


def test_a_restart_goes_on_from_the_entity() -> None:
    """Also in the middle of leaving a level; so do other workers."""
    river = River(THRESHOLDS)
    assert river.warnings(2.3, 2.0) == [2, 2]
    heir = River(THRESHOLDS)
    heir.stored = river.stored
    assert heir.reads(2.0, 2)["warningLevel"]["value"] == 1


def test_a_late_reading_raises_no_alarm() -> None:
    """It was judged by those that came before it was sent."""
    river = River(THRESHOLDS)
    river.reads(1.0, 10)
    assert "warningLevel" not in river.reads(3.5, 5)


@given(st.lists(st.floats(0, 5), min_size=1, max_size=30))
def test_a_level_is_never_below_what_is_reached_nor_above_what_was(levels: list[float]) -> None:
    """Whatever the river does: no missed alarm, and no alarm that nothing called for."""
    highest = 0
    for level, warned in zip(levels, River(THRESHOLDS).warnings(*levels), strict=True):
        reached = 4 if level >= 3.3 else 2 if level >= 2.2 else 1 if level >= 1.5 else 0
        highest = max(highest, reached)
        assert reached <= warned <= highest


def test_a_value_that_does_not_change_is_marked_after_its_time() -> None:
    """With since when it is the same; the first other value ends it."""
    river = River(QUALITY)
    assert "quality" not in river.reads(1.0, 0)["waterLevel"]
    assert "quality" not in river.reads(1.0, 30)["waterLevel"]
    stuck = river.reads(1.0, 60)["waterLevel"]
    assert stuck["quality"]["reason"]["value"] == "unchanged for 3600 s"
    assert stuck["unchangedSince"]["value"]["@value"] == clock.iso(START)
    assert river.reads(1.1, 90)["waterLevel"].keys() == {"type", "value", "observedAt"}


def test_an_impossible_jump_is_marked_and_a_second_one_confirms_it() -> None:
    """An outlier alone is marked; the river that really rose is believed with the next reading."""
    river = River(QUALITY)
    marked = [
        "quality" in river.reads(level, n)["waterLevel"] for n, level in enumerate((1.0, 9.0, 1.1, 4.0, 4.1, 4.2))
    ]
    assert marked == [False, True, False, True, False, False]


def test_a_rate_is_a_limit_too() -> None:
    """The same step is possible in an hour and impossible in a minute."""
    river = River({"quality": {"waterLevel": {"maxPerMinute": 0.02}}})
    river.reads(1.0, 0)
    assert "quality" in river.reads(1.5, 1)["waterLevel"]
    assert "quality" not in river.reads(1.5, 61)["waterLevel"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"quality": []}, "quality"),
        ({"quality": {"a": {"stuck": 1}}}, "quality.a"),
        ({"quality": {"a": {"maxStep": 0}}}, "quality.a.maxStep"),
        ({"thresholds": {"levels": [1]}}, "attribute"),
        ({"thresholds": {"attribute": "a", "levels": []}}, "levels"),
        ({"thresholds": {"attribute": "a", "levels": [2, 1]}}, "levels must rise"),
        ({"thresholds": {"attribute": "a", "levels": [True]}}, "levels"),
        ({"thresholds": {"attribute": "a", "levels": [1], "readings": 0}}, "readings"),
        ({"thresholds": {"attribute": "a", "levels": [1], "margin": -1}}, "margin"),
    ],
)
def test_settings_that_cannot_work_are_named(settings: dict[str, Any], said: str) -> None:
    """When they are provisioned."""
    with pytest.raises(BadMeasure, match=said):
        compile_plan({"device_id": "d", "internal_attributes": settings}, {"entity_type": "River"})


async def test_a_failed_commit_takes_back_what_was_judged(empty_site: Site) -> None:
    """The repetition is judged as the first time: no alarm is lost."""
    group = {"apikey": "k", "resource": "/iot/json", "entity_type": "River"}
    group["internal_attributes"] = {"thresholds": {"attribute": "waterLevel", "levels": [1.5]}}  # type: ignore[assignment]
    await empty_site.store.create_groups("", "/", [group])
    sink: RecordingSink = empty_site.sink
    body = b'{"waterLevel": 2, "TimeInstant": "2026-07-18T19:10:00Z"}'
    message = Message("iotagent_json", body, START, {"apikey": "k", "device": "d"})
    (work,) = await empty_site.pipeline.prepare([message])
    for undo in reversed(work.undo):
        undo()
    (work,) = await empty_site.pipeline.prepare([message])
    await empty_site.pipeline.commit([work])
    assert sink.updates[-1].attrs["warningLevel"]["value"] == 1
