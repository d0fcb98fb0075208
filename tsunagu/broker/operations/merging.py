"""Merging one attribute instance into another to any depth (5.5.12, after RFC 7396). Pure."""

from __future__ import annotations

from typing import Any

from tsunagu.broker.errors import BadRequestData
from tsunagu.schemas.entity import NULL, Instance, instances
from tsunagu.schemas.kinds import COMMON_MEMBERS, KINDS, MEMBERS, METADATA
from tsunagu.schemas.kinds.fitting import fitted, is_deletion


def merged_instance(
    old: Instance | None, new: Instance, *, observed_at: str | None = None, lang: str | None = None
) -> Instance:
    """Return `new` merged into `old`.

    An instance of `new` without "type" takes the kind of `old`. A different kind replaces the old instance. NGSI-LD
    nulls inside remove members. Raises BadRequestData if the value cannot be of that kind, or if there is none.
    """
    if "type" not in new:
        new = typed(new, old, lang=lang)
    if old is None or old["type"] != new["type"]:
        result = _without_nulls(new)
    else:
        result = dict(old)
        for key, member in new.items():
            _merge_member(result, key, member)
    kind = KINDS[result["type"]]
    if kind.member not in result:
        raise BadRequestData(f"a new {kind.name} needs the member {kind.member}")
    if observed_at is not None and "observedAt" not in new and old is not None and "observedAt" in old:
        result["observedAt"] = observed_at
    return result


def typed(fragment: Instance, old: Instance | None, *, lang: str | None = None) -> Instance:
    """Return a fragment without "type" as one of the kind of `old`.

    Raises BadRequestData if its value cannot be one, or if it has a member that an attribute of the kind does not have.
    """
    try:
        shaped = fitted(fragment, None if old is None else KINDS[old["type"]], lang=lang)
    except ValueError as error:
        what = "" if old is None else f" (the attribute is a {old['type']})"
        raise BadRequestData(f"value: {error}{what}") from None
    kind = KINDS[shaped["type"]]
    for member in METADATA.intersection(shaped) - COMMON_MEMBERS - kind.extras:
        if shaped[member] != NULL:
            raise BadRequestData(f"{member}: a {kind.name} does not have this member")
    return shaped


def _merge_member(result: Instance, key: str, member: Any) -> None:
    """Merge one member of an instance into the result."""
    if member == NULL:
        result.pop(key, None)
    elif key not in MEMBERS:
        merged = _merge_sub(result.get(key, []), member)
        if merged:
            result[key] = merged
        else:
            result.pop(key, None)
    elif key in {"value", "json", "languageMap"}:
        result[key] = _merge_json(result.get(key), member)
    else:
        result[key] = member


def _merge_sub(old: Instance | list[Instance], new: Instance | list[Instance]) -> Instance | list[Instance]:
    """Merge the instances of a sub-attribute, datasetId by datasetId."""
    slots = {one.get("datasetId"): one for one in instances(old)}
    for one in instances(new):
        dataset_id = one.get("datasetId")
        if is_deletion(one):
            slots.pop(dataset_id, None)
        else:
            slots[dataset_id] = merged_instance(slots.get(dataset_id), one)
    found = sorted(slots.values(), key=lambda one: "datasetId" in one)
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
