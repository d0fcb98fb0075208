"""This process's copy of all subscriptions, ready for matching; it follows what other processes write."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import structlog

from tsunagu.background import end
from tsunagu.broker.errors import NgsiError
from tsunagu.broker.operations.subscriptions import KIND
from tsunagu.subscriptions.index import SubscriptionIndex
from tsunagu.subscriptions.progress import Progress
from tsunagu.subscriptions.subscription import Subscription, subscription_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tsunagu.broker.operations.subscription_form import Entry
    from tsunagu.broker.storage.catalogue import Announcement, Catalogue

log = structlog.get_logger(__name__)

Key = tuple[str, str]
RETRY_SECONDS = 0.5
ENTRIES_AT_ONCE = 100


class SubscriptionObserver(Protocol):
    """Hears of each subscription that takes effect, changes or ends in this process."""

    def changed(self, old: Subscription | None, new: Subscription | None) -> None:
        """Take note that a revision replaced another one: None before the first, and after the last."""


class SubscriptionStore:
    """All subscriptions by (tenant, id), and an index of each tenant's."""

    def __init__(self, catalogue: Catalogue, observer: SubscriptionObserver) -> None:
        self._catalogue = catalogue
        self._observer = observer
        self.indexes: dict[str, SubscriptionIndex] = {}
        self._all: dict[str, dict[str, Subscription]] = {}
        self._outdated: dict[Key, None] = {}
        self._written_here: set[Key] = set()
        self._reload = False
        self._work = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read all subscriptions and follow further ones. Raises Unavailable."""
        self._catalogue.watch(frozenset({KIND}), self._announced)
        await self._read_all()
        self._task = asyncio.create_task(self._follow(), name="subscriptions")

    def get(self, key: Key) -> Subscription | None:
        """Return the present revision of a subscription."""
        return self._all.get(key[0], {}).get(key[1])

    def __len__(self) -> int:
        return sum(map(len, self._all.values()))

    def all(self) -> Iterator[Subscription]:
        """Yield all subscriptions."""
        for found in self._all.values():
            yield from found.values()

    def put(self, tenant: str, entry: Entry) -> None:
        """Take a subscription into effect that was written by this process."""
        self._written_here.add((tenant, entry["id"]))
        self._apply(tenant, entry)

    def drop(self, key: Key) -> None:
        """Take a subscription out of effect that was deleted by this process."""
        self._written_here.add(key)
        self._remove(key)

    # --- following others -------------------------------------------------------------------------------------------

    def _announced(self, announcement: Announcement) -> None:
        if announcement.deed == "unknown":
            self._reload = True
        else:
            self._outdated[(announcement.tenant, announcement.id)] = None
        self._work.set()

    async def _follow(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            try:
                if self._reload:
                    self._reload = False
                    await self._read_all()
                while self._outdated:
                    key = next(iter(self._outdated))
                    await self._refresh(key)
            except NgsiError as error:
                log.warning("subscriptions_not_read", reason=error.detail)
                self._reload = True
                self._work.set()
                await asyncio.sleep(RETRY_SECONDS)

    async def _refresh(self, key: Key) -> None:
        """Read one subscription again; once more if this process wrote it meanwhile."""
        while True:
            self._written_here.discard(key)
            entry = await self._catalogue.get(key[0], KIND, key[1])
            if key not in self._written_here:
                break
        self._outdated.pop(key, None)
        if entry is None:
            self._remove(key)
        else:
            self._apply(key[0], entry)

    async def _read_all(self) -> None:
        """Read everything; what was written here meanwhile is read again by its own announcement."""
        unseen = {one.key for one in self.all()}
        self._written_here.clear()
        progress = Progress("reading_subscriptions")
        for tenant in await self._catalogue.tenants():
            async for entries in self._catalogue.batches(tenant, KIND):
                for number, entry in enumerate(entries, 1):
                    key = (tenant, entry["id"])
                    unseen.discard(key)
                    if key not in self._written_here:
                        self._apply(tenant, entry)
                    if not number % ENTRIES_AT_ONCE:
                        await asyncio.sleep(0)
                progress.made(len(entries))
        for key in unseen - self._written_here:
            self._remove(key)

    def _apply(self, tenant: str, entry: Entry) -> None:
        all_of = self._all.setdefault(tenant, {})
        old = all_of.get(entry["id"])
        if old is not None and old.rev == entry["rev"]:
            return
        index = self.indexes.setdefault(tenant, SubscriptionIndex())
        try:
            new = subscription_of(tenant, entry)
            index.add(new)
        except Exception:
            # An entry that this version cannot read must not keep all others from working.
            log.exception("subscription_unreadable", tenant=tenant, subscription=entry["id"])
            self._tidy(tenant)
            return
        if old is not None:
            old.gone = True
            index.remove(old)
        all_of[new.id] = new
        self._observer.changed(old, new)

    def _remove(self, key: Key) -> None:
        tenant, identity = key
        old = self._all.get(tenant, {}).pop(identity, None)
        if old is None:
            return
        old.gone = True
        self.indexes[tenant].remove(old)
        self._tidy(tenant)
        self._observer.changed(old, None)

    def _tidy(self, tenant: str) -> None:
        """Forget a tenant without subscriptions."""
        if not self._all[tenant]:
            del self._all[tenant]
            del self.indexes[tenant]

    async def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            await end(self._task)
