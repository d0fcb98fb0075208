"""The system times of attribute instances: the TIMES tree that stands beside them (4.8; see schemas.entity)."""

from __future__ import annotations

from typing import Any

from tsunagu.schemas.kinds import MEMBERS
from tsunagu.schemas.times import parse_ms

Times = dict[str, Any]
_EXPIRES = "expiresAt"


def system_times(
    instance: dict[str, Any], now: int, previous: Times | None = None, *, before: dict[str, Any] | None = None
) -> Times:
    """Return the TIMES of `instance` as written at `now`, epoch ms.

    `previous` are the TIMES of the instance in whose place it comes: its creation time stays, and so do those of its
    sub-attributes. With `before`, that instance itself, sub-attributes that did not change keep all their times.
    """
    times: Times = {"c": now if previous is None else previous["c"], "m": now}
    if "observedAt" in instance:
        times["o"] = parse_ms(instance["observedAt"])
    if _EXPIRES in instance:
        times["e"] = parse_ms(instance[_EXPIRES])
    if not instance.keys() <= MEMBERS:
        old = {} if previous is None else previous.get("s", {})
        kept = {} if before is None else before
        times["s"] = {
            name: _of_sub_attribute(value, now, old.get(name), kept.get(name))
            for name, value in instance.items()
            if name not in MEMBERS
        }
    return times


def _of_sub_attribute(value: Any, now: int, previous: Any, before: Any) -> Any:
    """Return the TIMES of a sub-attribute, parallel to it: of one instance, or of each of several by datasetId."""
    if previous is not None and before is not None and value == before:
        return previous
    if type(value) is dict and type(previous) is not list:
        return system_times(value, now, previous, before=before if type(before) is dict else None)
    pairs = _by_dataset(before, previous)
    found = []
    for one in value if type(value) is list else [value]:
        instance, times = pairs.get(one.get("datasetId"), (None, None))
        found.append(times if times is not None and one == instance else system_times(one, now, times, before=instance))
    return found if type(value) is list else found[0]


def _by_dataset(before: Any, previous: Any) -> dict[Any, tuple[Any, Any]]:
    if before is None or previous is None:
        return {}
    instances = before if type(before) is list else [before]
    times = previous if type(previous) is list else [previous]
    return {one.get("datasetId"): (one, time) for one, time in zip(instances, times, strict=False)}
