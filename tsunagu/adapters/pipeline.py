"""From messages to committed entity updates, step by step; the doors acknowledge what comes out.

`prepare` runs the steps up to reduce, `commit` writes; a door that must not lose its messages repeats `commit` alone.
A message that a step cannot take carries its DeviceError from then on and is set aside in the quarantine at the end.
Messages go through in batches, so that one write to the sink serves all that arrived together.
"""

from __future__ import annotations

import asyncio
from collections import Counter as TallyCounter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from tsunagu.adapters import clock, metrics
from tsunagu.adapters.configuration import answer_configuration
from tsunagu.adapters.counters import CountReducer, flow_id
from tsunagu.adapters.credentials import check_proof
from tsunagu.adapters.devices.plan import settings_of
from tsunagu.adapters.errors import AdapterFault, DeviceError, EntityRefused, GroupNotFound, NotAllowed, TooLarge
from tsunagu.adapters.health import HealthMonitor
from tsunagu.adapters.heartbeats import map_heartbeat
from tsunagu.adapters.judgement import Judge
from tsunagu.adapters.mapping import map_measure
from tsunagu.adapters.message import (
    CommandResult,
    ConfigurationRequest,
    Count,
    Heartbeat,
    Measure,
    Message,
    Reading,
    Sighting,
)
from tsunagu.adapters.positions import Positions
from tsunagu.adapters.receipts import set_receipts
from tsunagu.adapters.registry import FORMATS
from tsunagu.adapters.sightings import SightingReducer, TagRules
from tsunagu.adapters.sink import EntityUpdate, SinkUnavailable
from tsunagu.adapters.time_policy import Stamp, TimePolicy, stamp
from tsunagu.adapters.unpack import unpack_measure
from tsunagu.adapters.validation import Rejected, check_update
from tsunagu.adapters.vitals import counter_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tsunagu.adapters.commands import Commands
    from tsunagu.adapters.credentials import Credential
    from tsunagu.adapters.devices.plan import Plan
    from tsunagu.adapters.devices.registry import DeviceRegistry
    from tsunagu.adapters.format import Format
    from tsunagu.adapters.health import Watch
    from tsunagu.adapters.pseudonyms import Pseudonyms
    from tsunagu.adapters.quarantine import Quarantine
    from tsunagu.adapters.sink import Sink

SWEEP_SECONDS = 5.0
SET_ASIDE_AT_ONCE = 16
LONGEST_ID = 256

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Item:
    """A reading on its way: whose it is, when it was taken, what it becomes."""

    reading: Reading
    plan: Plan | None = None
    stamp: Stamp | None = None
    updates: list[EntityUpdate] = field(default_factory=list)


@dataclass(slots=True)
class Work:
    """A message on its way; `error` once a step could not take it; `undo` takes back what reduce remembered.

    `discard` says that a failed message is not to be kept; `written` and `set_aside` what a commit has done already.
    """

    message: Message
    items: list[Item] = field(default_factory=list)
    tenant: str = ""
    error: DeviceError | None = None
    undo: list[Callable[[], None]] = field(default_factory=list)
    discard: bool = False
    written: bool = False
    set_aside: bool = False


