"""Says in the log how far a long work has come, so that whoever waits knows that it goes on."""

from __future__ import annotations

import time

import structlog

log = structlog.get_logger(__name__)

EVERY_SECONDS = 1.0


class Progress:
    """Counts what is done, and logs `event` with the count every second; works that take less are not mentioned."""

    def __init__(self, event: str) -> None:
        self._event = event
        self._count = 0
        self._said = time.monotonic()

    def made(self, more: int) -> None:
        """Say that so many more are done."""
        self._count += more
        now = time.monotonic()
        if now - self._said >= EVERY_SECONDS:
            self._said = now
            log.info(self._event, done=self._count)
