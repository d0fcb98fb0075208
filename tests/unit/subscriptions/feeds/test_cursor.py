"""Where a reader of the whole log stands, and the text that says so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsunagu.broker.changes import Position
from tsunagu.broker.errors import BadRequestData
from tsunagu.subscriptions.feeds.cursor import RUNS_TOLD, SLACK, Cursor, parse_cursor

WRITERS = st.text("0123456789abcdef", min_size=12, max_size=12)


@given(st.dictionaries(WRITERS, st.lists(st.integers(1, 80), max_size=90), max_size=4), st.integers(0, 2**30))
def test_text_and_back(numbers: dict[str, list[int]], start: int) -> None:
    """A cursor that was written down and read again misses what it missed, and repeats little or nothing."""
    cursor = Cursor(1_795_000_000_000, {writer: Position(start) for writer in numbers}, now=0.0)
    for writer, some in numbers.items():
        for number in some:
            cursor.passed(writer, start + number, 0.0)
    read = parse_cursor(str(cursor), now=0.0)
    assert read.at == cursor.at
    for writer, gaps in cursor.gaps.items():
        missing = set(gaps.missing) | set(range(gaps.last + 1, start + 100))
        again = {number for number in range(start + 1, start + 100) if read.passed(writer, number, 0.0)}
        assert missing <= again
        runs = sum(number + 1 not in gaps.missing for number in gaps.missing)
        assert runs > RUNS_TOLD or missing == again


def test_a_commit_that_was_given_up_is_a_run() -> None:
    """Numbers that a commit left unused are told as one run, so that nothing above them is repeated."""
    cursor = Cursor(1, {"w": Position(5)}, now=0.0)
    for number in (70, 71, 73):
        cursor.passed("w", number, 0.0)
    assert str(cursor) == "1.w-49_1_4x3f"
    assert parse_cursor(str(cursor), now=0.0).gaps["w"].missing == cursor.gaps["w"].missing


def test_who_ended_is_named_no_more() -> None:
    """A writer that neither runs nor was heard of for a while is left out, so that the text stays short."""
    cursor = Cursor(1, {"old": Position(5), "alive": Position(6)}, now=0.0)
    cursor.meet({"alive": 9, "new": 0}, SLACK + 1)
    cursor.settle(2, SLACK + 1)
    assert str(cursor) == "2.alive-6.new-0"


def test_a_copy_goes_its_own_way() -> None:
    """A copied cursor knows the same gaps, and moves without the first one."""
    cursor = Cursor(1, {"w": Position(5)}, now=0.0)
    cursor.passed("w", 7, 0.0)
    other = cursor.copy()
    assert not other.passed("w", 7, 0.0)
    assert other.passed("w", 6, 0.0)
    assert (str(cursor), str(other)) == ("1.w-7_1", "1.w-7")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "1.w",
        "1.w-",
        "1.w-g",
        "1.w-1_",
        "1.w-1" + "_1" * 33,
        "1..w-1",
        "1.w-1 ",
        "1" * 13,
        "1." + "w" * 65 + "-1",
    ],
)
def test_rubbish_is_refused(text: str) -> None:
    """What is no cursor is refused by the name of its header."""
    with pytest.raises(BadRequestData, match="Last-Event-ID"):
        parse_cursor(text, now=0.0)
