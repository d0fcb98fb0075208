"""The members of a document that follow from its attributes: the earliest expiry, and the place for the index."""

from __future__ import annotations

from tsunagu.schemas.entity import LOCATION, Document, instances
from tsunagu.schemas.geo_cover import place_of


def complete(document: Document, before: Document | None = None, *, expires: bool = True) -> None:
    """Set the members that follow from the others: "due", the earliest expiry, and "geo", the place for the index.

    `expires` False says that neither the entity nor any attribute expires.
    """
    location = document["attrs"].get(LOCATION)
    if location is not None and before is not None and before["attrs"].get(LOCATION) is location:
        if "geo" in before:
            document["geo"] = before["geo"]
    elif location is not None:
        geometries = [one["value"] for one in instances(location) if one["type"] == "GeoProperty"]
        if geometries:
            document["geo"] = place_of(geometries)
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
