"""Holding updates against the shipped models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tsunagu.adapters.errors import BadMeasure, BadTimestamp
from tsunagu.adapters.message import Message
from tsunagu.adapters.time_policy import policy_of
from tsunagu.adapters.validation import mode_of

if TYPE_CHECKING:
    from tests.adapters.memory import Site


async def take(place: Site, mode: str | None, level: Any) -> str | None:
    group: dict[str, Any] = {"apikey": "k", "resource": "/iot/json", "entity_type": "RiverLevelObserved"}
    if mode is not None:
        group["internal_attributes"] = {"validation": mode}
    await place.store.create_groups("", "/", [group])
    body = orjson.dumps({"waterLevel": level})
    (one,) = await place.pipeline.prepare(
        [Message("iotagent_json", body, 1784401841000, {"apikey": "k", "device": "d"})]
    )
    await place.pipeline.commit([one])
    return one.error.name if one.error else None


async def test_a_suspect_value_is_stored_and_marked(empty_site: Site) -> None:
    """The default: a flag, not deletion."""
    assert await take(empty_site, None, 214) is None
    (update,) = empty_site.sink.updates
    assert update.attrs["waterLevel"]["value"] == 214
    assert update.attrs["waterLevel"]["quality"] == {
        "type": "Property",
        "value": "suspect",
        "reason": {"type": "Property", "value": "is 214, above 100"},
    }


async def test_a_good_value_is_left_alone(empty_site: Site) -> None:
    """No mark without a finding."""
    await take(empty_site, None, 2.14)
    assert "quality" not in empty_site.sink.updates[0].attrs["waterLevel"]


async def test_off_checks_nothing(empty_site: Site) -> None:
    """The operator may know better."""
    await take(empty_site, "off", "high")
    assert "quality" not in empty_site.sink.updates[0].attrs["waterLevel"]


@pytest.mark.parametrize(("mode", "kept"), [("quarantine", 1), ("reject", 0)])
async def test_the_strict_modes_store_nothing(empty_site: Site, mode: str, kept: int) -> None:
    """Quarantine keeps the message, reject does not."""
    assert await take(empty_site, mode, 214) == "BAD_MEASURE"
    assert (len(empty_site.sink.updates), len(empty_site.quarantined)) == (0, kept)


def test_a_mode_that_does_not_exist_is_refused() -> None:
    """The error names the member and the modes there are."""
    with pytest.raises(BadMeasure, match=r"internal_attributes\.validation.*off, warn, quarantine, reject"):
        mode_of({"validation": "strict"})


@pytest.mark.parametrize("given", ["x", {"zone": 1}, {"maxAhead": "x"}, {"keepReceived": -1}])
def test_a_time_policy_that_cannot_be_is_refused(given: object) -> None:
    """The error names the member."""
    with pytest.raises(BadTimestamp, match=r"internal_attributes\.time"):
        policy_of({"time": given})


def test_a_group_may_have_a_time_policy_of_its_own() -> None:
    """Limits in seconds; keepReceived 0 keeps receivedAt always."""
    policy = policy_of({"time": {"maxAhead": 60, "keepReceived": 0}})
    assert policy is not None
    assert (policy.max_ahead, policy.keep_received) == (60_000, -1)
