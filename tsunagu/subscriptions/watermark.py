"""Which changes of a writer are dealt with: delivered, parked, or of no interest to anybody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from tsunagu.broker.errors import NgsiError

if TYPE_CHECKING:
    from tsunagu.broker.changes import ChangeLog

log = structlog.get_logger(__name__)

RETRY_SECONDS = 1.0


class Mark:
    """The open changes of one writer in one tenant; `value` is the number up to which nothing is open.

    Where numbers of another process's log have not turned up yet, `floor` keeps the value below them.
    """

    __slots__ = ("_marks", "floor", "last", "open", "tenant", "writer", "written")

    def __init__(self, marks: Marks, tenant: str, writer: str) -> None:
        self._marks = marks
        self.tenant = tenant
        self.writer = writer
        self.last = 0
        self.floor: int | None = None
        self.written = 0
        self.open: dict[int, Ticket] = {}

    def passed(self, number: int) -> None:
        """Say that all changes up to `number` were looked at, as far as they were handed over."""
        if number > self.last:
            self.last = number
        else:
            self.written = 0  # out of order: the log may have held the mark below what was written
        self._marks.moved(self)

    def ticket(self, number: int, parts: int) -> Ticket:
        """Open a change that has to be delivered `parts` times."""
        ticket = self.open[number] = Ticket(self, number, parts)
        return ticket

    def hold(self, number: int) -> None:
        """Keep a change open until it was looked at."""
        self.open[number] = Ticket(self, number, 1)

    def close(self, number: int) -> None:
        """Say that one open change is dealt with."""
        self.open.pop(number, None)
        self._marks.moved(self)

    @property
    def value(self) -> int:
        """The highest number with everything at or below it dealt with."""
        value = min(self.open) - 1 if self.open else self.last
        return value if self.floor is None else min(value, self.floor)


class Ticket:
    """One change that is still to be delivered to `parts` subscriptions."""

    __slots__ = ("mark", "number", "parts")

    def __init__(self, mark: Mark, number: int, parts: int) -> None:
        self.mark = mark
        self.number = number
        self.parts = parts

    def done(self) -> None:
        """Say that the change is delivered to, or parked for, one subscription."""
        self.parts -= 1
        if not self.parts:
            self.mark.close(self.number)


class Marks:
    """The marks of all writers and tenants that this process delivers for; written every `interval` seconds."""

    def __init__(self, changes: ChangeLog, *, interval: float) -> None:
        self._changes = changes
        self._interval = interval
        self._marks: dict[tuple[str, str], Mark] = {}
        self._dirty: dict[Mark, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    def of(self, tenant: str, writer: str) -> Mark:
        """Return the mark of a writer in a tenant."""
        mark = self._marks.get((tenant, writer))
        if mark is None:
            mark = self._marks[(tenant, writer)] = Mark(self, tenant, writer)
        return mark

    def moved(self, mark: Mark) -> None:
        """Note that a mark may have moved; it is written soon."""
        self._dirty[mark] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._interval, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_some(), name="watermarks")
        else:
            self._timer = asyncio.get_running_loop().call_later(self._interval, self._tick)

    async def _write_some(self) -> None:
        try:
            await self.write()
        except NgsiError as error:
            log.warning("watermark_not_written", reason=error.detail)
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(RETRY_SECONDS, self._tick)

    async def write(self) -> None:
        """Write all marks that have moved until now. Raises Unavailable when the store is away; they are kept then.

        A mark that moves meanwhile waits for its turn: under load that would go on for ever.
        """
        async with self._lock:
            for mark in list(self._dirty):
                if mark not in self._dirty:  # dropped meanwhile
                    continue
                del self._dirty[mark]
                value = mark.value
                if value <= mark.written:
                    continue
                mark.written = value
                try:
                    await self._changes.move_watermark(mark.tenant, mark.writer, value)
                except BaseException:
                    mark.written = 0
                    self._dirty[mark] = None
                    raise

    async def settle(self) -> None:
        """Write every mark once more, also where it was written before; at the end of a process."""
        for mark in self._marks.values():
            mark.written = 0
            self._dirty[mark] = None
        await self.write()

    def outstanding(self, writer: str) -> int:
        """Return how many changes of a writer are open in all tenants."""
        return sum(len(mark.open) for (_, one), mark in self._marks.items() if one == writer)

    def drop(self, writer: str) -> None:
        """Forget a writer whose log has been dealt with."""
        for key in [key for key in self._marks if key[1] == writer]:
            self._dirty.pop(self._marks.pop(key), None)

    def clear(self) -> None:
        """Forget all marks: another process moves them now, or this one begins anew."""
        self._marks.clear()
        self._dirty.clear()

    async def close(self) -> None:
        """Stop writing by itself."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)
