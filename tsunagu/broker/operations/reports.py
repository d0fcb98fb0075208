"""Reports of devices: upserts that never move the current state backwards."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tsunagu.broker.changes import UNTOLD
from tsunagu.broker.operations import patch
from tsunagu.broker.storage.writes import Outcome, Write

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Sequence

    from tsunagu.broker.changes import Document
    from tsunagu.broker.errors import NgsiError
    from tsunagu.broker.storage.writes import Succession, Writer
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

    def take(
        self, tenant: str, reports: Sequence[Report], *, succession: Succession | None = None
    ) -> Future[list[Any | NgsiError]]:
        """Queue reports, in this order, before it returns.

        The future gives for each, once it is committed, the attributes that were too late, DUPLICATE, or its error.
        `succession` is that of `storage.writes.Writer`. Raises Unavailable when the store cannot take them now.
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
        return self._writer.queue(tenant, writes, succession=succession)


def _apply(entity: Expanded, static: Expanded | None, before: Document | None, now: int) -> Outcome:
    return patch.report(before, entity, now, static=static)
