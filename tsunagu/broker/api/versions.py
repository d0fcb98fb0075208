"""Amending entities for clients that want an earlier version of the standard (ETSI GS CIM 009 v1.9.1, 4.3.6.8).

The tables say for each member and attribute type the version that introduced it; for earlier versions the member is
removed, or the attribute reformatted as a plain Property or Relationship.
"""

from __future__ import annotations

from typing import Any

Version = tuple[int, int]

MULTIPLE_SINCE = (1, 3)  # several types, several instances of an attribute
ENTITY_MEMBERS: dict[str, Version] = {"expiresAt": (1, 9), "scope": (1, 4)}
ATTRIBUTE_MEMBERS: dict[str, Version] = {
    "datasetId": (1, 3),
    "expiresAt": (1, 9),
    "observedAt": (1, 3),
    "unitCode": (1, 3),
    "valueType": (1, 9),
    "objectType": (1, 8),
}
# Attribute type → version that introduced it, its value member, the type and value member it falls back to.
FALLBACKS: dict[str, tuple[Version, str, str, str]] = {
    "LanguageProperty": ((1, 4), "languageMap", "Property", "value"),
    "JsonProperty": ((1, 8), "json", "Property", "value"),
    "VocabProperty": ((1, 8), "vocab", "Property", "value"),
    "ListProperty": ((1, 8), "valueList", "Property", "value"),
    "ListRelationship": ((1, 8), "objectList", "Relationship", "object"),
}
PLAIN = frozenset({"id", "@context", "createdAt", "modifiedAt", "deletedAt"})


def amend_entity(entity: dict[str, Any], version: Version) -> dict[str, Any]:
    """Return a normalized entity, as the API renders it, amended to conform to an earlier version."""
    amended: dict[str, Any] = {}
    for name, value in entity.items():
        if name in PLAIN:
            amended[name] = value
        elif name == "type":
            amended[name] = value[0] if isinstance(value, list) and version < MULTIPLE_SINCE else value
        elif name in ENTITY_MEMBERS:
            if version >= ENTITY_MEMBERS[name]:
                amended[name] = value
        else:
            amended[name] = amend_attribute(value, version)
    return amended


def amend_attribute(value: Any, version: Version) -> Any:
    """Return an attribute (one instance, several, or anything else unchanged) amended to an earlier version."""
    if isinstance(value, list) and all(isinstance(item, dict) and "type" in item for item in value) and value:
        if version >= MULTIPLE_SINCE:
            return [amend_instance(item, version) for item in value]
        return amend_instance(next((item for item in value if "datasetId" not in item), value[0]), version)
    if isinstance(value, dict) and isinstance(value.get("type"), str):
        return amend_instance(value, version)
    return value


def amend_instance(instance: dict[str, Any], version: Version) -> dict[str, Any]:
    """Return one attribute instance amended to an earlier version, its sub-attributes included."""
    fallback = FALLBACKS.get(instance["type"])
    reformat = fallback if fallback is not None and version < fallback[0] else None
    amended: dict[str, Any] = {}
    for name, value in instance.items():
        if name == "type":
            amended[name] = reformat[2] if reformat else value
        elif reformat and name == reformat[1]:
            amended[reformat[3]] = plain_objects(value) if reformat[3] == "object" else value
        elif name in ATTRIBUTE_MEMBERS:
            if version >= ATTRIBUTE_MEMBERS[name]:
                amended[name] = value
        elif name in VALUE_MEMBERS:
            amended[name] = value
        else:
            amended[name] = amend_attribute(value, version)
    return amended


VALUE_MEMBERS = frozenset({"value", "object", "languageMap", "json", "vocab", "valueList", "objectList", *PLAIN})


def plain_objects(value: Any) -> Any:
    """Return the targets of a ListRelationship as a list of URIs."""
    if not isinstance(value, list):
        return value
    return [item["object"] if isinstance(item, dict) and "object" in item else item for item in value]
