"""The pipeline as a whole: batches, repetition, what fails alone; the recordings show what messages become."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest

from tsunagu.adapters.message import Message
from tsunagu.adapters.registry import FORMATS
from tsunagu.adapters.sink import SinkUnavailable

if TYPE_CHECKING:
    from tests.adapters.memory import Site

NOW = 1784401841000
GROUP = {"apikey": "k", "resource": "/iot/json", "entity_type": "Gauge"}
JUDGED = {"quality": {"wl": {"stuckAfter": 60}}}


@pytest.fixture
async def place(empty_site: Site) -> Site:
    """Give a site with a group of gauges in each of two tenants."""
    await empty_site.store.create_groups("", "/", [GROUP])
    await empty_site.store.create_groups("north", "/", [{**GROUP, "apikey": "n"}])
    return empty_site


def message(body: object, *, apikey: str = "k", device: str = "d", **more: object) -> Message:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return Message(
        "iotagent_json", raw, NOW, {"apikey": apikey, "device": device}, f"/json/{apikey}/{device}/attrs", **more
    )  # type: ignore[arg-type]


async def take(place: Site, *messages: Message) -> list[str | None]:
    work = await place.pipeline.prepare(messages)
    await place.pipeline.commit(work)
    return [one.error.name if one.error else None for one in work]


async def test_one_message_that_fails_fails_alone(place: Site) -> None:
    """The others of its batch are written."""
    names = await take(place, message({"a": 1}), message(b"{"), message({"a": 2}))
    assert names == [None, "BAD_PAYLOAD", None]
    assert [update.attrs["a"]["value"] for update in place.sink.updates] == [1, 2]


async def test_each_tenant_gets_one_write(place: Site) -> None:
    """A batch makes one write per tenant, in order."""
    await take(place, message({"a": 1}), message({"a": 2}, apikey="n"), message({"a": 3}))
    assert [(tenant, [u.attrs["a"]["value"] for u in updates]) for tenant, updates in place.sink.writes] == [
        ("", [1, 3]),
        ("north", [2]),
    ]


async def test_the_same_dated_bytes_have_the_same_receipt(place: Site) -> None:
    """A backfill that is sent twice is recognized; another device's same bytes are its own."""
    body = {"a": 1, "TimeInstant": "2026-07-18T19:10:00Z"}
    await take(place, message(body), message(body), message(body, device="e"))
    one, two, other = place.sink.updates
    assert one.receipt == two.receipt != other.receipt
    assert (one.fresh, two.fresh) == (False, False)


async def test_undated_bytes_are_new_each_time_the_transport_says_so(place: Site) -> None:
    """A device without a clock may send the same value twice and mean it."""
    await take(
        place,
        message({"a": 1}, tag=7),
        message({"a": 1}, tag=7, redelivered=True),
        message({"a": 1}, tag=8),
        message({"a": 1}),
    )
    first, again, second, http = place.sink.updates
    assert first.receipt == again.receipt != second.receipt
    assert (first.fresh, again.fresh, second.fresh) == (True, False, True)
    assert http.receipt is None


async def test_a_device_that_numbers_its_messages_may_repeat_them(place: Site) -> None:
    """The member that the group names tells a repetition from the same value measured anew, in any transport."""
    numbered = {**GROUP, "apikey": "s", "internal_attributes": {"sequence": "seq"}}
    await place.store.create_groups("", "/", [numbered])
    await take(
        place,
        message({"a": 1, "seq": 7}, apikey="s"),
        message({"a": 1, "seq": 7}, apikey="s", tag=3),
        message({"a": 1, "seq": 8}, apikey="s"),
        message({"a": 2, "seq": 7}, apikey="s"),
        message({"a": 1}, apikey="s"),
    )
    receipts = [update.receipt for update in place.sink.updates]
    assert receipts[0] == receipts[1]
    assert len(set(receipts)) == 4
    assert receipts[4] is None
    later = message({"a": 1, "seq": 7}, apikey="s")
    later.received += 3_600_000
    await take(place, later)
    assert place.sink.updates[-1].receipt not in receipts


async def test_a_sender_may_say_that_it_repeats_itself(place: Site) -> None:
    """With the same Idempotency-Key the same bytes are one message; other bytes are never taken for it."""
    await take(
        place,
        message({"a": 1}, repeat_key="x"),
        message({"a": 1}, repeat_key="x"),
        message({"a": 1}, repeat_key="y"),
        message({"a": 2}, repeat_key="x"),
        message({"a": 1}, repeat_key="x", device="e"),
    )
    receipts = [update.receipt for update in place.sink.updates]
    assert receipts[0] == receipts[1]
    assert len(set(receipts)) == 4


