"""From messages to committed entity updates, step by step; the doors acknowledge what comes out.

`prepare` runs the steps up to reduce, `commit` writes; a door that must not lose its messages repeats `commit` alone.
A message that a step cannot take carries its DeviceError from then on and is set aside in the quarantine at the end.
Messages go through in batches, so that one write to the sink serves all that arrived together.
"""

from __future__ import annotations

import asyncio
from collections import Counter as TallyCounter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from tsunagu.adapters import clock, metrics
from tsunagu.adapters.configuration import answer_configuration
from tsunagu.adapters.conversion import keep_time, map_values, unpack, validate
from tsunagu.adapters.identification import decode, identify
from tsunagu.adapters.message import CommandResult, ConfigurationRequest, Measure
from tsunagu.adapters.part import Part
from tsunagu.adapters.reduction import Reduction
from tsunagu.adapters.sink import SinkUnavailable
from tsunagu.adapters.time_policy import TimePolicy
from tsunagu.adapters.work import Work, by_tenant

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from tsunagu.adapters.commands import Commands
    from tsunagu.adapters.devices.registry import DeviceRegistry
    from tsunagu.adapters.health import Watch
    from tsunagu.adapters.management.preview import Foresee
    from tsunagu.adapters.message import Message
    from tsunagu.adapters.pseudonyms import Pseudonyms
    from tsunagu.adapters.quarantine import Quarantine
    from tsunagu.adapters.sink import EntityUpdate, Sink, Succession

SWEEP_SECONDS = 5.0
SET_ASIDE_AT_ONCE = 16

log = structlog.get_logger(__name__)


class Pipeline:
    """The way of a device message. One per process; all doors share it. `foresee` is set by app.py."""

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
        self.foresee: Foresee | None = None
        self.reduction = Reduction(sink, pseudonyms)

    async def prepare(self, messages: Sequence[Message]) -> list[Work]:
        """Take messages through all steps before the commit. Raises SinkUnavailable; nothing is remembered then."""
        work = [Work(message) for message in messages]
        await decode(work, self.registry)
        await identify(work, self.registry)
        unpack(work)
        keep_time(work, self.time_policy)
        map_values(work)
        validate(work)
        self.reduction.reduce(work, await self.reduction.read(work))
        self.reduction.note_failures(work, self.registry)
        return work

    def commit(self, work: Sequence[Work], succession: Succession | None = None) -> Coroutine[Any, Any, None]:
        """Queue all updates, in order of arrival, before it returns; what it returns waits until all is committed.

        What failed is set aside then. Of several commits under way that share a succession none overtakes another.
        The waiting raises SinkUnavailable.
        """
        return self._commit(work, [Part(self.sink, *one, succession) for one in by_tenant(work)])

    async def _commit(self, work: Sequence[Work], parts: Sequence[Part]) -> None:
        failures = [one for one in await asyncio.gather(*(part.settle() for part in parts)) if one is not None]
        if failures:
            raise failures[0]
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
                    lazy = plan.lazy_of(reading.command)
                    result = reading if lazy is None else replace(reading, command=lazy["name"])
                    await self.commands.acknowledge(plan, result)
                elif isinstance(reading, ConfigurationRequest):
                    if reading.wish == "subscription" and self.commands.configurations is not None:
                        await self.commands.configurations.subscribe(plan, reading)
                    await answer_configuration(self.commands, plan, reading)

    async def sweep(self, now: int) -> None:
        """Write which tags have left and which devices are offline; send commands that wait. Raises SinkUnavailable."""
        absent: dict[str, list[tuple[EntityUpdate, Watch]]] = {}
        for tenant, update, watch in await self.reduction.health.silent(now, self.sink):
            absent.setdefault(tenant, []).append((update, watch))
        for tenant, pairs in absent.items():
            await self.sink.write(tenant, [update for update, _ in pairs])
            for _, watch in pairs:
                self.reduction.health.settled(watch)
        by_tenants: dict[str, list[EntityUpdate]] = {}
        for tenant, update in self.reduction.sightings.silent(now):
            by_tenants.setdefault(tenant, []).append(update)
        for tenant, updates in by_tenants.items():
            await self.sink.write(tenant, updates)
            for update in updates:
                self.reduction.sightings.forget(tenant, update.id)
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
                        self.reduction.health.watch(plan, clock.now())
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