class Pipeline:
    """The way of a device message. One per process; all doors share it."""

    def __init__(
        self,
        *,
        sink: Sink,
        registry: DeviceRegistry,
        quarantine: Quarantine,
        pseudonyms: Pseudonyms,
        time_policy: TimePolicy | None = None,
        commands: Commands | None = None,
    ) -> None:
        self.sink = sink
        self.registry = registry
        self.quarantine = quarantine
        self.pseudonyms = pseudonyms
        self.time_policy = time_policy or TimePolicy()
        self.commands = commands
        self.health = HealthMonitor()
        self.judge = Judge()
        self.positions = Positions()
        self.sightings = SightingReducer(self.positions)
        self.counts = CountReducer()

    async def prepare(self, messages: Sequence[Message]) -> list[Work]:
        """Take messages through all steps before the commit. Raises SinkUnavailable; nothing is remembered then."""
        work = [Work(message) for message in messages]
        await self._decode(work)
        await self._identify(work)
        unpack(work)
        self._keep_time(work)
        map_values(work)
        validate(work)
        pseudonyms = await self._read(work)
        self._watch(work)
        self._judge(work)
        self._reduce(work, pseudonyms)
        self._note_failures(work)
        return work

    async def commit(self, work: Sequence[Work]) -> None:
        """Write all updates, tenant by tenant, in order of arrival; set aside what failed. Raises SinkUnavailable."""
        for tenant, updates, sources in by_tenant(work):
            try:
                outcomes = await self.sink.write(tenant, updates)
            except SinkUnavailable:
                for update in updates:
                    update.fresh = (
                        False  # some may have been committed: from now on their receipts are to be looked for
                    )
                raise
            metrics.UPDATES.inc(len(updates))
            for outcome, source in zip(outcomes, sources, strict=True):
                source.written = True
                if outcome.status == "refused" and source.error is None:
                    source.error = EntityRefused(outcome.reason)
        await self._follow_up(work)
        for name, number in TallyCounter(one.message.format for one in work).items():
            metrics.MESSAGES.labels(name).inc(number)
        await self._set_aside(work)

    async def _follow_up(self, work: Sequence[Work]) -> None:
        """Close commands whose results are stored now, answer requests for values, keep last measures."""
        for one in work:
            if one.error is not None:
                continue
            for item in one.items:
                plan, reading = item.plan, item.reading
                if plan is None:
                    continue
                if plan.keeps_last and isinstance(reading, Measure):
                    await self.registry.keep_last(plan, reading, one.message.received)
                if self.commands is None:
                    continue
                if isinstance(reading, CommandResult):
                    await self.commands.acknowledge(plan, reading)
                elif isinstance(reading, ConfigurationRequest):
                    await answer_configuration(self.commands, plan, reading)

    async def _decode(self, work: Sequence[Work]) -> None:
        """Read every message by its format's codec."""
        for one in work:
            row = FORMATS[one.message.format]
            try:
                if one.message.too_large:
                    raise TooLarge(f"the payload has {one.message.too_large} bytes, more than are taken")  # noqa: TRY301
                if one.message.fault is not None:
                    raise one.message.fault  # noqa: TRY301
                if row.configured:
                    group = await self.registry.group(row.resources, one.message.named.get("apikey", ""))
                    check_realm(one.message, group["service"])
                    one.tenant = group["service"]
                    readings = row.decode(one.message, settings_of(group.get("internal_attributes")))
                else:
                    readings = row.decode(one.message)
                one.items = [Item(reading) for reading in readings]
            except SinkUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - the others of the batch go on
                fail(one, error)
                one.tenant = one.tenant or one.message.realm or await self._tenant_of(one.message, row)

    async def _tenant_of(self, message: Message, row: Format) -> str:
        """Return whose quarantine a message belongs to that nobody could read: that of its apikey's group."""
        try:
            group = await self.registry.group(row.resources, message.named.get("apikey", ""))
        except DeviceError:
            return ""
        return str(group["service"])

    async def _identify(self, work: Sequence[Work]) -> None:
        """Find the plan of every reading's device: in memory, or in the registry."""
        registry = self.registry
        for one in work:
            if one.error is not None:
                continue
            resources = FORMATS[one.message.format].resources
            for item in one.items:
                reading = item.reading
                plan = registry.known(resources, reading.apikey, reading.device_id)
                if plan is None or (one.message.realm is not None and plan.tenant != one.message.realm):
                    plan = await self._look_up(one, item, resources)
                    if plan is None:
                        break
                if plan.credential is not None and not is_proven(one, plan.credential):
                    break
                item.plan = plan
                one.tenant = plan.tenant

    async def _look_up(self, one: Work, item: Item, resources: tuple[str, ...]) -> Plan | None:
        reading, realm = item.reading, one.message.realm
        try:
            if realm is not None:
                check_realm(one.message, (await self.registry.group(resources, reading.apikey))["service"])
            return await self.registry.find(resources, reading.apikey, reading.device_id)
        except SinkUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the others of the batch go on
            fail(one, error)
            group = self.registry.group_of(resources, reading.apikey) if realm is None else None
            one.tenant = group["service"] if group else realm or ""
            return None

    def _keep_time(self, work: Sequence[Work]) -> None:
        """Settle the time of every reading."""
        general = self.time_policy
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

    async def _read(self, work: Sequence[Work]) -> dict[str, Callable[[str], str]]:
        """Read what the next steps go on from, before anything is remembered; return the pseudonyms by tenant."""
        names: dict[str, Callable[[str], str]] = {}
        for one in work:
            if one.error is not None:
                continue
            for item in one.items:
                plan, reading = item.plan, item.reading
                assert plan is not None
                if isinstance(reading, Count):
                    await self.counts.prepare(plan, reading, self.sink)
                elif isinstance(reading, Sighting):
                    await self.positions.prepare(plan, self.sink)
                    if one.tenant not in names:
                        names[one.tenant] = await self.pseudonyms.of(one.tenant)
                if plan.judgement is not None:
                    for entity_id in {update.id for update in item.updates}:
                        stored = await self.sink.read(one.tenant, entity_id) or {}
                        self.judge.note(one.tenant, entity_id, plan.judgement, stored)
                if plan.health is not None and counter_of(reading) is not None:
                    await self.health.resume(plan, one.message.received, self.sink)
                for update in item.updates:
                    self.positions.note(one.tenant, update)
        return names

    def _watch(self, work: Sequence[Work]) -> None:
        """Note every sign of life of devices that are watched."""
        for one in work:
            if one.error is not None or one.message.retained:
                continue
            for item in one.items:
                if item.plan is not None and item.plan.health is not None:
                    assert item.stamp is not None
                    update = self.health.heard(
                        item.plan, one.message.received, item.updates, reading=item.reading, stamp=item.stamp
                    )
                    if update is not None:
                        item.updates.append(update)

    def _judge(self, work: Sequence[Work]) -> None:
        """Mark what is suspect by what came before, and say which warning level is reached."""
        for one in work:
            if one.error is not None:
                continue
            for item in one.items:
                if item.plan is not None and item.plan.judgement is not None:
                    for update in item.updates:
                        one.undo.append(self.judge.judge(one.tenant, update, item.plan.judgement))

    def _note_failures(self, work: Sequence[Work]) -> None:
        """Count messages that could not be taken at the health of the devices that they name."""
        for one in work:
            if one.error is None or one.discard:
                continue
            apikey, device = one.message.named.get("apikey"), one.message.named.get("device")
            if apikey and device:
                plan = self.registry.known(FORMATS[one.message.format].resources, apikey, device)
                if plan is not None:
                    self.health.failed(plan, one.message.received)

    def _reduce(self, work: Sequence[Work], names: dict[str, Callable[[str], str]]) -> None:
        """Turn adverts into sightings and totals into flows."""
        for one in work:
            if one.error is not None:
                continue
            try:
                for item in one.items:
                    reducer = self._reducers.get(type(item.reading))
                    if reducer is not None:
                        reducer(self, one, item, names.get(one.tenant))
            except Exception as error:  # noqa: BLE001 - the others of the batch go on
                fail(one, error)

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

    _reducers: dict[type, Callable[[Pipeline, Work, Item, Any], None]] = {  # noqa: RUF012 - a table, never written
        Sighting: _reduce_sighting,
        Count: _reduce_count,
    }

    async def sweep(self, now: int) -> None:
        """Write which tags have left and which devices are offline; send commands that wait. Raises SinkUnavailable."""
        absent: dict[str, list[tuple[EntityUpdate, Watch]]] = {}
        for tenant, update, watch in await self.health.silent(now, self.sink):
            absent.setdefault(tenant, []).append((update, watch))
        for tenant, pairs in absent.items():
            await self.sink.write(tenant, [update for update, _ in pairs])
            for _, watch in pairs:
                self.health.settled(watch)
        by_tenants: dict[str, list[EntityUpdate]] = {}
        for tenant, update in self.sightings.silent(now):
            by_tenants.setdefault(tenant, []).append(update)
        for tenant, updates in by_tenants.items():
            await self.sink.write(tenant, updates)
            for update in updates:
                self.sightings.forget(tenant, update.id)
        if self.commands is not None:
            await self.commands.sweep(await self.registry.tenants(), now)

    async def keep_sweeping(self, every: float = SWEEP_SECONDS) -> None:
        """Sweep now and then, for ever; at first take up the watch over all devices that have a health rule."""
        watching = False
        while True:
            await asyncio.sleep(every)
            try:
                if not watching:
                    async for plan in self.registry.watched():
                        self.health.watch(plan, clock.now())
                    watching = True
                await self.sweep(clock.now())
            except SinkUnavailable as unavailable:
                log.warning("absences wait for the broker", reason=str(unavailable))
            except Exception:
                log.exception("a sweep failed")

    async def _set_aside(self, work: Sequence[Work]) -> None:
        """Put what failed into the quarantine, several at once. Raises SinkUnavailable."""
        failed = [one for one in work if one.error is not None]
        for start in range(0, len(failed), SET_ASIDE_AT_ONCE):
            part = failed[start : start + SET_ASIDE_AT_ONCE]
            await asyncio.gather(*(self._put(one) for one in part))
            for one in part:
                one.set_aside = True

    async def _put(self, one: Work) -> None:
        if one.error is None or one.set_aside:
            return
        if not one.discard:
            model = next((item.plan.model for item in one.items if item.plan is not None), "")
            await self.quarantine.put(one.tenant, one.message, one.error, model=model)
        log.warning(
            "message refused" if one.discard else "message set aside",
            format=one.message.format,
            tenant=one.tenant,
            reason=one.error.name,
        )
        metrics.SET_ASIDE.labels(one.message.format, one.error.name).inc()