async def test_a_clock_that_nobody_has_set_makes_no_repetition(place: Site) -> None:
    """After each start it shows the same times again."""
    body = {"a": 1, "TimeInstant": "1970-01-01T00:00:05Z"}
    await take(place, message(body), message(body))
    assert [update.receipt for update in place.sink.updates] == [None, None]


async def test_several_measures_of_a_message_have_receipts_of_their_own(place: Site) -> None:
    """Each update is unique."""
    await take(
        place,
        message([{"a": 1, "TimeInstant": "2026-07-18T19:10:00Z"}, {"a": 1, "TimeInstant": "2026-07-18T19:10:00Z"}]),
    )
    one, two = place.sink.updates
    assert one.receipt != two.receipt


async def test_a_repeated_commit_looks_for_receipts(place: Site) -> None:
    """After a failed write nobody knows what was stored: nothing counts as new any more."""
    place.sink.away = True
    work = await place.pipeline.prepare([message({"a": 1}, tag=7)])
    with pytest.raises(SinkUnavailable):
        await place.pipeline.commit(work)
    place.sink.away = False
    await place.pipeline.commit(work)
    assert [update.fresh for update in place.sink.updates] == [False]


async def test_a_repeated_commit_writes_nothing_twice(place: Site) -> None:
    """When only the quarantine failed, only the quarantine is tried again."""
    work = await place.pipeline.prepare([message({"a": 1}), message(b"{")])
    place.catalogue.away = True
    with pytest.raises(SinkUnavailable):
        await place.pipeline.commit(work)
    place.catalogue.away = False
    await place.pipeline.commit(work)
    await place.pipeline.commit(work)
    assert (len(place.sink.updates), len(place.quarantined)) == (1, 1)


async def test_a_registry_that_is_away_lets_the_batch_wait(place: Site) -> None:
    """Nothing is quarantined for that."""
    place.catalogue.away = True
    with pytest.raises(SinkUnavailable):
        await place.pipeline.prepare([message({"a": 1})])
    place.catalogue.away = False
    assert await take(place, message({"a": 1})) == [None]
    assert place.quarantined == []


async def test_a_device_id_without_end_is_refused(place: Site) -> None:
    """Ids have an end."""
    assert await take(place, message({"a": 1}, device="x" * 300)) == ["ENTITY_REFUSED"]


async def test_tags_that_fell_silent_leave_by_the_sweep(place: Site) -> None:
    """A leave is written once; while the sink is away it is kept."""
    await place.store.create_groups(
        "",
        "/",
        [
            {
                "apikey": "ble",
                "resource": "/iot/ble",
                "entity_type": "TagReader",
                "internal_attributes": {"tags": {"allow": ["b5b182c7"]}},
            }
        ],
    )
    body = {"gw": "r", "ev": "enter", "uuid": "b5b182c7-eab1-4988-aa99-b5c1517008d9", "major": 1, "minor": 1}
    entering = Message("ble_gateway", orjson.dumps(body), NOW, {"apikey": "ble", "shape": "edge"}, "/iot/ble/edge")
    await place.pipeline.commit(await place.pipeline.prepare([entering]))
    place.sink.away = True
    with pytest.raises(SinkUnavailable):
        await place.pipeline.sweep(NOW + 100_000)
    place.sink.away = False
    await place.pipeline.sweep(NOW + 100_000)
    await place.pipeline.sweep(NOW + 200_000)
    assert [update.attrs["presence"]["value"] for update in place.sink.updates] == ["enter", "leave"]


async def test_an_attribute_may_fill_the_time(place: Site) -> None:
    """A measure or an expression that is mapped to TimeInstant is the time of observation, and no attribute."""
    for device, attribute, body in (
        ("t1", {"object_id": "ts", "name": "TimeInstant", "type": "DateTime"}, {"a": 1, "ts": "2026-07-18T19:00:00Z"}),
        (
            "t2",
            {"name": "TimeInstant", "expression": "day + 'T' + hour + ':00:00Z'"},
            {"day": "2026-07-18", "hour": 19},
        ),
    ):
        await place.store.create_devices("", "/", [{"device_id": device, "apikey": "k", "attributes": [attribute]}])
        assert await take(place, message(body, device=device)) == [None]
        update = place.sink.updates[-1]
        assert {one["observedAt"] for one in update.attrs.values()} == {"2026-07-18T19:00:00Z"}
        assert not {"ts", "TimeInstant"} & update.attrs.keys()


