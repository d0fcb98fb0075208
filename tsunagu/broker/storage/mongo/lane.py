"""One tenant's writes on their way into the store: what waits, what is in flight, who is to be answered."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from tsunagu.broker.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tsunagu.broker.errors import NgsiError
    from tsunagu.broker.storage.writes import Succession, Write


SPREAD = 4  # writes of an entity that a full group has on average, where as many wait
MOST_ENTITIES = 256  # in a group: while one is applied and encoded, MongoDB has nothing to do but what is in flight


class Ticket:
    """The answers that one caller waits for."""

    __slots__ = ("_succession", "answers", "future", "missing")

    def __init__(self, count: int, succession: Succession | None) -> None:
        self._succession = succession
        self.answers: list[Any | NgsiError] = [None] * count
        self.missing = count
        self.future: asyncio.Future[list[Any | NgsiError]] = asyncio.get_running_loop().create_future()

    def settle(self, position: int, answer: Any | NgsiError) -> None:
        """Put down one answer; the last one wakes the caller."""
        if self._succession is not None and isinstance(answer, Unavailable):
            self._succession.broken = True
        self.answers[position] = answer
        self.missing -= 1
        if not self.missing and not self.future.done():
            self.future.set_result(self.answers)


class Item:
    """One write that waits, with its place on a ticket; `settled` once it has its answer."""

    __slots__ = ("position", "settled", "ticket", "write")

    def __init__(self, write: Write, ticket: Ticket, position: int) -> None:
        self.write = write
        self.ticket = ticket
        self.position = position
        self.settled = False

    def settle(self, answer: Any | NgsiError) -> None:
        """Answer the caller."""
        self.settled = True
        self.ticket.settle(self.position, answer)


def settle_all(items: Iterable[Item], answer: Any | NgsiError) -> None:
    """Give those that have no answer yet this one."""
    for item in items:
        if not item.settled:
            item.settle(answer)


class Lane:
    """The queue of one tenant. No two groups in flight hold the same entity; the order per entity is kept."""

    def __init__(self, *, queue_limit: int) -> None:
        self._queue_limit = queue_limit
        self._waiting: deque[Item] = deque()
        self._busy: set[str] = set()
        self.in_flight = 0
        self.writes_in_flight = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, writes: Sequence[Write], succession: Succession | None = None) -> Ticket:
        """Queue writes. Raises Unavailable when too many wait already."""
        if len(self._waiting) + len(writes) > self._queue_limit and self._waiting:
            raise Unavailable(f"more than {self._queue_limit} writes are waiting; send again later", retry_after=1)
        ticket = Ticket(len(writes), succession)
        for position, write in enumerate(writes):
            self._waiting.append(Item(write, ticket, position))
        return ticket

    def take(self, limit: int) -> list[Item]:
        """Take the next group: at most `limit` writes of MOST_ENTITIES, none of an entity that is in flight.

        Where more wait than a group holds, those of few entities go together: they share one document update, and
        another group, of other entities, may be in flight beside.
        """
        group: list[Item] = []
        taken: set[str] = set()
        waiting, busy = self._waiting, self._busy
        few = limit // SPREAD if len(waiting) > limit else limit
        for entities in sorted({min(few, MOST_ENTITIES), MOST_ENTITIES}):
            passed: list[Item] = []
            while waiting and len(group) < limit and len(passed) < 8 * limit:
                item = waiting.popleft()
                entity_id = item.write.entity_id
                if entity_id in taken or (len(taken) < entities and entity_id not in busy):
                    group.append(item)
                    taken.add(entity_id)
                else:
                    passed.append(item)
            waiting.extendleft(reversed(passed))
        if group:
            busy |= taken
            self.in_flight += 1
            self.writes_in_flight += len(group)
        return group

    def done(self, group: list[Item]) -> None:
        """Say that a group has ended, well or not."""
        self._busy.difference_update(item.write.entity_id for item in group)
        self.in_flight -= 1
        self.writes_in_flight -= len(group)

    def refuse_all(self, error: NgsiError) -> None:
        """Answer everything that waits with an error."""
        while self._waiting:
            self._waiting.popleft().settle(error)
