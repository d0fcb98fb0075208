"""From cumulative totals to flows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsunagu.adapters import clock
from tsunagu.adapters.counters import CountReducer, Totals, deltas, flow_id
from tsunagu.adapters.devices.plan import compile_plan
from tsunagu.adapters.message import Count
from tsunagu.adapters.time_policy import Stamp

if TYPE_CHECKING:
    from tests.adapters.memory import Site

START = 1784401800000
PLAN = compile_plan(
    {"device_id": "CAM1", "entity_name": "urn:ngsi-ld:Camera:282103:CAM1"},
    {"entity_type": "Camera", "service": "", "subservice": "/"},
)


def at(second: int) -> Stamp:
    return Stamp(START + second * 1000, clock.iso(START + second * 1000), dated=True)


def count(**totals: int) -> Count:
    return Count("k", "CAM1", "gate", totals)


def test_a_reset_counts_from_nought() -> None:
    """A total below the last one is what was counted since the reset."""
    assert deltas({"total": 4}, Totals({"total": 325}, START)) == {"total": 4}


def test_in_and_out_add_up() -> None:
    """People towards and away are people."""
    reducer = CountReducer()
    reducer.reduce(PLAN, count(**{"in": 1, "out": 2}), at(0))
    update = reducer.reduce(PLAN, count(**{"in": 4, "out": 3}), at(60))
    assert update is not None
    assert {n: update.attrs[n]["value"] for n in ("peopleCountTowards", "peopleCountAway", "peopleCount")} == {
        "peopleCountTowards": 3,
        "peopleCountAway": 1,
        "peopleCount": 4,
    }


def test_a_message_that_is_not_newer_counts_nothing() -> None:
    """Neither a repetition nor a late message moves the totals."""
    reducer = CountReducer()
    reducer.reduce(PLAN, count(total=10), at(60))
    assert reducer.reduce(PLAN, count(total=10), at(60)) is None
    assert reducer.reduce(PLAN, count(total=5), at(0)) is None
    update = reducer.reduce(PLAN, count(total=12), at(120))
    assert update is not None
    assert update.attrs["peopleCount"]["value"] == 2


async def test_the_totals_survive_a_restart(empty_site: Site) -> None:
    """A new process goes on from the totals in the entity."""
    first = CountReducer()
    update = first.reduce(PLAN, count(total=10), at(0))
    assert update is not None
    await empty_site.sink.write("", [update])
    second = CountReducer()
    await second.prepare(PLAN, count(total=13), empty_site.sink)
    after = second.reduce(PLAN, count(total=13), at(60))
    assert after is not None
    assert after.attrs["peopleCount"]["value"] == 3


def test_a_scenario_cannot_break_the_id() -> None:
    """Characters that an id cannot have are replaced."""
    assert flow_id(PLAN, "Nord tor/1 ü") == "urn:ngsi-ld:CrowdFlowObserved:282103:CAM1:Nord_tor_1_ü"
