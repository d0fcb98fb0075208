"""Notifications that wait outside of memory: for an endpoint that is away, or behind others; and those given up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tsunagu.broker.changes import Change


@dataclass(frozen=True, slots=True)
class Parked:
    """One notification that waits. `seq` orders those of a subscription.

    `changes` are those to be told in one notification; `lane` is what the order is kept in.
    """

    id: str
    subscription: str
    seq: int
    lane: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One notification that was given up at `at` (epoch ms), and why."""

    parked: Parked
    at: int
    reason: str


class ParkedDeliveries(Protocol):
    """Keeps parked notifications and dead letters, by tenant. All methods raise Unavailable when the store is away."""

    async def put(self, tenant: str, rows: Sequence[Parked]) -> None:
        """Keep rows; one whose id is there already is left as it is."""

    async def load(self, tenant: str, subscription: str, *, after: int, limit: int) -> list[Parked]:
        """Return the first `limit` rows of a subscription with a seq above `after`, in order."""

    async def remove(self, tenant: str, ids: Sequence[str]) -> None:
        """Remove rows."""

    async def coalesce(self, tenant: str, subscription: str) -> None:
        """Keep of each lane of a subscription only the latest row."""

    async def subscriptions(self, tenant: str) -> list[str]:
        """Return the subscriptions that have rows."""

    async def discard(self, tenant: str, subscription: str) -> None:
        """Remove the rows and dead letters of a subscription."""

    async def bury(self, tenant: str, letters: Sequence[DeadLetter]) -> None:
        """Keep dead letters, and remove the rows with their ids."""

    async def dead(self, tenant: str, subscription: str, *, limit: int, offset: int = 0) -> list[DeadLetter]:
        """Return dead letters of a subscription, oldest first."""

    async def counts(self, tenant: str, subscriptions: Sequence[str]) -> tuple[dict[str, int], dict[str, int]]:
        """Return how many rows, and how many dead letters, each of these subscriptions has, where it has any."""

    async def exhume(self, tenant: str, subscription: str, *, ids: Sequence[str] | None, since: int | None) -> int:
        """Turn dead letters into rows again: those named, or those given up since (epoch ms), or all."""
