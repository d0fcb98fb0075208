"""A process that `tsunagu up` started: it dies with its parent, and is ended by its process id, nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tsunagu.up.ports import listens
from tsunagu.up.problem import UpError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PR_SET_PDEATHSIG = 1
POLL = 0.05  # seconds between two looks at a child
LOG_TAIL = 65536  # bytes of a log that are looked at
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Program:
    """What to run and how: its words, variables added to the environment, descriptors handed over, log file.

    `grace` is the time in seconds it has to end after SIGTERM; `to_terminal` lets its output pass to the person.
    """

    name: str
    argv: tuple[str, ...]
    log: Path
    environment: Mapping[str, str | None] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()
    grace: float = 20.0
    to_terminal: bool = False


class Child:
    """One program and, while it runs, its process; it can be started again after it ended."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """The process id while it runs, else None."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """How the last process ended (negative: by that signal), None while it runs or before it was started."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start the process in a session of its own, so that Ctrl-C reaches the parent alone. Raises UpError."""
        environment = os.environ | {key: value for key, value in self.program.environment.items() if value is not None}
        for key, value in self.program.environment.items():
            if value is None:
                environment.pop(key, None)
        parent = os.getpid()
        try:
            with self.program.log.open("ab") as log:
                self._log_start = log.tell()
                self._process = subprocess.Popen(  # noqa: S603 - the words are ours
                    self.program.argv,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=None if self.program.to_terminal else log,
                    stderr=log,
                    pass_fds=self.program.descriptors,
                    start_new_session=True,
                    preexec_fn=lambda: _die_with(parent),  # noqa: PLW1509 - this process has one thread
                )
        except OSError as error:
            raise UpError(f"cannot start {self.program.name} ({self.program.argv[0]}): {error.strerror}") from None

    async def wait(self) -> int:
        """Wait until the process ends; gives its exit code (negative: the signal that ended it)."""
        while (code := self.exit_code) is None:  # noqa: ASYNC110 - polling needs neither a thread nor a kernel of 5.3
            await asyncio.sleep(POLL)
        return code

    async def until_listening(self, port: int) -> None:
        """Wait until this very process listens on the TCP port, not another one that has it."""
        while (pid := self.pid) is None or not listens(pid, port):  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(POLL)

    async def stop(self) -> None:
        """Ask the process to end, wait for its grace, then kill it. Without a process it does nothing."""
        self.signal(signal.SIGTERM)
        try:
            if self._process is not None:
                async with asyncio.timeout(self.program.grace):
                    await self.wait()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self.wait()
        except asyncio.CancelledError:
            self.signal(signal.SIGKILL)
            raise

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this very process, if it still runs."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def log_lines(self) -> list[str]:
        """Give the lines that this process has written to its log (those in the last 64 KiB), without empty ones."""
        try:
            with self.program.log.open("rb") as log:
                log.seek(max(self._log_start, self.program.log.stat().st_size - LOG_TAIL))
                text = log.read().decode(errors="replace")
        except OSError:
            return []
        return [line.strip() for line in text.splitlines() if line.strip()]

    def last_words(self) -> str:
        """Give the last line of the log, at most 300 characters."""
        lines = self.log_lines()
        return lines[-1][:300] if lines else "it said nothing"


def _die_with(parent: int) -> None:
    """In the child, before exec: be sent SIGTERM when the parent is gone, however it went (Linux prctl(2))."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died between fork and prctl
        os._exit(1)
