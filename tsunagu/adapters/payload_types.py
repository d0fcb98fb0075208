"""Measures that come as NGSI entities: `payloadType` "ngsiv2" or "ngsild" (iotagent-json usermanual).

The attributes' values are the measures, by name; their types and metadata are kept where nothing is provisioned for
them. `id` and `type` become the measures measure_id and measure_type, as in the reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.adapters.errors import BadMeasure
from tsunagu.adapters.message import Ready
from tsunagu.adapters.values import converter

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = {
    "Property": "value",
    "GeoProperty": "value",
    "Relationship": "object",
    "LanguageProperty": "languageMap",
    "VocabProperty": "vocab",
    "JsonProperty": "json",
    "ListProperty": "valueList",
    "ListRelationship": "objectList",
}


def from_ngsi_v2(name: str, attribute: Any) -> Ready:
    """Return an NGSIv2 attribute as an instance. Raises BadMeasure."""
    if not isinstance(attribute, dict) or "value" not in attribute:
        raise BadMeasure(f'{name}: an NGSIv2 attribute is needed: {{"type", "value", "metadata"}}')
    instance = Ready(converter(str(attribute.get("type") or "Property"))(attribute["value"]))
    metadata = attribute.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise BadMeasure(f"{name}.metadata must be an object")
    for key, given in metadata.items():
        value = given.get("value") if isinstance(given, dict) else given
        if key == "unitCode":
            instance["unitCode"] = str(value)
        elif key != "TimeInstant" and value is not None:
            instance[key] = converter(str(given.get("type") or "Property") if isinstance(given, dict) else "Property")(
                value
            )
    return instance


def from_ngsi_ld(name: str, attribute: Any) -> Ready:
    """Return an NGSI-LD attribute, normalized or concise, as an instance. Raises BadMeasure."""
    if not isinstance(attribute, dict):
        return Ready({"type": "Property", "value": attribute})
    kind = attribute.get("type") or next((k for k, member in KINDS.items() if member in attribute), None)
    if kind not in KINDS or KINDS[kind] not in attribute:
        raise BadMeasure(f'{name}: an NGSI-LD attribute is needed, e.g. {{"type": "Property", "value": 2.14}}')
    return Ready({**attribute, "type": kind})


READERS: dict[str, Callable[[str, Any], Ready]] = {"ngsiv2": from_ngsi_v2, "ngsild": from_ngsi_ld}


def entities_of(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the entities of a batch ({"actionType", "entities"}), else the one entity. Raises BadMeasure."""
    if "actionType" not in values or "entities" not in values:
        return [values]
    entities = values["entities"]
    if not isinstance(entities, list) or not all(isinstance(entity, dict) for entity in entities):
        raise BadMeasure("entities must be a list of entities")
    return entities


def time_of(values: dict[str, Any], time: Any) -> Any:
    """Return the time of an entity: its TimeInstant, with or without its type beside it, else that of the message."""
    given = values.pop("TimeInstant", None)
    given = given.get("value") if isinstance(given, dict) else given
    if given is None and isinstance(time, dict):
        return time.get("value")
    return given if given is not None else time


def unwrap(values: dict[str, Any], payload_type: str) -> dict[str, Any]:
    """Return the measures in an entity. Raises BadMeasure."""
    read = READERS.get(payload_type)
    if read is None:
        return values
    measures: dict[str, Any] = {}
    for name, attribute in values.items():
        if name == "@context":
            continue
        measures[name] = attribute if name in ("id", "type") else read(name, attribute)
    return measures
