"""Reports of devices: upserts that never move the current state backwards."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tsunagu.broker.changes import UNTOLD
from tsunagu.broker.operations import patch
from tsunagu.broker.storage.writes import Outcome, Write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tsunagu.broker.changes import Document
    from tsunagu.broker.errors import NgsiError
    from tsunagu.broker.storage.writes import Writer
    from tsunagu.schemas.entity import Expanded


@dataclass(frozen=True, slots=True)
class Report:
    """What a device says about an entity, in expanded form.

    `static` has attributes that describe the device: written only where they differ from what is there.
    `receipt`, `fresh` and `history` are those of `storage.writes.Write`. `late`: no subscription is told.
    """

    entity: Expanded
    static: Expanded | None = None
    receipt: str | None = None
    fresh: bool = False
    history: bool = True
    late: bool = False


class Reports:
    """Takes reports in; each stands or falls alone."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def take(self, tenant: str, reports: Sequence[Report]) -> list[Any | NgsiError]:
        """Commit reports in order; return for each the attributes that were too late, DUPLICATE, or its error.

        Raises Unavailable when the store is away.
        """
        writes = [
            Write(
                report.entity["id"],
                partial(_apply, report.entity, report.static),
                report.receipt,
                fresh=report.fresh,
                history=report.history,
                meta={UNTOLD: True} if report.late else None,
            )
            for report in reports
        ]
        return await self._writer.submit_all(tenant, writes)


def _apply(entity: Expanded, static: Expanded | None, before: Document | None, now: int) -> Outcome:
    return patch.report(before, entity, now, static=static)
