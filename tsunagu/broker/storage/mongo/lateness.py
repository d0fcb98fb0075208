"""What came too late for the current state, told as a change to whoever asks for late data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsunagu.broker.changes import UNTOLD, Change, Document, Touch
from tsunagu.broker.storage.mongo.records import LATE, entries_of
from tsunagu.schemas.entity import instances

if TYPE_CHECKING:
    from tsunagu.broker.storage.mongo.records import Record


def late_change(record: Record, tenant: str, document: Document | None) -> Change | None:
    """Return the change that a late record would have been, given the entity's state then.

    Its `before` is that state, its `after` the same with the late instances in the place of the newer ones, under the
    same version. None for what is no late reading (a deleted instance, the scope), or where there was no entity.
    """
    if document is None:
        return None
    attrs, times = dict(document["attrs"]), dict(document["sys"])
    places: dict[str, int] = {}
    touched: list[Touch] = []
    for name, deed, dataset_id in (entry[:3] for entry in entries_of(record)):
        place = places[name] = places.get(name, -1) + 1
        if deed != LATE or name not in record["a"]["attrs"]:
            continue
        instance = record["a"]["attrs"][name][place]
        if not isinstance(instance, dict):
            continue
        own = record["a"]["sys"][name][place] or {"c": record["at"], "m": record["at"]}
        kept = [
            (one, time)
            for one, time in zip(instances(attrs.get(name, [])), instances(times.get(name, [])), strict=True)
            if one.get("datasetId") != dataset_id
        ]
        if kept:
            attrs[name] = [*(one for one, _ in kept), instance]
            times[name] = [*(time for _, time in kept), own]
        else:
            attrs[name], times[name] = instance, own
        touched.append(Touch(name, "updated", dataset_id))
    if not touched:
        return None
    after = {**document, "attrs": attrs, "sys": times}
    key = record["_id"]
    return Change(
        tenant,
        key["w"],
        key["n"],
        record["e"],
        "updated",
        record["at"],
        document,
        after,
        tuple(touched),
        {UNTOLD: True},
    )
