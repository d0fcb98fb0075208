"""The order of an entity's versions, restored where its changes come from several processes.

A change goes on at once when the version before it has gone on. Where that is not known (the entity was not met yet, or
another process made the version between) the change waits until nothing can come before it any more: until a look into
the other writers' logs that began after it came has ended, and every commit of this process that was open then is
settled. Whatever is before it was committed before it, so one of the two has brought it.
"""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tsunagu.broker.changes import Change

VERSIONS_KEPT = 100_000


class _Waiting:
    """A change that waits; `opens`: this process's commits that have to be settled, None before the first look."""

    __slots__ = ("change", "opens", "read", "version")

    def __init__(self, change: Change, *, read: bool) -> None:
        self.change = change
        self.version = change.version
        self.read = read
        self.opens: frozenset[int] | None = None

    def __lt__(self, other: _Waiting) -> bool:
        return self.version < other.version


class Sequence:
    """The changes of one tenant. `go` gets each in order, and whether it was read from a log.

    `opens` returns the numbers of this process's commits that are not settled yet.
    """

    def __init__(self, go: Callable[[Change, bool], None], opens: Callable[[], frozenset[int]]) -> None:
        self._go = go
        self._opens = opens
        self._versions: dict[str, int] = {}
        self._older: dict[str, int] = {}
        self._waiting: dict[str, list[_Waiting]] = {}

    @property
    def waiting(self) -> int:
        """How many entities have changes that wait."""
        return len(self._waiting)

    def offer(self, change: Change, *, read: bool, sure: bool = False) -> bool:
        """Take a change, `read` from a log or just committed; tell whether it went on.

        `sure`: it is known that nothing before it is still to come.
        """
        if sure or self._follows(change):
            self._pass(change, read=read)
            self._advance(change.entity_id)
            return True
        insort(self._waiting.setdefault(change.entity_id, []), _Waiting(change, read=read))
        return False

    def _follows(self, change: Change) -> bool:
        entity = change.entity_id
        last = self._versions.get(entity) or self._older.get(entity)
        return last is not None and change.version <= last + 1

    def _pass(self, change: Change, *, read: bool) -> None:
        entity = change.entity_id
        last = self._versions.get(entity, 0)
        if len(self._versions) >= VERSIONS_KEPT and not last:
            self._older, self._versions = self._versions, {}
        self._versions[entity] = max(last, change.version)
        self._go(change, read)

    def _advance(self, entity: str, opens: frozenset[int] | None = None) -> None:
        """Let the first changes of an entity go that follow, or that nothing can come before any more.

        `opens`: the commits that are not settled, None while that is not asked.
        """
        while queue := self._waiting.get(entity):
            one = queue[0]
            settled = opens is not None and one.opens is not None and not one.opens & opens
            if not settled and not self._follows(one.change):
                return
            del queue[0]
            if not queue:
                del self._waiting[entity]
            self._pass(one.change, read=one.read)

    def look(self) -> None:
        """Note what is open, before the other writers' logs are read."""
        opens = self._opens()
        for queue in self._waiting.values():
            for one in queue:
                if one.opens is None:
                    one.opens = opens

    def release(self) -> None:
        """Let go what waited when `look` was called, after the logs were read, as far as no commit is in its way."""
        opens = self._opens()
        for entity in list(self._waiting):
            self._advance(entity, opens)
