"""Stored documents for tests, made from request bodies."""

from __future__ import annotations

from typing import Any

from tests.unit.broker.jsonld.contexts import CITY
from tsunagu.broker.jsonld.expand import expand_entity
from tsunagu.schemas.entity import Document
from tsunagu.schemas.system_times import system_times

POINT = {"type": "Point", "coordinates": [8, 49]}


def name_of(term: str) -> str:
    """Return the stored name of a term of the CITY context."""
    return CITY.attribute(term)


def document_of(body: dict[str, Any], *, now: int = 1_784_401_800_000) -> Document:
    """Return the document that the store makes of a request body at `now`."""
    entity = expand_entity({"id": "urn:ngsi-ld:Car:1", "type": "Vehicle", **body}, CITY)
    times = {
        name: [system_times(one, now) for one in value] if isinstance(value, list) else system_times(value, now)
        for name, value in entity["attrs"].items()
    }
    document = {"_id": entity["id"], "type": entity["type"], "attrs": entity["attrs"], "sys": times}
    document |= {key: entity[key] for key in ("scope", "expires") if key in entity}
    return document | {"created": now, "modified": now + 5, "v": 1}
