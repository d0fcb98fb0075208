"""Linked entities inline (4.5.23.2): what a relationship leads to, shown in its place or beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tsunagu.schemas.entity import Document, instances

# The documents that relationships may lead to, by entity id.
Linked = Mapping[str, Document]


def targets(value: Any) -> list[str]:
    """Return the URIs that a stored attribute leads to: none unless it is a Relationship or a ListRelationship."""
    found: list[str] = []
    for instance in instances(value):
        found.extend(_targets(instance))
    return found


def _targets(instance: dict[str, Any]) -> list[str]:
    target = instance.get("object", instance.get("objectList", []))
    return target if type(target) is list else [target]


def join_attribute(shown: Any, value: Any, entities: Mapping[str, dict[str, Any]], *, simplified: bool) -> Any:
    """Return `shown`, the representation of the stored attribute `value`, with the rendered `entities` inline.

    Simplified, an entity stands in the place of its URI; else under `entity`, or `entityList` for a ListRelationship.
    """
    if simplified:
        if type(value) is not list:
            return _replaced(shown, entities)
        return {"dataset": {dataset: _replaced(one, entities) for dataset, one in shown["dataset"].items()}}
    if type(value) is not list:
        return _beside(shown, value, entities)
    return [_beside(one, instance, entities) for one, instance in zip(shown, value, strict=True)]


def _replaced(shown: Any, entities: Mapping[str, dict[str, Any]]) -> Any:
    return [entities.get(uri, uri) for uri in shown] if type(shown) is list else entities.get(shown, shown)


def _beside(shown: dict[str, Any], instance: dict[str, Any], entities: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    found = [entities[uri] for uri in _targets(instance) if uri in entities]
    if not found:
        return shown
    if "objectList" in instance:
        return shown | {"entityList": found}
    return shown | {"entity": found if type(instance["object"]) is list else found[0]}
