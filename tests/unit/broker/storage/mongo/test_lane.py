"""The queue of a tenant's writes: who goes together, and that nobody overtakes."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsunagu.broker.errors import Unavailable
from tsunagu.broker.storage.mongo.lane import MOST_ENTITIES, Item, Lane
from tsunagu.broker.storage.writes import Outcome, Write


def write(entity: int) -> Write:
    """Return a write to an entity."""
    return Write(f"urn:e:{entity}", lambda before, _: Outcome(before))


@given(
    st.lists(st.integers(0, 30), max_size=200), st.integers(1, 20), st.lists(st.integers(0, 3), min_size=1, max_size=60)
)
async def test_groups_in_flight_share_no_entity_and_each_entity_keeps_its_order(
    entities: list[int], limit: int, deeds: list[int]
) -> None:
    """Whatever is taken and done in whatever order, no two groups in flight meet and nobody overtakes."""
    lane = Lane(queue_limit=1000)
    lane.add([write(one) for one in entities])
    flying: list[list[Item]] = []
    taken: dict[str, list[int]] = defaultdict(list)
    step = 0
    while len(lane) or flying:
        deed = deeds[step % len(deeds)]
        step += 1
        if len(lane) and (deed or not flying):
            group = lane.take(limit)
            assert len(group) <= limit
            ids = {item.write.entity_id for item in group}
            assert all(ids.isdisjoint(item.write.entity_id for item in other) for other in flying)
            for item in group:
                taken[item.write.entity_id].append(item.position)
            if group:
                flying.append(group)
                continue
        if flying:
            lane.done(flying.pop(deed % len(flying)))
    assert sum(map(len, taken.values())) == len(entities)
    assert all(places == sorted(places) for places in taken.values())


async def test_where_many_wait_the_writes_of_few_entities_go_together() -> None:
    """A full group holds several writes of each of its entities, and the next one can go beside it."""
    lane = Lane(queue_limit=10_000)
    lane.add([write(number % 200) for number in range(1000)])
    first, second = lane.take(400), lane.take(400)
    assert len({item.write.entity_id for item in first}) == 100
    assert len(first) == 400
    assert len({item.write.entity_id for item in second}) == 100
    assert len(second) == 400


@pytest.mark.parametrize(
    ("waiting", "limit", "taken"), [(1000, 160, 160), (1000, 512, MOST_ENTITIES), (300, 512, MOST_ENTITIES)]
)
async def test_a_group_of_entities_written_once_has_no_more_of_them_than_pays(
    waiting: int, limit: int, taken: int
) -> None:
    """Where each entity has one write, a group is as large as it may be, up to a number of entities."""
    lane = Lane(queue_limit=10_000)
    lane.add([write(number) for number in range(waiting)])
    assert len(lane.take(limit)) == taken
    assert len(lane.take(limit)) == min(taken, waiting - taken)


async def test_further_writes_of_the_entities_of_a_group_join_it() -> None:
    """A group that has as many entities as it may have still takes more writes of those."""
    lane = Lane(queue_limit=10_000)
    lane.add([write(number) for number in [*range(300), *range(0, 300, 2)]])
    group = lane.take(512)
    assert len({item.write.entity_id for item in group}) == MOST_ENTITIES
    assert len(group) == MOST_ENTITIES + MOST_ENTITIES // 2


async def test_a_full_queue_closes_the_door() -> None:
    """More writes than the limit are refused as long as others wait."""
    lane = Lane(queue_limit=5)
    lane.add([write(number) for number in range(5)])
    with pytest.raises(Unavailable):
        lane.add([write(9)])
