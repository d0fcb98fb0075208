"""Which types have entities whose location is no point: for all others, a circle finds what is near (`nearby`).

A small collection holds the types, each under its IRI. The transaction that first stores such an entity of a type adds
it, and nobody takes it away again. A document with the id DONE says that the entities of earlier versions were looked
through; until then nothing is answered out of a tenant's database (`Databases.ready`).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pymongo.asynchronous.database import AsyncDatabase

    from tsunagu.broker.changes import Change

AREAS = "areas"
DONE = ""
COVERS = ["GeometryCollection", "Polygon"]  # of locations that are no points (`tsunagu.schemas.geo_cover`)


class Areas:
    """Tells which types a group has to add; remembers what is known to be there."""

    def __init__(self) -> None:
        self._known: defaultdict[str, set[str]] = defaultdict(set)

    def lacking(self, tenant: str, changes: Iterable[Change]) -> set[str]:
        """Return the types that are not known to be there, of entities with another location than a point."""
        known = self._known[tenant]
        found: set[str] = set()
        for change in changes:
            after = change.after
            if after is not None and _is_area(after.get("geo")):
                found.update(name for name in after["type"] if name not in known)
        return found

    def added(self, tenant: str, types: set[str]) -> None:
        """Take note that the types are there."""
        self._known[tenant] |= types


def _is_area(place: dict[str, Any] | list[float] | None) -> bool:
    """Tell whether the place of an entity is no point; a point is a position, of earlier versions a GeoJSON Point."""
    return type(place) is dict and place["type"] != "Point"


def statements(types: Iterable[str]) -> list[dict[str, Any]]:
    """Return the updates of AREAS that add types; those that are there stay as they are."""
    return [{"q": {"_id": name}, "u": {"$setOnInsert": {"_id": name}}, "upsert": True} for name in types]


async def look_through(database: AsyncDatabase[dict[str, Any]], entities: str) -> None:
    """Add the types of the entities that are there already, unless that was done before."""
    if await database[AREAS].find_one({"_id": DONE}) is None:
        types = await database[entities].distinct("type", {"geo.type": {"$in": COVERS}})
        await database.command({"update": AREAS, "updates": statements([*types, DONE]), "ordered": True})
