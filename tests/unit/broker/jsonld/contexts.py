"""Contexts for tests, compiled without a network."""

from __future__ import annotations

from typing import Any

from tsunagu.broker.jsonld.context import Context
from tsunagu.broker.jsonld.definitions import compile_context


def context_of(*definitions: dict[str, Any] | None) -> Context:
    """Return the context of these objects in their order, the core last."""
    return compile_context(definitions, list(definitions), url=None)


CITY = context_of(
    {
        "ex": "http://example.org/",
        "Vehicle": "ex:Vehicle",
        "Building": {"@id": "http://example.org/Building"},
        "speed": "ex:speed",
        "brandName": "ex:brand.name",
        "isParked": {"@id": "ex:isParked", "@type": "@id"},
        "accuracy": "ex:accuracy",
        "providedBy": {"@id": "ex:providedBy", "@type": "@id"},
        "category": {"@id": "ex:category", "@type": "@vocab"},
        "nonCommercial": "http://vocab.example/non-commercial",
        "xsd": "http://www.w3.org/2001/XMLSchema#",
    }
)
