"""Structured logs: one line of JSON (or of text, for people) an event, on standard output."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

    from tsunagu.broker.settings import Settings


LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


class LogLevel:
    """The least severe level that this process logs; `name` is one of LEVELS and may be changed while it runs."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._least = LEVELS[name]

    def set(self, name: str) -> None:
        """Log this level and what is more severe from now on; libraries' own records from warnings on."""
        self.name, self._least = name, LEVELS[name]
        logging.getLogger().setLevel(max(self._least, logging.WARNING))

    def filter(self, _logger: object, method: str, event: EventDict) -> EventDict:
        """Let an event through if it is severe enough (a structlog processor)."""
        if LEVELS.get(method, logging.ERROR) < self._least:
            raise structlog.DropEvent
        return event


def configure_logs(settings: Settings) -> LogLevel:
    """Set up the logs of this process as the settings say; return the level, which may be changed later."""
    level = LogLevel(settings.log_level)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[level.filter, *shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    processors: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=processors, foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    level.set(settings.log_level)
    return level
