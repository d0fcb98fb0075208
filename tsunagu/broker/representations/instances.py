"""Writing attribute instances, normalized and concise (4.5.2, 4.5.3, 4.5.18, 4.5.20 to 4.5.22, 4.5.24)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.broker.representations.language import in_language
from tsunagu.schemas.geo import is_geometry
from tsunagu.schemas.kinds import BY_MEMBER, KINDS, MEMBERS, METADATA
from tsunagu.schemas.times import format_ms

if TYPE_CHECKING:
    from tsunagu.broker.representations.names import Names

# An instance with no other members than these is shown as it is stored.
AS_STORED = frozenset(
    [
        "type",
        "value",
        "object",
        "unitCode",
        "observedAt",
        "datasetId",
        "languageMap",
        "json",
        "valueList",
        "entityIdSealed",
        "lang",
    ]
)
_VALUE_MEMBERS = {kind.member: kind for kind in KINDS.values() if kind.member != "value"}
_NAMES = frozenset({"valueType", "objectType", "entityTypeSealed"})
_SHADOWS = METADATA | {"type", "@type", *BY_MEMBER}


def write_attribute(
    value: Any, times: Any, context: Names, *, sys_attrs: bool = False, concise: bool = False, lang: str | None = None
) -> Any:
    """Return how a stored attribute is shown: one instance, or a list of several.

    `times` are its TIMES, parallel to it; looked at only with `sys_attrs`.
    """
    if type(value) is not list:
        shown = _write_instance(value, times, context, sys_attrs, concise, lang)
        return _bare(shown) if concise else shown
    moments = times if type(times) is list else [None] * len(value)
    return [
        _write_instance(one, time, context, sys_attrs, concise, lang) for one, time in zip(value, moments, strict=True)
    ]


def _write_instance(
    instance: dict[str, Any], times: Any, context: Names, sys_attrs: bool, concise: bool, lang: str | None
) -> dict[str, Any]:
    if lang is not None and "languageMap" in instance:
        instance = in_language(instance, lang)
    if instance.keys() <= AS_STORED:
        shown = dict(instance) if sys_attrs or concise else instance
    else:
        shown = _written(instance, times, context, sys_attrs, concise, lang)
    if sys_attrs and times is not None:
        _add_times(shown, instance, times)
    return _without_type(shown) if concise else shown


def _written(
    instance: dict[str, Any], times: Any, context: Names, sys_attrs: bool, concise: bool, lang: str | None
) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    names = context.names
    inner = {} if times is None else times.get("s", {})
    for key, item in instance.items():
        if key in AS_STORED:
            shown[key] = item
        elif key in _VALUE_MEMBERS:
            shown[key] = _VALUE_MEMBERS[key].write(item, context)
        elif key in _NAMES:
            shown[key] = [names[iri] for iri in item] if type(item) is list else names[item]
        elif key not in MEMBERS:
            shown[context.shown[key]] = write_attribute(
                item, inner.get(key), context, sys_attrs=sys_attrs, concise=concise, lang=lang
            )
    return shown


def _add_times(shown: dict[str, Any], instance: dict[str, Any], times: dict[str, Any]) -> None:
    shown["createdAt"] = format_ms(times["c"])
    shown["modifiedAt"] = format_ms(times["m"])
    if "expiresAt" in instance:
        shown["expiresAt"] = instance["expiresAt"]


def _without_type(shown: dict[str, Any]) -> dict[str, Any]:
    """Take out of a normalized instance what its members imply."""
    kind = KINDS.get(shown.get("type", ""))
    if kind is None or kind.member not in shown:
        return shown
    value = shown[kind.member]
    if kind.member == "value" and (kind.name == "GeoProperty") != is_geometry(value):
        return shown
    del shown["type"]
    shown[kind.member] = kind.concise(value)
    return shown


def _bare(shown: dict[str, Any]) -> Any:
    """Return the value alone if that is all there is, and if it would be read as just that again."""
    if len(shown) != 1 or "value" not in shown:
        return shown
    value = shown["value"]
    if type(value) is dict:
        return value if is_geometry(value) or _SHADOWS.isdisjoint(value) else shown
    if type(value) is list:
        return shown if any(type(item) is dict and not _SHADOWS.isdisjoint(item) for item in value) else value
    return value
