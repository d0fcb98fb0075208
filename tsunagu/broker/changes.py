"""A change: what one write did to one entity, and the contract of the log that keeps it.

The log is the outbox of the notifications and the history of the entities at the same time
(docs: architecture, "The one idea"). A change is identified by its writer (one per process and start)
and a number that only grows per writer and tenant.

Changes and touches are named tuples: frozen dataclasses take two to three times as long to make, and every write
makes some. A *document* here is an entity in its stored form, see `tsunagu.schemas.entity`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

Document = dict[str, Any]
UNTOLD = "late"
"""A member of a change's meta: it came too late for anybody to be told, except by a replay."""
ChangeKind = Literal["created", "updated", "deleted"]
Deed = Literal["created", "updated", "deleted"]
Key = tuple[str, int]
TOUCHES_KEPT = 5_000


class Touch(NamedTuple):
    """One attribute instance that a change touched.

    `attribute` is the stored (expanded, escaped) name, `dataset_id` None for the default instance.
    """

    attribute: str
    deed: Deed
    dataset_id: str | None = None


class _Touches(dict[str, Touch]):
    """The touches of default instances with one deed, by attribute, each made once; emptied when there are many."""

    def __init__(self, deed: Deed) -> None:
        super().__init__()
        self._deed = deed

    def __missing__(self, name: str) -> Touch:
        if len(self) >= TOUCHES_KEPT:
            self.clear()
        touch = self[name] = Touch(name, self._deed)
        return touch


TOUCHES: dict[Deed, dict[str, Touch]] = {deed: _Touches(deed) for deed in ("created", "updated", "deleted")}
"""The touch of an attribute's default instance, by deed and attribute: looking one up costs a fifth of making one."""


def all_touched(document: Document, deed: Deed) -> tuple[Touch, ...]:
    """Return the touches of all attribute instances of a document, all with one deed."""
    found: list[Touch] = []
    usual = TOUCHES[deed]
    for name, value in document["attrs"].items():
        if type(value) is not dict:
            found.extend([Touch(name, deed, one.get("datasetId")) for one in value])
        elif "datasetId" in value:
            found.append(Touch(name, deed, value["datasetId"]))
        else:
            found.append(usual[name])
    return tuple(found)


class Change(NamedTuple):
    """What one intent did to one entity: the whole documents before and after it, and what it touched.

    `before` is None for a creation, `after` is None for a deletion. Neither may be altered by a reader.
    `at` is epoch milliseconds UTC. `meta` travels with the log record: `replay`, UNTOLD and origin marks.
    """

    tenant: str
    writer: str
    number: int
    entity_id: str
    kind: ChangeKind
    at: int
    before: Document | None
    after: Document | None
    touched: tuple[Touch, ...]
    meta: dict[str, Any] | None = None

    @property
    def key(self) -> str:
        """The identity of the change as text, for ids derived from it."""
        return f"{self.writer}-{self.number}"

    @property
    def version(self) -> int:
        """The version of the entity after the change; for a deletion, one more than the deleted one."""
        if self.after is not None:
            return int(self.after["v"])
        assert self.before is not None
        return int(self.before["v"]) + 1


class ChangeListener(Protocol):
    """Whoever wants changes as they are committed: the dispatcher, a live feed."""

    def committed(self, changes: Sequence[Change]) -> None:
        """Take changes of one tenant in commit order. Called on the event loop after the commit; must not block."""


class Listeners:
    """Several listeners as one; each hears of everything, in the order given."""

    def __init__(self, *listeners: ChangeListener) -> None:
        self._listeners = listeners

    def committed(self, changes: Sequence[Change]) -> None:
        """Hand changes of one tenant to each."""
        for listener in self._listeners:
            listener.committed(changes)


@dataclass(frozen=True, slots=True)
class Position:
    """How far a writer's log was read: every number up to `number`, but those that were `missing`."""

    number: int
    missing: tuple[int, ...] = ()


class ChangeLog(Protocol):
    """The durable log as its readers see it: delivery, replay, preview, audit."""

    def since(
        self, tenant: str, positions: Mapping[str, Position], *, late: bool = False
    ) -> AsyncIterator[Change | Key]:
        """Yield what was not read yet of the logs of these writers, as they were at one moment after the call.

        The changes of each entity come in the order of its versions, documents rebuilt. A record that is no change (of
        late history) is yielded as its key, or, if `late`, as an UNTOLD change under the entity's version.
        """

    def between(self, tenant: str, start: int, end: int) -> AsyncIterator[Change]:
        """Yield all changes with start <= at < end (epoch ms), per entity in order, documents rebuilt."""

    def latest(self, tenant: str, count: int) -> AsyncIterator[Change]:
        """Yield the last `count` changes, oldest first, documents rebuilt."""

    async def watermark(self, tenant: str, writer: str) -> int:
        """Return the number up to which every change of `writer` is delivered or parked; 0 if none is."""

    async def last(self, tenant: str, writer: str) -> int:
        """Return the highest number of `writer` in the log; 0 if there is none."""

    async def move_watermark(self, tenant: str, writer: str, number: int) -> None:
        """Say that every change of `writer` up to `number` is delivered or parked."""


class ChangeTail(Protocol):
    """The end of the log, followed over all writers: the live feed. All methods raise Unavailable."""

    async def ends(self, tenant: str, writers: Iterable[str]) -> dict[str, int]:
        """Return the highest number that each writer has in the log, 0 where there is none."""

    async def started(self, tenant: str, moment: int) -> list[str]:
        """Return the writers whose first change is not older than a time (epoch ms)."""

    def reader(self, tenant: str) -> TailReader:
        """Return a reader for one stream of changes."""


class TailReader(Protocol):
    """Reads on, again and again; keeps what it knows of entities from one reading to the next."""

    async def read(self, positions: Mapping[str, Position]) -> tuple[list[Change | Key], bool]:
        """Return some of what lies beyond the positions, and whether that is all there is now.

        The changes of each entity come in the order of its versions. What is no change, or not kept in the history, is
        returned as its key.
        """
