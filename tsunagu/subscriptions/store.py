"""This process's copy of all subscriptions, ready for matching; it follows what other processes write."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import structlog

from tsunagu.background import end
from tsunagu.broker.errors import NgsiError
from tsunagu.broker.operations.subscriptions import KIND
from tsunagu.subscriptions.index import SubscriptionIndex
from tsunagu.subscriptions.subscription import Subscription, compile_subscription

if TYPE_CHECKING:
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
        self._all: dict[Key, Subscription] = {}
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
        return self._all.get(key)

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, key: object) -> bool:
        return key in self._all

    def all(self) -> list[Subscription]:
        """Return all subscriptions."""
        return list(self._all.values())

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
        seen: set[Key] = set()
        self._written_here.clear()
        for tenant in await self._catalogue.tenants():
            for number, entry in enumerate(await self._catalogue.find(tenant, KIND)):
                if number % ENTRIES_AT_ONCE == ENTRIES_AT_ONCE - 1:
                    await asyncio.sleep(0)
                key = (tenant, entry["id"])
                seen.add(key)
                if key not in self._written_here:
                    self._apply(tenant, entry)
        for key in [key for key in self._all if key not in seen and key not in self._written_here]:
            self._remove(key)

    def _apply(self, tenant: str, entry: Entry) -> None:
        key = (tenant, entry["id"])
        old = self._all.get(key)
        if old is not None and old.rev == entry["rev"]:
            return
        try:
            new = compile_subscription(tenant, entry)
        except Exception:
            # An entry that this version cannot read must not keep all others from working.
            log.exception("subscription_unreadable", tenant=tenant, subscription=entry["id"])
            return
        index = self.indexes.get(tenant)
        if index is None:
            index = self.indexes[tenant] = SubscriptionIndex()
        if old is not None:
            old.gone = True
            index.remove(old)
        index.add(new)
        self._all[key] = new
        self._observer.changed(old, new)

    def _remove(self, key: Key) -> None:
        old = self._all.pop(key, None)
        if old is None:
            return
        old.gone = True
        index = self.indexes[key[0]]
        index.remove(old)
        if not len(index):
            del self.indexes[key[0]]
        self._observer.changed(old, None)

    async def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            await end(self._task)
