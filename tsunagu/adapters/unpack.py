"""Taking a measure apart whose values are inside its device's own bytes, or inside NGSI entities.

A payload may hold readings of several times; each becomes a measure of its own, before the time policy sees it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tsunagu.adapters.payload_types import entities_of, time_of, unwrap

if TYPE_CHECKING:
    from tsunagu.adapters.devices.plan import Plan
    from tsunagu.adapters.message import Measure


def unpack_measure(plan: Plan, measure: Measure) -> list[Measure]:
    """Return the measures in a measure. Raises DeviceError."""
    if measure.raw and plan.unpack is not None:
        return [
            replace(
                measure,
                values=part.values,
                time=part.time if part.time is not None else measure.time,
                receipt=_numbered(measure.receipt, i),
                status=part.status,
                faulty=part.faulty,
                raw=b"",
            )
            for i, part in enumerate(plan.unpack(measure.raw))
        ]
    if plan.payload_type == "iotagent":
        return [measure]
    found = []
    for i, entity in enumerate(entities_of(measure.values)):
        time = time_of(entity, measure.time)
        values = unwrap(entity, plan.payload_type)
        found.append(replace(measure, values=values, time=time, receipt=_numbered(measure.receipt, i)))
    return found


def _numbered(receipt: str | None, index: int) -> str | None:
    return f"{receipt}/{index}" if receipt and index else receipt
