"""Leases: which process is alive, who looks after what a dead one left, and who runs the timers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Home:
    """Where a process runs: the machine and its process namespace, the process id there, and when that was started."""

    machine: str
    pid: int
    started: int


class Leases(Protocol):
    """Writers (one per process and start) register, renew, and are found dead when they do not.

    Time is the store's, so that clocks of machines may differ. All methods raise Unavailable when the store is away.
    """

    async def register(self, writer: str, home: Home, seconds: float) -> None:
        """Say that a writer is alive for so long."""

    async def renew(self, writer: str, seconds: float) -> bool:
        """Prolong a writer's lease, and those it has taken over; False if it is not registered any more."""

    async def take(self, heir: str, seconds: float, *, overdue: bool, dead: str | None = None) -> str | None:
        """Take one writer over, and return its id; None if there is none. Of several heirs only one gets it.

        What may be taken: who handed over; with `overdue`, who did not renew in time; and the writer `dead`.
        """

    async def homes(self) -> dict[str, Home]:
        """Return where the writers run that are registered and not taken over, by their ids."""

    async def hand_over(self, writer: str) -> None:
        """Say that a writer ends and leaves something to be done: whoever comes first may take it."""

    async def remove(self, writer: str) -> None:
        """Remove a writer that left nothing."""

    async def hold(self, role: str, writer: str, seconds: float) -> bool:
        """Get or keep a role that only one writer at a time may have; tell whether this one has it."""

    async def release(self, role: str, writer: str) -> None:
        """Give a role up."""
