"""What the adapters need of the broker's catalogue; broker.storage.catalogue.Catalogue has this shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Entry = dict[str, Any]

GROUPS = "device_groups"
DEVICES = "devices"
QUARANTINE = "quarantine"
SECRETS = "adapter_secrets"


class Announcement(Protocol):
    """Somebody wrote an entry; `deed` "unknown" means that announcements may have been missed."""

    @property
    def tenant(self) -> str:
        """The tenant, "" for the default one."""

    @property
    def kind(self) -> str:
        """The kind of entry."""

    @property
    def id(self) -> str:
        """The id of the entry."""

    @property
    def deed(self) -> str:
        """Return "inserted", "replaced", "deleted" or "unknown"."""


class Catalogue(Protocol):
    """Small documents by tenant, kind and id."""

    async def get(self, tenant: str, kind: str, id: str) -> Entry | None:  # noqa: A002
        """Return one entry."""

    async def insert(self, tenant: str, kind: str, id: str, entry: Entry) -> None:  # noqa: A002
        """Add an entry. Raises Faults.already_exists."""

    async def replace(self, tenant: str, kind: str, id: str, entry: Entry) -> None:  # noqa: A002
        """Put an entry in place of the one with this id, or add it."""

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
        """Return the entries that match; limit 0 means all."""

    async def count(self, tenant: str, kind: str, where: Entry | None = None) -> int:
        """Return how many entries match."""

    async def change(self, tenant: str, kind: str, id: str, values: Entry) -> bool:  # noqa: A002
        """Set members of an entry, without announcing it; tell whether it was there."""

    def watch(self, kinds: frozenset[str], callback: Callable[[Any], None]) -> None:
        """Have `callback` called with an Announcement for every write of these kinds by any process."""


@dataclass(frozen=True, slots=True)
class Faults:
    """The broker's exception classes that the catalogue raises; handed in because adapters do not import the broker."""

    already_exists: type[Exception]
    unavailable: type[Exception]
