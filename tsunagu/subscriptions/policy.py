"""The numbers that delivery goes by."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tsunagu.broker.settings import Settings


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """How notifications are queued, tried again and given up. Times in seconds.

    `timeout`: an endpoint has to answer within, `longest_timeout`: what a subscription may ask for at most;
    `concurrency`: notifications in flight to one endpoint; `queue`: notifications in memory for one endpoint before
    newer ones are parked, `memory`: for all endpoints, `share`: what each may have nevertheless; `group`: entities in
    one notification at most, `body`: bytes of one that tells of several; `further`, `gather`: a notification goes
    beside others on their way when so many entities wait, or after so long; `first_delay`, `factor`, `longest_delay`,
    `jitter`: of the pause after a failure; `patience`: after this long without success an endpoint's notifications are
    parked; `give_up`: after this long a notification becomes a dead letter, `refusal`: the same when the endpoint
    takes others and refuses this one; `mark_interval`, `tally_interval`: between two writings of the watermark, and of
    the tallies and attempts; `lease`: a process that did not renew its lease for so long loses its role; `forget`: one
    that did not for so long, and is not known to be dead, is followed no more.
    """

    timeout: float = 5.0
    longest_timeout: float = 60.0
    concurrency: int = 16
    queue: int = 1000
    memory: int = 20_000
    share: int = 4
    group: int = 100
    body: int = 1_000_000
    further: int = 16
    gather: float = 0.02
    first_delay: float = 0.5
    factor: float = 2.0
    longest_delay: float = 300.0
    jitter: float = 0.2
    patience: float = 10.0
    give_up: float = 24 * 3600.0
    refusal: float = 60.0
    mark_interval: float = 0.2
    tally_interval: float = 1.0
    lease: float = 10.0
    forget: float = 3600.0

    @classmethod
    def of(cls, settings: Settings) -> DeliveryPolicy:
        """Return the policy that the operator's settings ask for."""
        return cls(
            timeout=settings.notification_timeout,
            concurrency=settings.endpoint_concurrency,
            queue=settings.endpoint_queue,
            lease=settings.lease_seconds,
        )

    def delay(self, failures: int) -> float:
        """Return the pause in seconds after so many failures in a row, with jitter."""
        exponent = min(failures - 1, 40)
        pause = min(self.first_delay * self.factor**exponent, self.longest_delay)
        return pause * random.uniform(1 - self.jitter, 1 + self.jitter)  # noqa: S311 - spreads load, guards nothing
