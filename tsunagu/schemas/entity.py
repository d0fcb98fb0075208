"""The stored form of an entity, which every part of the broker reads.

A *document*::

    {"_id":      entity id (URI),
     "type":     [IRI, ...],                     expanded, at least one
     "scope":    ["/a/b", ...],                  absent when the entity has none
     "attrs":    {NAME: INSTANCE | [INSTANCE, ...]},
     "sys":      {NAME: TIMES | [TIMES, ...]},   in parallel to attrs: what a plain GET leaves out
     "created":  epoch ms, "modified": epoch ms,
     "expires":  epoch ms,                       absent unless the entity is transient (4.22)
     "due":      epoch ms,                       earliest expiry of the entity and its attributes, if any expires
     "geo":      [longitude, latitude] of a lone point, else GeoJSON that covers the instances of location: for the
                 geographic index,               absent if there is none
     "v":        version: epoch ms at creation and one more at each change, so that it only grows for one id}

NAME is an expanded attribute IRI in its stored form (`stored_name`): abbreviated, without dots.

An INSTANCE is normalized NGSI-LD with stored names for its sub-attributes, times as the client gave them
in UTC, and IRIs for vocab, objectType and valueType::

    {"type": "Property", "value": 2.14, "unitCode": "MTR", "observedAt": "2026-07-18T19:10:00Z",
     "datasetId": "urn:…",                       absent in the default instance
     NAME: INSTANCE | [INSTANCE, ...]}           sub-attributes

Several instances of one attribute (4.5.5) form a list, the default instance (without datasetId), if any, first;
a single instance is stored without a list, with or without datasetId.

TIMES holds the system times of an instance: {"c": created, "m": modified, "o": observedAt, "e": expiresAt,
"s": {NAME: TIMES | [TIMES, ...]} of the sub-attributes}, all epoch ms UTC, "o", "e" and "s" only where present.
`expiresAt` of an instance stands in the instance too, as the client gave it.

An *expanded entity* or *fragment*, as `broker.jsonld.expand` makes it from a request body, has the members
"id", "type", "scope", "expires" (each only if given) and "attrs"; it carries no system times, which the store sets.
"""

from __future__ import annotations

from typing import Any

NULL = "urn:ngsi-ld:null"

Instance = dict[str, Any]
Document = dict[str, Any]
Expanded = dict[str, Any]

CORE_NAMESPACE = "https://uri.etsi.org/ngsi-ld/"
DEFAULT_VOCAB = "https://uri.etsi.org/ngsi-ld/default-context/"

# Of stored names. MongoDB reads a dot as a path; DOT and the marks are ASCII, which encodes and decodes faster, and no
# URI has them where they stand. None of these may change: data is stored under them (docs/decisions/0026).
DOT = "^"
ABBREVIATIONS = (("~", DEFAULT_VOCAB), ("=", CORE_NAMESPACE), ("+", "https://smartdatamodels.org/"))
_WHOLE = dict(ABBREVIATIONS)


def stored_name(iri: str) -> str:
    """Return the stored name of an attribute IRI: the start that many have as a mark, and DOT for each dot."""
    for mark, start in ABBREVIATIONS:
        if iri.startswith(start):
            return mark + iri[len(start) :].replace(".", DOT)
    return iri.replace(".", DOT)


def iri_of(name: str) -> str:
    """Return the attribute IRI of a stored name."""
    start = _WHOLE.get(name[:1])
    return name.replace(DOT, ".") if start is None else start + name[1:].replace(DOT, ".")


LOCATION = stored_name(CORE_NAMESPACE + "location")
OBSERVATION_SPACE = stored_name(CORE_NAMESPACE + "observationSpace")
OPERATION_SPACE = stored_name(CORE_NAMESPACE + "operationSpace")


def instances(value: Instance | list[Instance]) -> list[Instance]:
    """Return the instances of one attribute as a list, whether it is stored as one or as several."""
    return value if isinstance(value, list) else [value]
