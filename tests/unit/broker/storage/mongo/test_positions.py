"""Surveys: positions in the order of ids stay exact, whatever comes and goes."""

from __future__ import annotations

import asyncio
from bisect import bisect_right, insort
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsunagu.broker.storage.mongo import positions as module
from tsunagu.broker.storage.mongo.positions import Survey


class Index:
    """An index in memory that answers the two commands of a survey."""

    def __init__(self, ids: list[str]) -> None:
        self.ids = sorted(ids)
        self.counted = 0

    async def find(self, command: dict[str, Any]) -> list[dict[str, Any]]:
        await asyncio.sleep(0)
        after = command["filter"].get("_id", {}).get("$gt", "")
        rest = self.ids[bisect_right(self.ids, after) :]
        return [{"_id": one} for one in rest[command["skip"] : command["skip"] + command["limit"]]]

    async def count(self, query: dict[str, Any]) -> int:
        await asyncio.sleep(0)
        self.counted += 1
        bounds = query.get("_id", {})
        return sum(bounds.get("$gt", "") < one <= bounds["$lte"] for one in self.ids)


def page_start(index: Index, found: tuple[int, str] | None, offset: int) -> list[str]:
    """Return what a page at `offset` begins with, counted off from a position."""
    start, after = found or (0, "")
    return [one for one in index.ids if one > after][offset - start : offset - start + 3]


words = st.text(alphabet="abc", min_size=1, max_size=4)


@given(st.sets(words, max_size=60), st.lists(st.tuples(words, st.integers(0, 3)), max_size=25))
@settings(deadline=None)
def test_positions_are_exact_whatever_comes_and_goes(present: set[str], events: list[tuple[str, int]]) -> None:
    """From any position that a survey gives, counting off leads to the entity at the offset that was asked for."""

    async def run() -> None:
        index = Index(list(present))
        survey = Survey(None, find=index.find, count=index.count)
        making = asyncio.create_task(survey.make())
        for one, turns in events:
            for _ in range(turns):
                await asyncio.sleep(0)
            if one in index.ids:
                index.ids.remove(one)
            else:
                insort(index.ids, one)
            survey.changed([one])
        await making
        for offset in range(len(index.ids) + 2):
            found = await survey.nearest(offset)
            assert page_start(index, found, offset) == index.ids[offset : offset + 3]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "STRIDE", 4)
        patch.setattr(module, "DOUBLED_EVERY", 3)
        asyncio.run(run())


async def test_only_what_changed_is_counted_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change makes one stretch be counted once; too many changed stretches make the survey useless and old."""
    monkeypatch.setattr(module, "STRIDE", 10)
    index = Index([f"{number:04d}" for number in range(1000)])
    survey = Survey("T", find=index.find, count=index.count)
    await survey.make()
    assert await survey.nearest(509) == (500, "0499")
    survey.changed(["0201", "0202", "9999"])
    assert await survey.nearest(509) == (500, "0499")
    assert await survey.nearest(509) == (500, "0499")
    assert index.counted == 1
    survey.changed([f"{number:04d}" for number in range(0, 500, 20)])
    assert await survey.nearest(509) is None
    assert survey.old
    assert await survey.nearest(9) is None
