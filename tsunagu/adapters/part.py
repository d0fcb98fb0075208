"""A tenant's part of a batch on its way into the sink."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsunagu.adapters import metrics
from tsunagu.adapters.errors import EntityRefused
from tsunagu.adapters.sink import SinkUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from tsunagu.adapters.sink import EntityUpdate, Outcome, Sink, Succession
    from tsunagu.adapters.work import Work


class Part:
    """Updates of one tenant, and the work that each comes from; they are in the sink's queue once it is made."""

    def __init__(
        self,
        sink: Sink,
        tenant: str,
        updates: Sequence[EntityUpdate],
        sources: Sequence[Work],
        succession: Succession | None,
    ) -> None:
        self._updates = updates
        self._sources = sources
        self._written: Awaitable[list[Outcome]] | Exception
        try:
            self._written = sink.write(tenant, updates, succession=succession)
        except Exception as error:  # noqa: BLE001 - raised by whoever waits
            self._written = error
            if succession is not None:
                succession.broken = True

    async def settle(self) -> SinkUnavailable | None:
        """Wait until the updates are committed and note what became of them; return why they cannot be now."""
        try:
            if isinstance(self._written, Exception):
                raise self._written
            outcomes = await self._written
        except SinkUnavailable as unavailable:
            for update in self._updates:
                update.fresh = False  # some may have been committed: from now on their receipts are to be looked for
            return unavailable
        metrics.UPDATES.inc(len(self._updates))
        for outcome, source in zip(outcomes, self._sources, strict=True):
            source.written = True
            if outcome.status == "refused" and source.error is None:
                source.error = EntityRefused(outcome.reason)
        return None