async def test_the_last_measure_is_kept_where_it_is_asked_for(place: Site) -> None:
    """Beside the device's provisioning, in the reference's form; an empty one takes it away."""
    await place.store.create_devices("", "/", [{"device_id": "l", "apikey": "k", "storeLastMeasure": True}])
    await take(place, message({"level": 33, "name": "x"}, device="l"))
    device = await place.store.device("", "/", "l", None)
    assert device["lastMeasure"] == {
        "timestamp": "2026-07-18T19:10:41Z",
        "measure": [
            [{"name": "level", "type": "Number", "value": 33}, {"name": "name", "type": "string", "value": "x"}]
        ],
    }
    await place.store.change_device("", "/", "l", None, changes={"lastMeasure": {}})
    assert "lastMeasure" not in await place.store.device("", "/", "l", None)


async def test_devices_that_send_the_same_bytes_to_one_path_are_told_apart(place: Site) -> None:
    """Over HTTP the path says nothing of the device: its id is part of the receipt."""
    body = {"a": 1, "TimeInstant": "2026-07-18T19:10:00Z"}
    one, other = message(body, device="d"), message(body, device="e")
    one.origin = other.origin = "/iot/json"
    await take(place, one, other)
    first, second = place.sink.updates
    assert first.receipt != second.receipt


async def test_a_time_beside_the_body_is_part_of_the_receipt(place: Site) -> None:
    """The same value at another time (`t=`) is another observation."""
    one, other = message({"a": 1}), message({"a": 1})
    one.named, other.named = {**one.named, "t": "2026-07-18T19:10:00Z"}, {**one.named, "t": "2026-07-18T19:20:00Z"}
    await take(place, one, other)
    first, second = place.sink.updates
    assert first.receipt
    assert first.receipt != second.receipt


async def test_what_nobody_can_read_is_in_the_quarantine_of_its_groups_tenant(place: Site) -> None:
    """The apikey says whose the message is, although its bytes say nothing."""
    await take(place, message(b"{oops", apikey="n"))
    assert [entry["tenant"] for entry in place.quarantined] == ["north"]


async def test_measures_of_one_message_are_taken_in_the_order_of_their_times(place: Site) -> None:
    """A shuffled multimeasure makes no late readings."""
    times = ["2026-07-18T19:10:02Z", "2026-07-18T19:10:00Z", "2026-07-18T19:10:01Z"]
    await take(place, message([{"a": time[-2], "TimeInstant": time} for time in times]))
    assert [update.attrs["a"]["value"] for update in place.sink.updates] == ["0", "1", "2"]


async def test_an_edge_filter_that_begins_its_numbers_anew_is_heard(place: Site) -> None:
    """After a restart `seq` 1 comes again: with another time it is another event, with the same time a repetition."""
    body = {"gw": "r", "seq": 1, "ev": "enter", "uuid": "b5b182c7-eab1-4988-aa99-b5c1517008d9", "major": 1, "minor": 2}
    receipts = []
    for at in (1784401800123, 1784401800123, 1784401900123):
        raw = orjson.dumps({**body, "ts": at})
        (reading,) = FORMATS["ble_gateway"].decode(Message("ble_gateway", raw, NOW, {"apikey": "b", "shape": "edge"}))
        receipts.append(reading.receipt)
    assert receipts[0] == receipts[1] != receipts[2]


async def test_a_fault_in_what_is_remembered_harms_its_message_alone(place: Site) -> None:
    """What no step foresaw is a fault of that message, which is kept; the door does not try the batch for ever."""
    await place.store.create_groups("", "/", [{**GROUP, "apikey": "q", "internal_attributes": JUDGED}])
    place.sink.entities["", "urn:ngsi-ld:Gauge:d"] = {
        "wl": {"type": "Property", "value": 1, "observedAt": "2026-07-18T19:10:00Z", "unchangedSince": [1]}
    }
    assert await take(place, message({"wl": 1}, apikey="q"), message({"a": 2})) == ["INTERNAL_ERROR", None]
    assert [update.attrs["a"]["value"] for update in place.sink.updates] == [2]