def is_proven(one: Work, credential: Credential) -> bool:
    """Tell whether a message shows what its device must show; one that does not is refused and not kept.

    What comes out of the quarantine again was let in there by a person.
    """
    if one.message.key:
        return True
    try:
        check_proof(credential, one.message.proof, one.message.received)
    except NotAllowed as error:
        one.error, one.discard = error, True
        return False
    return True


def check_realm(message: Message, tenant: str) -> None:
    """Raise GroupNotFound for a group of another tenant than the one that the message may reach."""
    if message.realm is not None and tenant != message.realm:
        raise GroupNotFound("Couldn't find device group for the apikey of this message in the connection's tenant")


def fail(one: Work, error: Exception) -> None:
    """Have a message carry its error; one that is not a DeviceError is a fault of ours and is logged as such."""
    if isinstance(error, DeviceError):
        one.error = error
    else:
        log.error("fault while handling a device message", format=one.message.format, exc_info=error)
        one.error = AdapterFault(
            f"a fault of the broker: {type(error).__name__}; the message is kept in the quarantine"
        )


def _observed(item: Item) -> int:
    assert item.stamp is not None
    return item.stamp.observed


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
            set_receipts(message, reading, item.updates, dated=item.stamp.dated, index=index)
    elif isinstance(reading, Heartbeat):
        item.updates = [map_heartbeat(item.plan, reading, item.stamp)]
    elif isinstance(reading, CommandResult):
        item.updates = [command_result(item.plan, reading, item.stamp)]
    elif isinstance(reading, ConfigurationRequest):
        item.updates = []


