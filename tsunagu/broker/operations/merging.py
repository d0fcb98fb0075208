"""Merging one attribute instance into another to any depth (5.5.12, after RFC 7396). Pure."""

from __future__ import annotations

from typing import Any

from tsunagu.schemas.entity import NULL, Instance, instances
from tsunagu.schemas.kinds import KINDS


def is_deletion(instance: Instance) -> bool:
    """Tell whether an instance of a fragment asks for a deletion: its value is the NGSI-LD null."""
    kind = KINDS.get(instance.get("type", ""))
    if kind is None:
        return bool(instance.get("value") == NULL)
    return kind.member in instance and kind.is_null(instance[kind.member])


def merged_instance(
    old: Instance | None, new: Instance, *, observed_at: str | None = None, lang: str | None = None
) -> Instance:
    """Return `new` merged into `old`.

    An instance of `new` without "type" is a simplified value (its "value"), which takes the kind of `old`.
    A different kind replaces the old instance. NGSI-LD nulls inside remove members.
    """
    if "type" not in new:
        new = _typed(old, new, lang)
    if old is None or old["type"] != new["type"]:
        result = _without_nulls(new)
    else:
        result = dict(old)
        for key, member in new.items():
            _merge_member(result, key, member)
    if observed_at is not None and "observedAt" not in new and old is not None and "observedAt" in old:
        result["observedAt"] = observed_at
    return result


def _typed(old: Instance | None, new: Instance, lang: str | None) -> Instance:
    """Give a simplified value the kind of the instance it is merged into; Property if there is none."""
    rest = {key: member for key, member in new.items() if key != "value"}
    value = new.get("value")
    kind = old["type"] if old is not None else "Property"
    if kind == "LanguageProperty" and isinstance(value, str):
        value = {lang or "@none": value}
    return {"type": kind, KINDS[kind].member: value, **rest}


def _merge_member(result: Instance, key: str, member: Any) -> None:
    """Merge one member of an instance into the result."""
    if member == NULL or (isinstance(member, dict) and "type" in member and is_deletion(member)):
        result.pop(key, None)
        return
    old = result.get(key)
    if key in {"value", "json", "languageMap"}:
        result[key] = _merge_json(old, member)
    elif old is not None and _is_attribute(old) and _is_attribute(member):
        result[key] = _merge_sub(old, member)
    else:
        result[key] = member


def _is_attribute(value: Any) -> bool:
    first = value[0] if isinstance(value, list) and value else value
    return isinstance(first, dict) and first.get("type") in KINDS


def _merge_sub(old: Instance | list[Instance], new: Instance | list[Instance]) -> Instance | list[Instance]:
    """Merge the instances of a sub-attribute, datasetId by datasetId."""
    slots = {one.get("datasetId"): one for one in instances(old)}
    for one in instances(new):
        dataset_id = one.get("datasetId")
        if is_deletion(one):
            slots.pop(dataset_id, None)
        else:
            slots[dataset_id] = merged_instance(slots.get(dataset_id), one)
    found = list(slots.values())
    return found[0] if len(found) == 1 else found


def _merge_json(old: Any, new: Any) -> Any:
    """Merge JSON values as RFC 7396 does, with the NGSI-LD null in the place of null."""
    if not isinstance(new, dict):
        return new
    result = dict(old) if isinstance(old, dict) else {}
    for key, value in new.items():
        if value == NULL:
            result.pop(key, None)
        else:
            result[key] = _merge_json(result.get(key), value)
    return result


def _without_nulls(new: Instance) -> Instance:
    """Return an instance as it is when there is nothing to merge with: nulls fall away."""
    result: Instance = {}
    for key, member in new.items():
        _merge_member(result, key, member)
    return result
