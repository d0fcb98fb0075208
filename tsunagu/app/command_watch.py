"""Commands that applications give by writing to the device's entity: watched for among the changes of this process.

A write is noticed right after its commit. What a process that died had committed and not passed on is found at the next
start, by the entity itself: a command that was written after its status was, with its last value. The command's id
follows from the write, so that two processes that find the same one make one command of it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from tsunagu.adapters.mapping import VALUE_MEMBERS
from tsunagu.adapters.sink import SinkUnavailable
from tsunagu.background import end
from tsunagu.broker.errors import ResourceNotFound, Unavailable
from tsunagu.broker.jsonld.context import CORE
from tsunagu.schemas.entity import instances, stored_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from tsunagu.adapters.command_requests import CommandRequests
    from tsunagu.adapters.devices.plan import Plan
    from tsunagu.broker.changes import Change, Document
    from tsunagu.broker.operations.entities import Entities

LANES = 16
WAITING_AT_MOST = 1000  # writes in a lane; beyond, they are found by the entities' own state
RETRY_SECONDS = 2.0

log = structlog.get_logger(__name__)
Request = tuple[str, str, str, Any, int]  # tenant, entity, command, value, epoch ms


class CommandWatch:
    """A ChangeListener. `await start()`, `await stop()`."""

    def __init__(
        self,
        requests: CommandRequests,
        entities: Entities,
        tenants: Callable[[], Awaitable[list[str]]],
    ) -> None:
        self._requests = requests
        self._entities = entities
        self._tenants = tenants
        self._lanes: list[asyncio.Queue[Request]] = [asyncio.Queue(WAITING_AT_MOST) for _ in range(LANES)]
        self._stored: dict[str, dict[str, str]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._missed = asyncio.Event()

    async def start(self) -> None:
        """Read which attributes are commands, take up what was left, and be ready. Raises Unavailable."""
        await self._requests.load(await self._tenants())
        self._tasks = [asyncio.create_task(self._work(lane), name="commands") for lane in self._lanes]
        self._missed.set()
        self._tasks.append(asyncio.create_task(self._catch_up(), name="commands left over"))

    async def stop(self) -> None:
        """Stop; what is not passed on yet is found at the next start."""
        await end(*self._tasks)

    def committed(self, changes: Sequence[Change]) -> None:
        """Take changes of one tenant in commit order; see `ChangeListener`."""
        names = self._names(changes[0].tenant)
        if names:
            for change in changes:
                for request in requested(change, names):
                    self._put(request)

    def _names(self, tenant: str) -> dict[str, str]:
        """Return the commands of a tenant, by stored name."""
        terms = self._requests.names(tenant)
        known = self._stored.get(tenant)
        if known is None or len(known) != len(terms):
            known = self._stored[tenant] = {stored_name(CORE.expand_term(term)): term for term in terms}
        return known

    def _put(self, request: Request) -> None:
        try:
            self._lanes[hash(request[:2]) % LANES].put_nowait(request)
        except asyncio.QueueFull:
            self._missed.set()

    async def _work(self, lane: asyncio.Queue[Request]) -> None:
        while True:
            request = await lane.get()
            await self._pass_on(request)

    async def _pass_on(self, request: Request) -> None:
        """Give the device its command; while the store is away, try again."""
        tenant, entity_id, name, value, at = request
        while True:
            try:
                await self._requests.request(tenant, entity_id, name, value, at=at)
            except SinkUnavailable as unavailable:
                log.warning("commands wait for the broker", reason=str(unavailable))
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:
                log.exception("a command failed")
                return
            else:
                return

    async def _catch_up(self) -> None:
        """Find commands that nobody has passed on, at the start and whenever more came than the lanes hold."""
        while True:
            await self._missed.wait()
            self._missed.clear()
            try:
                for tenant in await self._tenants():
                    async for plan in self._requests.with_commands(tenant):
                        await self._requests.introduce(plan)
                        for request in await self._left_over(plan):
                            self._put(request)
            except (SinkUnavailable, Unavailable) as unavailable:
                log.warning("commands wait for the broker", reason=str(unavailable))
                await asyncio.sleep(RETRY_SECONDS)
                self._missed.set()
            await asyncio.sleep(RETRY_SECONDS)

    async def _left_over(self, plan: Plan) -> list[Request]:
        """Return the commands of a device's entity that were written after their status."""
        try:
            document = await self._entities.retrieve(plan.tenant, plan.entity_id)
        except ResourceNotFound:
            return []
        found: list[Request] = []
        for command in plan.commands:
            name = command["name"]
            written = modified(document, stored_name(CORE.expand_term(name)))
            told = modified(document, stored_name(CORE.expand_term(f"{name}_status")))
            if written is not None and told is not None and written > told:
                found += [
                    (plan.tenant, plan.entity_id, name, value, written)
                    for value in values(document, stored_name(CORE.expand_term(name)))
                ]
        return found


def requested(change: Change, names: dict[str, str]) -> Iterator[Request]:
    """Give the commands in a change: writes to their attributes that are neither readings nor our own."""
    document = change.after
    touched = {touch.attribute for touch in change.touched if touch.deed != "deleted"}
    if document is None or touched.isdisjoint(names):
        return
    for attribute in touched & names.keys():
        term = names[attribute]
        if stored_name(CORE.expand_term(f"{term}_status")) in touched:
            continue
        for value in values(document, attribute, change.before):
            yield change.tenant, change.entity_id, term, value, change.at


def values(document: Document, attribute: str, before: Document | None = None) -> Iterator[Any]:
    """Give the values of an attribute's instances that are no readings: without observedAt, or with that of `before`.

    A partial update leaves the observedAt of the reading before it where it is.
    """
    known = instances(before["attrs"].get(attribute, [])) if before is not None else []
    for instance in instances(document["attrs"].get(attribute, [])):
        member = next((name for name in VALUE_MEMBERS if name in instance), None)
        if member is None:
            continue
        if "observedAt" in instance:
            old = next((one for one in known if one.get("datasetId") == instance.get("datasetId")), {})
            if old.get("observedAt") != instance["observedAt"] or old.get(member) == instance[member]:
                continue
        yield instance[member]


def modified(document: Document, attribute: str) -> int | None:
    """Return when an attribute was last modified, epoch ms; None if it is not there."""
    times = document["sys"].get(attribute)
    return max((one["m"] for one in instances(times)), default=None) if times else None
