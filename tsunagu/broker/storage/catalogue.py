"""The catalogue: the small documents beside the entities (subscriptions, registrations, contexts, devices …)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

Entry = dict[str, Any]
Deed = Literal["inserted", "replaced", "deleted", "unknown"]


@dataclass(frozen=True, slots=True)
class Announcement:
    """Somebody, in this process or another, wrote an entry.

    Deed "unknown" says that announcements may have been missed: whoever keeps a copy must read all again.
    """

    tenant: str
    kind: str
    id: str
    deed: Deed


class Catalogue(Protocol):
    """Entries by tenant, kind and id.

    `kind` is the name of a collection: "subscriptions", "devices" …

    All methods raise Unavailable when the store is away. `where` and `sort` name members of the entry,
    dots for inner ones; `where` takes plain values or {"$in": [...]}, {"$lt": ...} and the like.
    """

    async def get(self, tenant: str, kind: str, id: str) -> Entry | None:  # noqa: A002
        """Return one entry, None if there is none."""

    async def insert(self, tenant: str, kind: str, id: str, entry: Entry) -> None:  # noqa: A002
        """Add an entry. Raises AlreadyExists."""

    async def replace(self, tenant: str, kind: str, id: str, entry: Entry) -> None:  # noqa: A002
        """Put an entry in the place of the one with this id, or add it."""

    async def delete(self, tenant: str, kind: str, id: str) -> bool:  # noqa: A002
        """Remove an entry; tell whether there was one."""

    async def discard(self, tenant: str, kind: str, ids: Sequence[str]) -> int:
        """Remove entries of a kind that nobody watches, without announcing it; return how many there were."""

    async def find(
        self,
        tenant: str,
        kind: str,
        where: Entry | None = None,
        *,
        limit: int = 0,
        offset: int = 0,
        sort: tuple[tuple[str, int], ...] = (),
    ) -> list[Entry]:
        """Return the entries that match, by id unless `sort` says otherwise; limit 0 means all."""

    def batches(self, tenant: str, kind: str) -> AsyncIterator[list[Entry]]:
        """Yield all entries, in no order, some hundreds at a time."""

    async def count(self, tenant: str, kind: str, where: Entry | None = None) -> int:
        """Return how many entries match."""

    async def change(self, tenant: str, kind: str, id: str, values: Entry, *, increments: Entry | None = None) -> bool:  # noqa: A002
        """Set members of an entry and add to counters, without announcing it; tell whether it was there."""

    async def tenants(self) -> list[str]:
        """Return all tenants; the default one is ""."""

    def watch(self, kinds: frozenset[str], callback: Callable[[Announcement], None]) -> None:
        """Have `callback` called on the event loop for every write of these kinds by any process, within a second."""
