"""How a device model comes under what a device, or its group, says itself: what they say wins, member by member."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

LISTS = ("attributes", "static_attributes", "commands")
PLAIN = ("entity_type", "explicitAttrs", "timezone", "payloadType", "transport")


def with_template(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a device or group with what its model says where it says nothing; itself if it names none."""
    template = entry.get("template")
    if not template:
        return entry
    merged = dict(entry)
    for name in PLAIN:
        if merged.get(name) in (None, "") and template.get(name) is not None:
            merged[name] = template[name]
    for name in LISTS:
        own = list(entry.get(name) or ())
        taken = {one.get("name") for one in own}
        merged[name] = own + [one for one in template.get(name) or () if one.get("name") not in taken]
    merged["internal_attributes"] = {
        **_settings(template.get("internal_attributes")),
        **_settings(entry.get("internal_attributes")),
    }
    return merged


def _settings(given: Any) -> dict[str, Any]:
    parts = given if isinstance(given, list) else [given]
    return {name: value for part in parts if isinstance(part, dict) for name, value in part.items()}


def name_of(device: Mapping[str, Any], group: Mapping[str, Any]) -> str:
    """Return the model and version that counts for a device, "" for none."""
    template = device.get("template") or group.get("template")
    return f"{template['id']}@{template['version']}" if template else ""
