"""The end of background tasks: whoever started one waits here until it is over."""

from __future__ import annotations

import asyncio
from typing import Any

AGAIN_SECONDS = 0.5


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until all have ended, whatever they end with.

    A cancellation can be lost: `asyncio.wait_for` of Python 3.11, which the database driver connects with, swallows one
    that comes in the same turn of the event loop as its result. A loop that tries again for ever would then go on for
    ever; so whoever has not ended is cancelled again. A task that must finish something when it is cancelled is not for
    this function: tell it to stop and wait for it, as the MQTT door does with its pump.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        ended, left = await asyncio.wait(left, timeout=AGAIN_SECONDS)
        for task in ended:
            if not task.cancelled():
                task.exception()  # taken note of, so that the event loop does not complain
