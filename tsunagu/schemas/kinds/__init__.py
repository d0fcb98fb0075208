"""The attribute kinds of NGSI-LD, one file each, and the table of them.

To add one: a file with a `Kind` record and a row in `KINDS`. Nothing here knows HTTP, storage or JSON-LD.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsunagu.schemas.kinds.geo_property import GEO_PROPERTY
from tsunagu.schemas.kinds.json_property import JSON_PROPERTY
from tsunagu.schemas.kinds.language_property import LANGUAGE_PROPERTY
from tsunagu.schemas.kinds.list_property import LIST_PROPERTY
from tsunagu.schemas.kinds.list_relationship import LIST_RELATIONSHIP
from tsunagu.schemas.kinds.property import PROPERTY
from tsunagu.schemas.kinds.relationship import RELATIONSHIP
from tsunagu.schemas.kinds.vocab_property import VOCAB_PROPERTY

if TYPE_CHECKING:
    from tsunagu.schemas.kinds.kind import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        PROPERTY,
        GEO_PROPERTY,
        RELATIONSHIP,
        LANGUAGE_PROPERTY,
        VOCAB_PROPERTY,
        JSON_PROPERTY,
        LIST_PROPERTY,
        LIST_RELATIONSHIP,
    )
}

# The kind that a value member stands for when `type` is left out (concise input); "value" may also be a GeoProperty.
BY_MEMBER: dict[str, Kind] = {kind.member: kind for kind in reversed(KINDS.values()) if kind is not GEO_PROPERTY}

# What any instance may have besides `type`, its value and the `extras` of its kind (5.2.5 to 5.2.7, 5.2.32 …).
COMMON_MEMBERS = frozenset({"datasetId", "observedAt", "expiresAt"})

# What describes a value without being one.
METADATA = COMMON_MEMBERS.union(*(kind.extras for kind in KINDS.values()))

# Every member of a stored instance that is not a sub-attribute.
MEMBERS = METADATA | {"type", "entityIdSealed", "entityTypeSealed", *BY_MEMBER}

# How many members an instance has that has nothing but its type and its value.
TYPE_AND_VALUE = 2

__all__ = ["BY_MEMBER", "COMMON_MEMBERS", "KINDS", "MEMBERS", "METADATA", "TYPE_AND_VALUE"]
