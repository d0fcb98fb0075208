"""What is to be told to one subscriber: one change, or several that were held back together."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tsunagu.broker.changes import Change
    from tsunagu.subscriptions.subscription import Subscription
    from tsunagu.subscriptions.watermark import Ticket

Rendered = dict[object, bytes]
NAMESPACE = uuid.UUID("6f1c2f0e-4d0b-5f0e-9a5d-2f6d3c8b7a11")


class Numbers:
    """Numbers that only grow, also over a restart: microseconds since 1970, or one more than the last."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> int:
        """Return the next number."""
        self._last = max(self._last + 1, time.time_ns() // 1000)
        return self._last


class Job:
    """Changes of different entities, to be told to one subscriber in one notification.

    `lane` names what the order is kept in: the entity, or "" for all entities of the subscription. `seq` orders jobs.
    `tickets` are told when the job is delivered or parked; `row` is its id in the parking, None while it is not there.
    `since` is the time (epoch seconds) of the oldest change, by which it is given
    up. A `fleeting` job is not tried again: the next one tells the same and more. `shared`, by change, holds what other
    jobs rendered of it.
    """

    __slots__ = (
        "_bundled",
        "changes",
        "fleeting",
        "lane",
        "replay",
        "row",
        "seq",
        "shared",
        "since",
        "subscription",
        "tickets",
    )

    def __init__(
        self,
        subscription: Subscription,
        changes: tuple[Change, ...],
        seq: int,
        *,
        lane: str,
        tickets: tuple[Ticket, ...] = (),
        row: str | None = None,
        parts: tuple[Job, ...] = (),
        shared: tuple[Rendered | None, ...] = (None,),
        fleeting: bool = False,
    ) -> None:
        self.subscription = subscription
        self.changes = changes
        self.seq = seq
        self.lane = lane
        self.tickets = tickets
        self.row = row
        self._bundled = parts
        self.shared = shared
        self.since = changes[0].at / 1000
        self.fleeting = fleeting
        self.replay = False

    @property
    def parts(self) -> tuple[Job, ...]:
        """The jobs that it bundles, else the job itself."""
        # Not kept: a job that holds itself would hold its documents until the collector of cycles comes.
        return self._bundled or (self,)

    def settle(self) -> None:
        """Say that the job is delivered, parked, or no longer wanted."""
        for part in self._bundled:
            part.settle()
        tickets, self.tickets = self.tickets, ()
        for ticket in tickets:
            ticket.done()


def bundle(jobs: Sequence[Job]) -> Job:
    """Return one job that tells all that these tell: of one subscription, each of another entity."""
    return Job(
        jobs[0].subscription,
        tuple(change for job in jobs for change in job.changes),
        jobs[0].seq,
        lane="",
        shared=tuple(shared for job in jobs for shared in job.shared),
        parts=tuple(jobs),
    )


def notification_id(changes: Iterable[Change], subscription: str) -> str:
    """Return the id of the notification of these changes to this subscription: the same whenever it is sent again.

    It names *all* changes in the notification. A group that is put together differently after a crash has another id,
    so that a receiver that drops repeats by id never drops a change that it has not seen.
    """
    keys = ",".join(change.key for change in changes)
    return f"urn:ngsi-ld:Notification:{uuid.uuid5(NAMESPACE, keys + ' ' + subscription)}"
