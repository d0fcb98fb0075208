"""A message on its way through the pipeline, and the readings in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from tsunagu.adapters.errors import AdapterFault, DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tsunagu.adapters.devices.plan import Plan
    from tsunagu.adapters.message import Message, Reading
    from tsunagu.adapters.sink import EntityUpdate
    from tsunagu.adapters.time_policy import Stamp

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Item:
    """A reading on its way: whose it is, when it was taken, what it becomes."""

    reading: Reading
    plan: Plan | None = None
    stamp: Stamp | None = None
    updates: list[EntityUpdate] = field(default_factory=list)


@dataclass(slots=True)
class Work:
    """A message on its way; `error` once a step could not take it; `undo` takes back what reduce remembered.

    `discard` says that a failed message is not to be kept; `written` and `set_aside` what a commit has done already.
    """

    message: Message
    items: list[Item] = field(default_factory=list)
    tenant: str = ""
    error: DeviceError | None = None
    undo: list[Callable[[], None]] = field(default_factory=list)
    discard: bool = False
    written: bool = False
    set_aside: bool = False


def fail(one: Work, error: Exception) -> None:
    """Have a message carry its error; one that is not a DeviceError is a fault of ours and is logged as such."""
    if isinstance(error, DeviceError):
        one.error = error
    else:
        log.error("fault while handling a device message", format=one.message.format, exc_info=error)
        one.error = AdapterFault(
            f"a fault of the broker: {type(error).__name__}; the message is kept in the quarantine"
        )


def by_tenant(work: Sequence[Work]) -> list[tuple[str, list[EntityUpdate], list[Work]]]:
    """Return (tenant, updates, the work each comes from) for what is to be written."""
    grouped: dict[str, tuple[list[EntityUpdate], list[Work]]] = {}
    for one in work:
        if one.error is not None or one.written:
            continue
        for item in one.items:
            if item.updates:
                updates, sources = grouped.setdefault(one.tenant, ([], []))
                updates.extend(item.updates)
                sources.extend([one] * len(item.updates))
    return [(tenant, updates, sources) for tenant, (updates, sources) in grouped.items()]
