"""Throttling: no two notifications of a subscription within its interval; what changed meanwhile is not dropped.

Of each entity the latest change is held, and when the interval is over all that is held goes out in one notification.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tsunagu.subscriptions.job import Job, bundle

if TYPE_CHECKING:
    from collections.abc import Callable

Key = tuple[str, str]


class _Held:
    """What is held of one subscription: the latest job of each entity. `ends` is the loop's time."""

    __slots__ = ("ends", "jobs", "timer")

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.ends = 0.0
        self.timer: asyncio.TimerHandle | None = None


class Throttles:
    """Holds back jobs of subscriptions with `throttling`. `release` gets what may go, `superseded` what is not told.

    What may be held for longer than `patience` seconds is given to `keep`, which writes it down: the watermark must not
    wait for it.
    """

    def __init__(
        self,
        release: Callable[[Job], None],
        superseded: Callable[[Job], None],
        keep: Callable[[Job], None],
        *,
        patience: float,
    ) -> None:
        self._release = release
        self._superseded = superseded
        self._keep = keep
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._held: dict[Key, _Held] = {}

    def offer(self, job: Job) -> None:
        """Let a job go, or hold it until the interval is over."""
        key = job.subscription.key
        held = self._held.get(key)
        if held is None:
            held = self._held[key] = _Held()
        now = self._loop.time()
        if held.timer is None and now >= held.ends:
            self._start(held, job.subscription.throttling, key)
            self._release(bundle([job]))
            return
        older = held.jobs.pop(job.lane, None)
        if older is not None:
            self._superseded(older)
        held.jobs[job.lane] = job
        if job.row is None and job.subscription.throttling > self._patience:
            self._keep(job)

    def _start(self, held: _Held, seconds: float, key: Key) -> None:
        held.ends = self._loop.time() + seconds
        held.timer = self._loop.call_later(seconds, self._over, key)

    def _over(self, key: Key) -> None:
        held = self._held[key]
        held.timer = None
        if not held.jobs:
            del self._held[key]
            return
        jobs = sorted(held.jobs.values(), key=lambda job: job.seq)
        held.jobs = {}
        self._start(held, jobs[-1].subscription.throttling, key)
        self._release(bundle(jobs))

    def take(self, key: Key, *, forget: bool) -> list[Job]:
        """Return what is held of a subscription, and hold it no more; `forget` the interval, too."""
        held = self._held.get(key)
        if held is None:
            return []
        jobs, held.jobs = sorted(held.jobs.values(), key=lambda job: job.seq), {}
        if forget:
            if held.timer is not None:
                held.timer.cancel()
            del self._held[key]
        return jobs

    def take_all(self) -> list[Job]:
        """Return all that is held, for an end of the process."""
        return [job for key in list(self._held) for job in self.take(key, forget=True)]

    def __len__(self) -> int:
        return sum(len(held.jobs) for held in self._held.values())
