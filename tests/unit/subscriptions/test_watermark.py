"""The marks of what is dealt with: when they are written, and what is kept when that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from tsunagu.broker.errors import Unavailable
from tsunagu.subscriptions.watermark import Marks

if TYPE_CHECKING:
    from collections.abc import Callable

    from tsunagu.broker.changes import ChangeLog


class Log:
    """Takes watermarks down; `meanwhile` runs while one is written."""

    def __init__(self) -> None:
        self.moved: list[tuple[str, str, int]] = []
        self.meanwhile: Callable[[], None] = lambda: None

    async def move_watermark(self, tenant: str, writer: str, number: int) -> None:
        """Take down a watermark."""
        self.meanwhile()
        self.moved.append((tenant, writer, number))


def marks_of(log: Log) -> Marks:
    """Return marks that nobody writes by themselves."""
    return Marks(cast("ChangeLog", log), interval=3600)


async def test_what_moves_while_marks_are_written_waits_for_the_next_time() -> None:
    """One writing writes each mark once, however fast changes come."""
    log = Log()
    marks = marks_of(log)
    mark = marks.of("", "w1")
    marks.of("town", "w1").passed(7)
    mark.passed(1)
    log.meanwhile = lambda: mark.passed(mark.last + 1)
    await marks.write()
    assert log.moved == [("town", "w1", 7), ("", "w1", 2)]
    log.meanwhile = lambda: None
    await marks.write()
    assert log.moved[2:] == [("", "w1", 3)]
    await marks.close()


async def test_a_mark_that_could_not_be_written_is_written_the_next_time() -> None:
    """While the store is away marks are kept, the one that failed and those behind it."""
    log = Log()
    marks = marks_of(log)
    marks.of("", "w1").passed(1)
    marks.of("town", "w1").passed(2)

    def away() -> None:
        raise Unavailable("away")

    log.meanwhile = away
    with pytest.raises(Unavailable):
        await marks.write()
    log.meanwhile = lambda: None
    await marks.write()
    assert sorted(log.moved) == [("", "w1", 1), ("town", "w1", 2)]
    await marks.close()


async def test_a_mark_that_is_dropped_while_others_are_written_is_not_written() -> None:
    """A writer whose log has been dealt with is forgotten at once."""
    log = Log()
    marks = marks_of(log)
    marks.of("", "w1").passed(1)
    marks.of("", "gone").passed(2)
    log.meanwhile = lambda: marks.drop("gone")
    await marks.write()
    assert log.moved == [("", "w1", 1)]
    await marks.close()
