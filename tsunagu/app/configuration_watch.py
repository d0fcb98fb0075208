"""Values that devices have subscribed to: watched for among the changes of this process, and sent when they change.

What changed while it was being sent is sent again, all values of one moment at a time. What a process that died had
committed and not passed on is found at the next start: a field that was written after the device was told.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from tsunagu.adapters.sink import SinkUnavailable
from tsunagu.app.lazy_entities import written
from tsunagu.background import end
from tsunagu.broker.errors import Unavailable
from tsunagu.broker.jsonld.context import CORE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tsunagu.adapters.catalogue import Entry
    from tsunagu.adapters.configuration_subscriptions import ConfigurationSubscriptions
    from tsunagu.broker.changes import Change
    from tsunagu.broker.operations.entities import Entities

RETRY_SECONDS = 5.0

log = structlog.get_logger(__name__)


class ConfigurationWatch:
    """A ChangeListener. `await start()`, `await stop()`."""

    def __init__(
        self,
        subscriptions: ConfigurationSubscriptions,
        entities: Entities,
        tenants: Callable[[], Awaitable[list[str]]],
    ) -> None:
        self._subscriptions = subscriptions
        self._entities = entities
        self._tenants = tenants
        self._due: dict[tuple[str, str], None] = {}
        self._missed: set[str] = set()
        self._resting: set[str] = set()
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read who has subscribed, and take up what was left. Raises Unavailable."""
        tenants = await self._tenants()
        self._subscriptions.heard = self._look_again
        await self._subscriptions.load(tenants)
        for tenant in tenants:
            self._look_again(tenant)
        self._task = asyncio.create_task(self._run(), name="configurations")

    async def stop(self) -> None:
        """Stop; what is not sent yet is found at the next start."""
        if self._task is not None:
            await end(self._task)

    def _look_again(self, tenant: str) -> None:
        """Look for devices of a tenant that are behind: somebody has subscribed, or could not be reached."""
        self._missed.add(tenant)
        self._woken.set()

    def committed(self, changes: Sequence[Change]) -> None:
        """Take changes of one tenant in commit order; see `ChangeListener`."""
        tenant = changes[0].tenant
        if not self._subscriptions.any_of(tenant):
            return
        for change in changes:
            entries = self._subscriptions.of_entity(tenant, change.entity_id)
            if entries:
                names = {CORE.compact_name(touch.attribute) for touch in change.touched}
                self._due.update(
                    ((tenant, key), None) for key, entry in entries.items() if not names.isdisjoint(entry["fields"])
                )
        if self._due:
            self._woken.set()

    async def _run(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            due, self._due = self._due, {}
            missed, self._missed = self._missed, set()
            for tenant in (missed | {owner for owner, _ in due}) - self._resting:
                keys = {key for owner, key in due if owner == tenant}
                if not await self._reached(tenant, keys, look=tenant in missed):
                    self._resting.add(tenant)
                    asyncio.get_running_loop().call_later(RETRY_SECONDS, self._go_on, tenant)

    def _go_on(self, tenant: str) -> None:
        """Look again for devices of a tenant that could not be reached; what came meanwhile they are behind with."""
        self._resting.discard(tenant)
        self._look_again(tenant)

    async def _reached(self, tenant: str, due: set[str], *, look: bool) -> bool:
        """Send to devices of a tenant, see `_tell`; tell whether that need not be tried again."""
        try:
            return await self._tell(tenant, due, look=look)
        except (SinkUnavailable, Unavailable) as unavailable:
            log.warning("configurations wait for the broker", reason=str(unavailable))
            return False
        except Exception:
            log.exception("a configuration was not sent")
            return True

    async def _tell(self, tenant: str, due: set[str], *, look: bool) -> bool:
        """Send to those of a tenant that are due, or, if `look`, behind; tell whether all of them were reached."""
        reached = True
        for entry in await self._subscriptions.all_of(tenant):
            if entry["id"] in due or (look and await self._is_behind(tenant, entry)):
                reached = await self._subscriptions.tell(tenant, entry) and reached
        return reached

    async def _is_behind(self, tenant: str, entry: Entry) -> bool:
        times = await written(self._entities, tenant, entry["entity"])
        return any(times.get(name, 0) > entry["told"] for name in entry["fields"])
