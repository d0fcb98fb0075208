"""The steps from readings to entity updates: unpack, time policy, map, validate. None of them waits or remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsunagu.adapters.heartbeats import map_heartbeat
from tsunagu.adapters.mapping import map_measure
from tsunagu.adapters.message import CommandResult, ConfigurationRequest, Heartbeat, Measure
from tsunagu.adapters.receipts import set_receipts
from tsunagu.adapters.sink import EntityUpdate
from tsunagu.adapters.time_policy import stamp
from tsunagu.adapters.unpack import unpack_measure
from tsunagu.adapters.validation import Rejected, check_update
from tsunagu.adapters.work import Item, Work, fail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tsunagu.adapters.devices.plan import Plan
    from tsunagu.adapters.message import Message
    from tsunagu.adapters.time_policy import Stamp, TimePolicy


def unpack(work: Sequence[Work]) -> None:
    """Take apart measures whose values are inside bytes or NGSI entities, for devices whose plan says so."""
    for one in work:
        if one.error is not None or not any(item.plan is not None and item.plan.packed for item in one.items):
            continue
        try:
            one.items = [inner for item in one.items for inner in _unpacked(item)]
        except Exception as error:  # noqa: BLE001 - the others of the batch go on
            fail(one, error)


def _unpacked(item: Item) -> list[Item]:
    if item.plan is None or not isinstance(item.reading, Measure):
        return [item]
    return [Item(measure, item.plan) for measure in unpack_measure(item.plan, item.reading)]


def keep_time(work: Sequence[Work], general: TimePolicy) -> None:
    """Settle the time of every reading."""
    for one in work:
        if one.error is not None:
            continue
        if one.message.retained:
            # When a retained message without a time was measured cannot be known: it is no new observation.
            one.items = [item for item in one.items if item.reading.time is not None]
        try:
            for item in one.items:
                plan = item.plan
                assert plan is not None
                policy = plan.time_policy or general
                item.stamp = stamp(item.reading.time, one.message.received, plan.zone, policy=policy)
            if len(one.items) > 1:
                one.items.sort(key=_observed)
        except Exception as error:  # noqa: BLE001 - the others of the batch go on
            fail(one, error)


def _observed(item: Item) -> int:
    assert item.stamp is not None
    return item.stamp.observed


def map_values(work: Sequence[Work]) -> None:
    """Make the updates of measures and heartbeats, each with its receipt."""
    for one in work:
        if one.error is not None:
            continue
        try:
            for index, item in enumerate(one.items):
                _map_item(one.message, item, index)
        except Exception as error:  # noqa: BLE001 - the others of the batch go on
            fail(one, error)


def _map_item(message: Message, item: Item, index: int) -> None:
    reading = item.reading
    assert item.plan is not None
    assert item.stamp is not None
    if isinstance(reading, Measure):
        item.updates = map_measure(item.plan, reading, item.stamp)
        if item.stamp.late:
            for update in item.updates:
                update.late = True
        if item.updates:
            set_receipts(
                message, reading, item.updates, dated=item.stamp.dated, index=index, sequence=item.plan.sequence
            )
    elif isinstance(reading, Heartbeat):
        item.updates = [map_heartbeat(item.plan, reading, item.stamp)]
    elif isinstance(reading, CommandResult):
        item.updates = command_result(item.plan, reading, item.stamp)
    elif isinstance(reading, ConfigurationRequest):
        item.updates = []


def command_result(plan: Plan, reading: CommandResult, taken: Stamp) -> list[EntityUpdate]:
    """Return the updates that a command's result makes: `<command>_status` and `<command>_info` (iotagent-node-lib).

    The result of a lazy attribute is its value.
    """
    lazy = plan.lazy_of(reading.command)
    if lazy is not None:
        value = {lazy.get("object_id") or lazy["name"]: reading.result}
        return map_measure(plan, Measure(reading.apikey, reading.device_id, value), taken)
    attrs = {
        f"{plan.name_of(reading.command)}_status": {"type": "Property", "value": "OK", "observedAt": taken.text},
        f"{plan.name_of(reading.command)}_info": {
            "type": "Property",
            "value": reading.result,
            "observedAt": taken.text,
        },
    }
    return [EntityUpdate(plan.entity_id, plan.entity_type, attrs)]


def validate(work: Sequence[Work]) -> None:
    """Refuse what no entity may hold, and hold updates of shipped models against their schema."""
    for one in work:
        if one.error is not None:
            continue
        try:
            for item in one.items:
                assert item.plan is not None
                for update in item.updates:
                    check_update(update, item.plan.validation)
        except Rejected as rejected:
            one.error, one.discard = rejected.error, True
        except Exception as error:  # noqa: BLE001 - the others of the batch go on
            fail(one, error)
