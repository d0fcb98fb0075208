"""Seeing and steering what becomes of a subscription's notifications: attempts, dead letters, replay, preview. Ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.operations.subscription_form import Body, Entry, new_entry
from tsunagu.schemas.times import format_ms, parse_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tsunagu.broker.changes import Change
    from tsunagu.broker.jsonld.context import Context
    from tsunagu.broker.operations.subscriptions import Subscriptions
    from tsunagu.broker.storage.deliveries import DeliveryRecords
    from tsunagu.broker.storage.parked import ParkedDeliveries

LONGEST_LIST = 1000
LONGEST_PREVIEW = 1000


@dataclass(frozen=True, slots=True)
class Previewed:
    """What a subscription would have been told of one change: the headers and the body of the notification."""

    change: Change
    headers: tuple[tuple[str, str], ...]
    body: bytes


class DeliveryControl(Protocol):
    """The part of this process that sends notifications, as it can be steered."""

    async def replay(self, tenant: str, subscription: str, start: int, end: int) -> int:
        """Send all changes of start <= at < end (epoch ms) again that concern a subscription; return how many."""

    async def preview(self, tenant: str, entry: Entry, count: int) -> list[Previewed]:
        """Return which of the latest `count` changes a subscription would be told of, and how. Nothing is sent."""

    def expect_parked(self, tenant: str, subscriptions: Sequence[str]) -> None:
        """Say that notifications of these subscriptions have been parked."""

    async def written(self) -> None:
        """Wait until what happened so far is on record."""


class Deliveries:
    """The operations behind /tsunagu/v1/subscriptions/{id}/… All raise ResourceNotFound for an unknown subscription."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        records: DeliveryRecords,
        parked: ParkedDeliveries,
        control: DeliveryControl,
    ) -> None:
        self._subscriptions = subscriptions
        self._records = records
        self._parked = parked
        self._control = control

    async def attempts(
        self, tenant: str, subscription: str, *, limit: int = 100, before: str | None = None
    ) -> list[Body]:
        """Return the latest attempts to deliver, newest first, earlier than a DateTime if given."""
        await self._subscriptions.entry(tenant, subscription)
        moment = _moment("before", before) if before is not None else None
        await self._control.written()
        found = await self._records.attempts(tenant, subscription, limit=_limit(limit), before=moment)
        return [
            {
                "notification": attempt.notification,
                "changes": list(attempt.changes),
                "at": format_ms(attempt.at),
                "ok": attempt.ok,
                **({"status": attempt.status} if attempt.status is not None else {}),
                **({"reason": attempt.reason} if attempt.reason else {}),
                "latency": attempt.latency,
                "size": attempt.size,
                "sha256": attempt.digest,
            }
            for attempt in found
        ]

    async def dead_letters(self, tenant: str, subscription: str, *, limit: int = 100, offset: int = 0) -> list[Body]:
        """Return the notifications that were given up, oldest first."""
        await self._subscriptions.entry(tenant, subscription)
        found = await self._parked.dead(tenant, subscription, limit=_limit(limit), offset=max(offset, 0))
        return [
            {
                "id": letter.parked.id,
                "changes": [change.key for change in letter.parked.changes],
                "entities": [change.entity_id for change in letter.parked.changes],
                "changedAt": format_ms(letter.parked.changes[0].at),
                "givenUpAt": format_ms(letter.at),
                "reason": letter.reason,
            }
            for letter in found
        ]

    async def redeliver(
        self, tenant: str, subscription: str, *, ids: Sequence[str] | None = None, since: str | None = None
    ) -> int:
        """Deliver dead letters again: those named, those given up since a DateTime, or all. Returns how many."""
        await self._subscriptions.entry(tenant, subscription)
        moment = _moment("since", since) if since is not None else None
        count = await self._parked.exhume(tenant, subscription, ids=ids, since=moment)
        if count:
            self._control.expect_parked(tenant, [subscription])
        return count

    async def replay(self, tenant: str, subscription: str, *, start: str, end: str) -> int:
        """Send all changes between two DateTimes again that concern the subscription. Returns how many.

        They come in order, each with the header `Tsunagu-Replay: true`, behind what already waits.
        """
        await self._subscriptions.entry(tenant, subscription)
        first, last = _moment("from", start), _moment("to", end)
        if first >= last:
            raise BadRequestData(f"from: {start} must lie before to, {end}")
        return await self._control.replay(tenant, subscription, first, last)

    async def preview(self, tenant: str, subscription: str | Body, context: Context, *, count: int) -> list[Previewed]:
        """Return which of the latest changes a subscription, existing or only drafted, would have been told of.

        Raises BadRequestData for a draft that could not be created.
        """
        if not 1 <= count <= LONGEST_PREVIEW:
            raise BadRequestData(f"last: must be a number from 1 to {LONGEST_PREVIEW}, not {count}")
        if isinstance(subscription, str):
            entry = await self._subscriptions.entry(tenant, subscription)
        else:
            entry = new_entry(subscription, context, now=0)
        return await self._control.preview(tenant, entry, count)

    async def pause(self, tenant: str, subscription: str, context: Context) -> None:
        """Send nothing more until `resume`; what waits already is kept."""
        await self._subscriptions.update(tenant, subscription, {"isActive": False}, context)

    async def resume(self, tenant: str, subscription: str, context: Context) -> None:
        """Send again, first what waited."""
        await self._subscriptions.update(tenant, subscription, {"isActive": True}, context)


def _moment(name: str, text: Any) -> int:
    try:
        return parse_ms(text)
    except ValueError as error:
        raise BadRequestData(f"{name}: {error}") from None


def _limit(limit: int) -> int:
    if not 1 <= limit <= LONGEST_LIST:
        raise BadRequestData(f"limit: must be a number from 1 to {LONGEST_LIST}, not {limit}")
    return limit
