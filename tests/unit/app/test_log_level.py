"""The log level that all processes of a broker share."""

from __future__ import annotations

import pytest
import structlog

from tests.adapters.memory import MemoryCatalogue
from tsunagu.app.log_level import SharedLogLevel
from tsunagu.app.logs import LogLevel


async def test_a_change_in_one_process_reaches_the_others() -> None:
    """By the announcement of the catalogue."""
    catalogue = MemoryCatalogue()
    one, other = (SharedLogLevel(LogLevel("info"), catalogue) for _ in range(2))  # type: ignore[arg-type]
    await one.change("debug")
    assert (one.name, other.name) == ("debug", "debug")
    await other.change("error")
    assert (one.name, other.name) == ("error", "error")


def test_what_is_less_severe_is_dropped() -> None:
    """From the moment on at which the level is set."""
    level = LogLevel("info")
    assert level.filter(None, "info", {"event": "x"}) == {"event": "x"}
    level.set("warning")
    with pytest.raises(structlog.DropEvent):
        level.filter(None, "info", {"event": "x"})
    assert level.filter(None, "exception", {"event": "x"}) == {"event": "x"}
