"""Leases: which processes write, where they run, whether they live, and which of them delivers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True, slots=True)
class Home:
    """Where a process runs: the machine and its process namespace, the process id there, and when that was started."""

    machine: str
    pid: int
    started: int


@dataclass(frozen=True, slots=True)
class Writer:
    """A registered writer: where it runs, the UDP port of 127.0.0.1 that it is called at, and how it is.

    `overdue`: it did not renew in time; `ended`: it said that it commits nothing more; `seen`: which writer said that
    it follows this one, "" if none did.
    """

    home: Home
    port: int
    overdue: bool
    ended: bool
    seen: str


class Leases(Protocol):
    """Writers (one per process and start) register, renew, and are found overdue when they do not.

    Time is the store's, so that clocks of machines may differ. All methods raise Unavailable when the store is away.
    """

    async def register(self, writer: str, home: Home, port: int, seconds: float) -> None:
        """Say that a writer is alive for so long."""

    async def renew(self, writer: str, seconds: float) -> bool:
        """Prolong a writer's lease; False if it is not registered any more."""

    async def writers(self) -> dict[str, Writer]:
        """Return all registered writers by their ids."""

    async def see(self, writers: Collection[str], by: str) -> None:
        """Say that a writer follows these."""

    async def end(self, writer: str) -> None:
        """Say that a writer commits nothing more, and has left something to be delivered."""

    async def remove(self, writer: str) -> None:
        """Remove a writer that left nothing."""

    async def hold(
        self, role: str, writer: str, seconds: float, *, overdue: bool = True, over: Collection[str] = ()
    ) -> str:
        """Get or keep a role that one writer at a time may have; return whose it is then.

        What may be taken: a free role; one held by a writer in `over`; with `overdue`, one not renewed in time.
        """

    async def release(self, role: str, writer: str) -> None:
        """Give a role up."""
