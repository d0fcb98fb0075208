"""Subscriptions with a timeInterval: all entities that match, again and again, whether they changed or not (5.8.6).

The deliverer runs the timers (`presence`); other processes keep them ready.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import structlog

from tsunagu.background import end
from tsunagu.broker.changes import Change
from tsunagu.broker.errors import NgsiError
from tsunagu.broker.query.linked import resolve_linked
from tsunagu.subscriptions.job import Job

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tsunagu.broker.changes import Document
    from tsunagu.broker.operations.entities import Entities
    from tsunagu.broker.query.ast import EntityQuery
    from tsunagu.subscriptions.dispatcher import Dispatcher
    from tsunagu.subscriptions.subscription import Subscription

log = structlog.get_logger(__name__)

TIMERS = "timers"
PAGE = 1000
LINKED_LIMIT = 1000
AT_ONCE = 4


class Timers:
    """Sends the periodic notifications, while this process is the deliverer."""

    def __init__(self, dispatcher: Dispatcher, entities: Entities) -> None:
        self._dispatcher = dispatcher
        self._entities = entities
        self._due: list[tuple[float, int, Subscription]] = []
        self._woken = asyncio.Event()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._busy: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="timers")

    def changed(self, _old: Subscription | None, new: Subscription | None) -> None:
        """Take note of a new revision of a subscription; the first notification is due after one interval."""
        if new is not None and new.interval:
            heapq.heappush(self._due, (time.monotonic() + new.interval, id(new), new))
            self._woken.set()

    async def _run(self) -> None:
        while True:
            pause = self._due[0][0] - time.monotonic() if self._due else None
            if pause is None or pause > 0:
                self._woken.clear()
                try:
                    async with asyncio.timeout(pause):
                        await self._woken.wait()
                except TimeoutError:
                    pass
                continue
            when, key, subscription = heapq.heappop(self._due)
            if subscription.gone:
                continue
            later = max(when + subscription.interval, time.monotonic())
            heapq.heappush(self._due, (later, key, subscription))
            if self._dispatcher.presence.delivering and subscription.active and subscription.key not in self._busy:
                task = asyncio.create_task(self._tell(subscription), name=f"interval of {subscription.id}")
                self._busy[subscription.key] = task
                task.add_done_callback(partial(self._told, subscription.key))

    def _told(self, key: tuple[str, str], _task: asyncio.Task[None]) -> None:
        self._busy.pop(key, None)

    async def _tell(self, subscription: Subscription) -> None:
        """Send all matching entities of one subscription, a page in each notification."""
        try:
            async with self._slots:
                now = time.time_ns() // 1_000_000
                if subscription.expires <= now:
                    return
                plan = subscription.plan
                query = replace(plan.query, selectors=plan.selectors, now=now)
                query = await resolve_linked(query, self._finder(subscription.tenant))
                offset = 0
                while not subscription.gone:
                    page = await self._entities.query(subscription.tenant, query, limit=PAGE, offset=offset)
                    if page.documents:
                        self._dispatcher.outbox.submit(self._job(subscription, page.documents, now, offset))
                    if len(page.documents) < PAGE:
                        return
                    offset += PAGE
        except NgsiError as error:
            log.warning("interval_skipped", subscription=subscription.id, reason=error.detail)

    def _finder(self, tenant: str) -> Callable[[EntityQuery], Awaitable[list[str]]]:
        async def find(query: EntityQuery) -> list[str]:
            page = await self._entities.query(tenant, query, limit=LINKED_LIMIT)
            return [document["_id"] for document in page.documents]

        return find

    def _job(self, subscription: Subscription, documents: list[Document], now: int, offset: int) -> Job:
        """Return a job that tells of entities as if each had just been changed, in nothing."""
        changes = tuple(
            Change(subscription.tenant, f"{TIMERS}:{now}", offset + place, one["_id"], "updated", now, one, one, ())
            for place, one in enumerate(documents)
        )
        number = self._dispatcher.number()
        shared = (None,) * len(changes)
        return Job(subscription, changes, number, lane="" if not offset else f"+{offset}", shared=shared, fleeting=True)

    async def close(self) -> None:
        """Stop."""
        tasks = [*([self._task] if self._task is not None else []), *self._busy.values()]
        await end(*tasks)
