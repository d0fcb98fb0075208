"""Taking a measure apart whose values are inside its device's own bytes, or inside NGSI entities.

A payload may hold readings of several times; each becomes a measure of its own, before the time policy sees it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tsunagu.adapters.payload_types import entities_of, time_of, unwrap

if TYPE_CHECKING:
    from tsunagu.adapters.devices.plan import Active, Plan
    from tsunagu.adapters.message import Measure


def unpack_measure(plan: Plan, measure: Measure) -> list[Measure]:
    """Return the measures in a measure, each with its time. Raises DeviceError."""
    measures = _measures(plan, measure)
    return measures if plan.time_source is None else [_timed(plan.time_source, plan, one) for one in measures]


def _timed(source: Active, plan: Plan, measure: Measure) -> Measure:
    """Return a measure with the time that its device's attribute TimeInstant gives, if it gives one."""
    if source.expression is None:
        time = measure.values.get(source.object_id)
        values = {key: value for key, value in measure.values.items() if key != source.object_id}
    else:
        time = source.expression.evaluate({**(measure.context or {}), **measure.values, **plan.variables})
        values = measure.values
    return measure if time is None else replace(measure, values=values, time=time)


def _measures(plan: Plan, measure: Measure) -> list[Measure]:
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
