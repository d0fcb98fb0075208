"""The end of background tasks."""

from __future__ import annotations

import asyncio

from tsunagu import background


async def test_a_task_that_loses_its_cancellation_is_cancelled_again() -> None:
    """A loop whose first cancellation is swallowed, as by wait_for, ends all the same."""
    lost = 0

    async def stubborn() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if lost:
                    raise
                lost += 1

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await background.end(task)
    assert task.cancelled()
    assert lost == 1


async def test_tasks_that_have_ended_or_fail_are_no_hindrance() -> None:
    """Done, failing and no tasks at all: `end` returns, and no exception comes out of it."""

    async def failing() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise ValueError("in the way")

    done = asyncio.create_task(asyncio.sleep(0))
    await done
    task = asyncio.create_task(failing())
    await asyncio.sleep(0)
    await background.end(done, task)
    assert isinstance(task.exception(), ValueError)
    await background.end()
