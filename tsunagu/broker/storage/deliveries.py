"""What became of notifications: the counters of each subscription, and the attempts made for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(slots=True)
class Tally:
    """What happened to a subscription's notifications since the last writing; times in epoch ms."""

    sent: int = 0
    failed: int = 0
    last_notification: int | None = None
    last_success: int | None = None
    last_failure: int | None = None

    def members(self) -> dict[str, Any]:
        """Return the members of NotificationParams (5.2.14.2) that this amounts to; times in epoch ms."""
        found: dict[str, Any] = {}
        if self.sent:
            found["timesSent"] = self.sent
        if self.failed:
            found["timesFailed"] = self.failed
        moments = {
            "lastNotification": self.last_notification,
            "lastSuccess": self.last_success,
            "lastFailure": self.last_failure,
        }
        found.update({name: moment for name, moment in moments.items() if moment is not None})
        if self.last_success is not None or self.last_failure is not None:
            found["status"] = "ok" if (self.last_success or 0) >= (self.last_failure or 0) else "failed"
        return found

    def plus(self, other: Tally) -> Tally:
        """Return both together: counts added, times the later ones."""
        return Tally(
            self.sent + other.sent,
            self.failed + other.failed,
            later(self.last_notification, other.last_notification),
            later(self.last_success, other.last_success),
            later(self.last_failure, other.last_failure),
        )


def later(one: int | None, other: int | None) -> int | None:
    """Return the later of two times, either of which may be unknown."""
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to deliver a notification. `digest` is the SHA-256 of the body, hex; `latency` in milliseconds."""

    subscription: str
    notification: str
    changes: tuple[str, ...]
    at: int
    ok: bool
    status: int | None
    reason: str
    latency: int
    size: int
    digest: str


class DeliveryRecords(Protocol):
    """Keeps tallies and attempts. All methods raise Unavailable when the store is away."""

    async def add(self, tenant: str, tallies: Mapping[str, Tally]) -> None:
        """Add tallies to those kept, by subscription id."""

    async def tallies(self, tenant: str, subscriptions: Sequence[str]) -> dict[str, Tally]:
        """Return the tallies kept of these subscriptions, where there are any."""

    async def note(self, tenant: str, attempts: Sequence[Attempt]) -> None:
        """Keep attempts, for some days."""

    async def attempts(self, tenant: str, subscription: str, *, limit: int, before: int | None = None) -> list[Attempt]:
        """Return the latest attempts of a subscription, newest first, earlier than `before` (epoch ms) if given."""

    async def forget(self, tenant: str, subscription: str) -> None:
        """Remove all that is kept about a subscription."""
