"""Which time an observation counts as."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from tsunagu.adapters import clock
from tsunagu.adapters.time_policy import TimePolicy, describe_skew, policy_of, stamp

RECEIVED = clock.read_text("2026-07-18T19:10:41Z")
TOKYO = ZoneInfo("Asia/Tokyo")
MINUTE = 60_000


def test_without_a_device_time_the_time_of_receipt_counts() -> None:
    """Such an observation is not dated."""
    found = stamp(None, RECEIVED, policy=TimePolicy())
    assert (found.text, found.dated, found.extra) == ("2026-07-18T19:10:41Z", False, None)


def test_a_late_observation_keeps_both_times() -> None:
    """ObservedAt is the device's, receivedAt ours."""
    found = stamp("2026-07-18T19:00:00Z", RECEIVED, policy=TimePolicy())
    assert found.text == "2026-07-18T19:00:00Z"
    assert found.extra is not None
    assert found.extra["receivedAt"]["value"]["@value"] == "2026-07-18T19:10:41Z"


def test_a_prompt_observation_carries_no_second_time() -> None:
    """Within the limit receivedAt would say nothing new."""
    assert stamp("2026-07-18T19:10:39Z", RECEIVED, policy=TimePolicy()).extra is None


def test_a_clock_in_the_future_is_not_believed_and_said_to_be_ahead() -> None:
    """The time of receipt takes its place; the device's own is kept beside it."""
    found = stamp("2026-07-18T20:31:00Z", RECEIVED, policy=TimePolicy())
    assert found.observed == RECEIVED
    assert found.extra is not None
    assert found.extra["timeQuality"]["value"] == "clockAhead 4819 s"
    assert found.extra["deviceTime"]["value"]["@value"] == "2026-07-18T20:31:00Z"


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (9 * 60 * MINUTE, "localTimeSentAsUtc +09:00"),
        (9 * 60 * MINUTE - 41_000, "localTimeSentAsUtc +09:00"),
        (9 * 60 * MINUTE + 10 * MINUTE, "clockAhead 33000 s"),
        (20 * MINUTE, "clockAhead 1200 s"),
    ],
)
def test_local_time_sent_as_utc_is_named_as_such(ahead: int, said: str) -> None:
    """A clock that is ahead by just a zone's offset shows what is wrong with it."""
    assert describe_skew(ahead, TOKYO, RECEIVED) == said


def test_a_reading_older_than_the_rule_allows_is_late() -> None:
    """`late` counts from the receipt; without it nothing is late."""
    policy = policy_of({"time": {"late": 1800}})
    assert policy is not None
    received = clock.read_text("2026-07-18T19:00:00Z")
    old, young = "2026-07-18T18:29:59Z", "2026-07-18T18:30:00Z"
    assert [stamp(one, received, policy=policy).late for one in (old, young)] == [True, False]
    assert not stamp(old, received, policy=TimePolicy()).late
