"""Keeps processes running in stages: starts them in order, brings back what died, stops them in the reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tsunagu.up.child import Child, Program
from tsunagu.up.problem import UpError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

FIRST_PAUSE = 0.5  # seconds before the first restart
LONGEST_PAUSE = 30.0
STEADY = 60.0  # a process that ran this many seconds starts with the first pause again


class Stage(enum.IntEnum):
    """Order of the stages: a later one needs the earlier ones."""

    STORE = 1
    MQTT = 2
    BROKER = 3
    STORY = 4


@dataclass(frozen=True, slots=True)
class Job:
    """A program, its stage, how to know that it is ready, and how to explain its early end in one line.

    `progress` gives what changes while a long start goes on: then the patience begins anew.
    """

    program: Program
    stage: Stage
    ready: Callable[[Child], Awaitable[object]]
    explain: Callable[[Child], str]
    patience: float = 30.0  # seconds to become ready
    progress: Callable[[Child], object] = lambda _: None


@dataclass(slots=True)
class Supervisor:
    """Owner of every process and of the tasks that watch them; `tell` receives a line for the person."""

    tell: Callable[[str], None]
    first_pause: float = FIRST_PAUSE
    _children: list[tuple[Stage, Child]] = field(default_factory=list)
    _keepers: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self, job: Job) -> Child:
        """Start a program, wait until it is ready, and keep it running from then on.

        Raises UpError when it ends before it is ready, or is not ready in time.
        """
        child = Child(job.program)
        self._children.append((job.stage, child))
        child.start()
        await self._until_ready(job, child)
        self._keepers.append(asyncio.create_task(self._keep(job, child), name=f"keep {job.program.name}"))
        return child

    async def stop(self) -> None:
        """Stop everything, latest stage first, each stage at once; returns when every process has ended."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers.clear()
        for stage in sorted(Stage, reverse=True):
            await asyncio.gather(*(child.stop() for at, child in self._children if at is stage))

    def kill(self) -> None:
        """Kill what still runs, at once: the person asked a second time."""
        for _, child in self._children:
            child.signal(signal.SIGKILL)

    async def _until_ready(self, job: Job, child: Child) -> None:
        ready = asyncio.ensure_future(job.ready(child))
        ended = asyncio.ensure_future(child.wait())
        try:
            before = None
            while True:
                await asyncio.wait((ready, ended), timeout=job.patience, return_when=asyncio.FIRST_COMPLETED)
                if ready.done():
                    ready.result()
                    return
                if ended.done():
                    raise UpError(job.explain(child))
                now = job.progress(child)
                if now == before:
                    break
                before = now
            raise UpError(
                f"{job.program.name} was not ready within {job.patience:.0f} s: see {job.program.log}, which ends: "
                f"{child.last_words()}"
            )
        finally:
            for task in (ready, ended):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task

    async def _keep(self, job: Job, child: Child) -> None:
        """Wait for the end of the process and start it again, each time after a longer pause."""
        pause = self.first_pause
        while True:
            since = time.monotonic()
            code = await child.wait()
            if time.monotonic() - since > STEADY:
                pause = self.first_pause
            self.tell(
                f"{job.program.name} ended ({_how(code)}); starting it again in {pause:g} s, log: {job.program.log}"
            )
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            try:
                child.start()
                await self._until_ready(job, child)
            except UpError as problem:
                self.tell(str(problem))
            else:
                self.tell(f"{job.program.name} is back")


def _how(code: int) -> str:
    """Put an exit code into words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"
