"""What the operations hand to the store: one write to one entity, decided on the document that is there.

The store applies writes in groups (architecture, "The one idea"): it reads the documents of the group's entities,
applies each write in arrival order in memory, and commits documents and log records in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from asyncio import Future

    from tsunagu.broker.changes import Document, Touch
    from tsunagu.broker.errors import NgsiError


# An attribute instance that belongs to the history alone: stored attribute name, instance (None: only deleted), its
# TIMES (None: those of the write). TIMES with "d", deletedAt, say that it was deleted then.
Late = tuple[str, "dict[str, Any] | None", "dict[str, Any] | None"]


@dataclass(slots=True)
class Outcome:
    """What a write makes of a document.

    `after` is the new document, None for a deletion, or the very object it was given when nothing changes.
    The store sets its version. `touched` names the attribute instances that the write touched, `answer` is handed
    back to the caller. `late` has what belongs to the history but not to the current state: it was observed before what
    is there, or the current state does not concern it. `types` are the entity's types (IRIs) if it has no current
    state.
    """

    after: Document | None
    touched: tuple[Touch, ...] = ()
    answer: Any = None
    late: tuple[Late, ...] = ()
    types: list[str] | None = None


Apply = Callable[["Document | None", int], Outcome]


@dataclass(slots=True)
class Write:
    """One write to one entity.

    `apply(before, now)` is pure: it gets the current document (None: there is none) and the time (epoch ms UTC),
    must not alter `before`, and raises an NgsiError to refuse, which fails this write alone.
    `receipt` makes the write idempotent: of several writes with the same receipt only the first takes effect;
    `fresh` says that the sender vouches for this being the first time: the receipt is noted, but not looked for.
    `history` False keeps the change out of the temporal record (device heartbeats).
    `meta` is kept with the change in the log.
    """

    entity_id: str
    apply: Apply
    receipt: str | None = None
    fresh: bool = False
    history: bool = True
    meta: dict[str, Any] | None = None


DUPLICATE = object()
"""The answer of a write whose receipt the store had already."""


class Succession(Protocol):
    """Writes of one sender that must not overtake each other, though several are under way.

    Once one of them could not be taken (Unavailable), none that follows is taken either, until the sender, who knows
    what is missing, has put `broken` back.
    """

    broken: bool


class Writer(Protocol):
    """The write side of the store."""

    def queue(
        self, tenant: str, writes: Sequence[Write], *, succession: Succession | None = None
    ) -> Future[list[Any | NgsiError]]:
        """Queue writes, in this order, before it returns; the future gives for each its answer or its error, in order.

        Raises Unavailable when the store cannot take them now.
        """

    async def submit(self, tenant: str, write: Write) -> Any:
        """Commit one write and return its answer once it is durable.

        Raises the write's own NgsiError, or Unavailable when the store cannot take it now.
        """

    async def submit_all(self, tenant: str, writes: Sequence[Write]) -> list[Any | NgsiError]:
        """Commit several writes; return for each its answer or its error, in order."""
