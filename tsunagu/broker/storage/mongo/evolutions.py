"""What is noted of temporal evolutions beside the log: what the history has and the current documents have not.

A note, written only when attributes or entities are deleted or something is told to the history alone::

    {"_id": entity id, "attrs": [stored names, "scope" among them],
     "type": [IRI, ...], "created": epoch ms, "modified": epoch ms, "deleted": epoch ms,
     "amended": true once an instance was corrected}

`attrs` has every attribute that was deleted once, or was told to the history alone; together with those of the current
document they are all that the history can have. The other members are those of the entity when it was last deleted;
of an evolution that never had a current state there is only `type`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

AMENDED = "amended"


@dataclass(slots=True)
class EvolutionNote:
    """What one group has to note of one evolution."""

    names: set[str] = field(default_factory=set)
    types: set[str] = field(default_factory=set)
    last: dict[str, Any] | None = None

    def statement(self, entity_id: str) -> dict[str, Any]:
        """Return the update statement that notes it."""
        added = {"attrs": {"$each": sorted(self.names)}}
        update: dict[str, Any] = {"$addToSet": added}
        if self.last is not None:
            update["$set"] = self.last
        elif self.types:
            added["type"] = {"$each": sorted(self.types)}
        return {"q": {"_id": entity_id}, "u": update, "upsert": True}
