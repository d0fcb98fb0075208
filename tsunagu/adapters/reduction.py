"""The steps that go on from what came before: watch, judge, reduce. What they remember is here, one per process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.adapters.counters import CountReducer, flow_id
from tsunagu.adapters.health import HealthMonitor
from tsunagu.adapters.judgement import Judge
from tsunagu.adapters.message import Count, Measure, Sighting
from tsunagu.adapters.positions import Positions
from tsunagu.adapters.registry import FORMATS
from tsunagu.adapters.sightings import SightingReducer, TagRules
from tsunagu.adapters.sink import SinkUnavailable
from tsunagu.adapters.vitals import counter_of
from tsunagu.adapters.work import Item, Work, fail

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tsunagu.adapters.devices.registry import DeviceRegistry
    from tsunagu.adapters.pseudonyms import Pseudonyms
    from tsunagu.adapters.sink import Sink


class Reduction:
    """Health, quality, warning levels, tags and counters of all devices, from message to message."""

    def __init__(self, sink: Sink, pseudonyms: Pseudonyms) -> None:
        self._sink = sink
        self._pseudonyms = pseudonyms
        self.health = HealthMonitor()
        self.judge = Judge()
        self.positions = Positions()
        self.sightings = SightingReducer(self.positions)
        self.counts = CountReducer()

    def reduce(self, work: Sequence[Work], pseudonyms: dict[str, Callable[[str], str]]) -> None:
        """Take all steps that remember; `pseudonyms` is what `read` gave."""
        for one in work:
            if one.error is not None:
                continue
            try:
                for item in one.items:
                    if _is_plain(item):
                        continue
                    self._watch(one, item)
                    self._judge(one, item)
                    self._condense(one, item, pseudonyms.get(one.tenant))
            except Exception as error:  # noqa: BLE001 - the others of the batch go on
                while one.undo:
                    one.undo.pop()()
                fail(one, error)

    async def read(self, work: Sequence[Work]) -> dict[str, Callable[[str], str]]:
        """Read what the next steps go on from, before anything is remembered; return the pseudonyms by tenant."""
        names: dict[str, Callable[[str], str]] = {}
        for one in work:
            if one.error is not None:
                continue
            try:
                for item in one.items:
                    if not _is_plain(item):
                        await self._read(one, item, names)
                    for update in item.updates:
                        self.positions.note(one.tenant, update)
            except SinkUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - the others of the batch go on
                fail(one, error)
        return names

    async def _read(self, one: Work, item: Item, names: dict[str, Callable[[str], str]]) -> None:
        plan, reading = item.plan, item.reading
        assert plan is not None
        if isinstance(reading, Count):
            await self.counts.prepare(plan, reading, self._sink)
        elif isinstance(reading, Sighting):
            await self.positions.prepare(plan, self._sink)
            if one.tenant not in names:
                names[one.tenant] = await self._pseudonyms.of(one.tenant)
        if plan.judgement is not None:
            for entity_id in {update.id for update in item.updates}:
                stored = await self._sink.read(one.tenant, entity_id) or {}
                self.judge.note(one.tenant, entity_id, plan.judgement, stored)
        if plan.health is not None and counter_of(reading) is not None:
            await self.health.resume(plan, one.message.received, self._sink)

    def _watch(self, one: Work, item: Item) -> None:
        """Note a sign of life of a device that is watched."""
        if item.plan is None or item.plan.health is None or one.message.retained:
            return
        assert item.stamp is not None
        update = self.health.heard(
            item.plan, one.message.received, item.updates, reading=item.reading, stamp=item.stamp
        )
        if update is not None:
            item.updates.append(update)

    def _judge(self, one: Work, item: Item) -> None:
        """Mark what is suspect by what came before, and say which warning level is reached."""
        if item.plan is not None and item.plan.judgement is not None:
            for update in item.updates:
                one.undo.append(self.judge.judge(one.tenant, update, item.plan.judgement))

    def _condense(self, one: Work, item: Item, pseudonym: Callable[[str], str] | None) -> None:
        """Turn adverts into sightings and totals into flows."""
        reducer = self._reducers.get(type(item.reading))
        if reducer is not None:
            reducer(self, one, item, pseudonym)

    def _reduce_sighting(self, one: Work, item: Item, pseudonym: Callable[[str], str]) -> None:
        assert item.plan is not None
        assert item.stamp is not None
        assert isinstance(item.reading, Sighting)
        rules = item.plan.cached_rules
        if rules is None:
            rules = item.plan.cached_rules = TagRules.of(item.plan.settings)
        update = self.sightings.reduce(
            item.plan, item.reading, item.stamp, received=one.message.received, rules=rules, pseudonym=pseudonym
        )
        if update is not None:
            update.receipt = item.reading.receipt
            item.updates.append(update)
            tenant, entity_id = one.tenant, update.id
            one.undo.append(lambda: self.sightings.forget(tenant, entity_id))

    def _reduce_count(self, one: Work, item: Item, _: Any) -> None:
        assert item.plan is not None
        assert item.stamp is not None
        assert isinstance(item.reading, Count)
        key = (one.tenant, flow_id(item.plan, item.reading.scenario))
        before = self.counts.last(key)
        update = self.counts.reduce(item.plan, item.reading, item.stamp)
        if update is not None:
            item.updates.append(update)
            one.undo.append(lambda: self.counts.restore(key, before))

    _reducers: dict[type, Callable[[Reduction, Work, Item, Any], None]] = {  # noqa: RUF012 - a table, never written
        Sighting: _reduce_sighting,
        Count: _reduce_count,
    }

    def note_failures(self, work: Sequence[Work], registry: DeviceRegistry) -> None:
        """Count messages that could not be taken at the health of the devices that they name."""
        for one in work:
            if one.error is None or one.discard:
                continue
            apikey, device = one.message.named.get("apikey"), one.message.named.get("device")
            if apikey and device:
                plan = registry.known(FORMATS[one.message.format].resources, apikey, device)
                if plan is not None:
                    self.health.failed(plan, one.message.received)


def _is_plain(item: Item) -> bool:
    """Tell whether nothing of what came before concerns a reading: most measures are such."""
    plan = item.plan
    return plan is not None and plan.health is None and plan.judgement is None and type(item.reading) is Measure
