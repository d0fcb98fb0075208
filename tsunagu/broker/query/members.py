"""q over records that are no entities: context source filters (csf) and snapshots (4.9).

There, the names of q are the members of a CSourceRegistration (5.2.9) or of a Snapshot. A record becomes a document
with a Property for each member, which the matcher of entities reads: `compile_matcher(EntityQuery(q=…))`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.broker.query.paths import ENTITY_MEMBERS
from tsunagu.schemas.times import parse_ms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tsunagu.broker.query.ast import Terms
    from tsunagu.schemas.entity import Document


def document_of(record: Mapping[str, Any], context: Terms) -> Document:
    """Return a record (JSON values by terms, times as DateTime texts) as a document; `context` is that of the q."""
    document: Document = {"_id": record.get("id", ""), "type": [], "attrs": {}, "sys": {}}
    for term, value in record.items():
        member = ENTITY_MEMBERS.get(term)
        if member is None:
            document["attrs"][context.attribute(term)] = {"type": "Property", "value": value}
        elif member in ("type", "scope"):
            names = value if isinstance(value, list) else [value]
            document[member] = [context.expand_term(name) for name in names] if member == "type" else names
        elif member != "id":
            document[member] = parse_ms(value)
    return document
