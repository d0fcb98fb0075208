"""Linked entities: attributes of a device that another entity has too (iotagent-node-lib doc/api.md, "Linked Data").

A static attribute may carry `link`: {"attributes": [name …], "name": …, "type": …}. Its value is the id of the linked
entity; each of the attributes is also written there, with a Relationship `name` back to the device's own entity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tsunagu.adapters.errors import BadMeasure
from tsunagu.adapters.sink import EntityUpdate
from tsunagu.schemas.ids import is_name, is_uri

if TYPE_CHECKING:
    from collections.abc import Sequence

MEMBERS = frozenset(("attributes", "name", "type"))


@dataclass(frozen=True, slots=True)
class Link:
    """The entities that get the attributes, their type, and the name of the Relationship back ("" for none)."""

    entities: tuple[str, ...]
    type: str
    attributes: frozenset[str]
    back: str


def compile_links(static: Sequence[dict[str, Any]]) -> tuple[Link, ...]:
    """Return the links of static attributes. Raises BadMeasure naming the member."""
    return tuple(
        _link(attribute, f"static_attributes[{i}].link") for i, attribute in enumerate(static) if attribute.get("link")
    )


def _link(attribute: dict[str, Any], where: str) -> Link:
    given = attribute["link"]
    if not isinstance(given, dict) or not given.keys() <= MEMBERS:
        raise BadMeasure(f"{where} must be an object with attributes, name and type")
    names, back, kind = given.get("attributes"), given.get("name") or "", given.get("type")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and is_name(name) for name in names):
        raise BadMeasure(f"{where}.attributes must be a list of attribute names")
    if not isinstance(kind, str) or not is_name(kind):
        raise BadMeasure(f"{where}.type must be the type of the linked entity")
    if not isinstance(back, str) or (back and not is_name(back)):
        raise BadMeasure(f"{where}.name must be the name of a Relationship")
    value = attribute.get("value")
    entities = tuple(value) if isinstance(value, list) else (value,)
    if not all(isinstance(one, str) and is_uri(one) for one in entities):
        raise BadMeasure(f"{where}: the attribute's value must be the URI of the linked entity, or a list of them")
    return Link(entities, kind, frozenset(names), back)


def linked(links: Sequence[Link], own: str, attrs: dict[str, Any]) -> list[EntityUpdate]:
    """Return the updates of linked entities that come with those attributes of the device's own entity."""
    updates = []
    for link in links:
        shared = {name: instance for name, instance in attrs.items() if name in link.attributes}
        if not shared:
            continue
        if link.back:
            back = {link.back: {"type": "Relationship", "object": own}}
            shared = {name: {**instance, **back} for name, instance in shared.items()}
        updates += [EntityUpdate(entity, link.type, shared) for entity in link.entities]
    return updates
