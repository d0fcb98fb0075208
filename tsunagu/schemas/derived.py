"""The members of a document that follow from its attributes: the earliest expiry, and the shape for the index."""

from __future__ import annotations

from tsunagu.schemas.entity import LOCATION, Document, instances
from tsunagu.schemas.geo_cover import Geometry, cover


def complete(document: Document, before: Document | None = None, *, expires: bool = True) -> None:
    """Set the members that follow from the others: "due", the earliest expiry, and "geo", the shape for the index.

    `expires` False says that neither the entity nor any attribute expires.
    """
    location = document["attrs"].get(LOCATION)
    if location is not None and before is not None and before["attrs"].get(LOCATION) is location:
        if "geo" in before:
            document["geo"] = before["geo"]
    elif location is not None:
        parts: list[Geometry] = []
        for one in instances(location):
            if one["type"] == "GeoProperty":
                shape = cover(one["value"])
                parts += shape if isinstance(shape, list) else (shape,)
        if parts:
            document["geo"] = parts[0] if len(parts) == 1 else {"type": "GeometryCollection", "geometries": parts}
    if expires:
        _set_due(document)


def _set_due(document: Document) -> None:
    due = [document["expires"]] if "expires" in document else []
    for times in document["sys"].values():
        if type(times) is list:
            due += [one["e"] for one in times if "e" in one]
        elif "e" in times:
            due.append(times["e"])
    if due:
        document["due"] = min(due)