def command_result(plan: Plan, reading: CommandResult, taken: Stamp) -> EntityUpdate:
    """Return the update that a command's result makes: `<command>_status` and `<command>_info` (iotagent-node-lib)."""
    attrs = {
        f"{plan.name_of(reading.command)}_status": {"type": "Property", "value": "OK", "observedAt": taken.text},
        f"{plan.name_of(reading.command)}_info": {
            "type": "Property",
            "value": reading.result,
            "observedAt": taken.text,
        },
    }
    return EntityUpdate(plan.entity_id, plan.entity_type, attrs)


def validate(work: Sequence[Work]) -> None:
    """Refuse what no entity may hold, and hold updates of shipped models against their schema."""
    for one in work:
        if one.error is not None:
            continue
        try:
            if len(one.message.named.get("device", "")) > LONGEST_ID:
                raise EntityRefused(f"the device id is longer than {LONGEST_ID} characters")  # noqa: TRY301
            for item in one.items:
                assert item.plan is not None
                for update in item.updates:
                    check_update(update, item.plan.validation)
        except Rejected as rejected:
            one.error, one.discard = rejected.error, True
        except Exception as error:  # noqa: BLE001 - the others of the batch go on
            fail(one, error)


def by_tenant(work: Sequence[Work]) -> list[tuple[str, list[EntityUpdate], list[Work]]]:
    """Return (tenant, updates, the work each comes from) for what is to be written."""
    grouped: dict[str, tuple[list[EntityUpdate], list[Work]]] = {}
    for one in work:
        if one.error is not None or one.written:
            continue
        for item in one.items:
            if item.updates:
                updates, sources = grouped.setdefault(one.tenant, ([], []))
                updates.extend(item.updates)
                sources.extend([one] * len(item.updates))
    return [(tenant, updates, sources) for tenant, (updates, sources) in grouped.items()]
