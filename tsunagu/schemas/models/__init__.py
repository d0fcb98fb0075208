"""The data models that Tsunagu ships: for each a folder with schema.json, terms.jsonld and example.json.

schema.json is JSON Schema of the simplified form (key-values), as in the Smart Data Models, with two members of ours:
`x-unitCode`, the unit that a number has, and `x-kind`, the attribute kind where it is not Property.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from tsunagu.schemas.models.check import Check, check_of

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Model:
    """A data model: its entity type, JSON Schema, JSON-LD terms, an example entity, and a check per attribute."""

    name: str
    type: str
    schema: Mapping[str, Any]
    terms: Mapping[str, str]
    example: Mapping[str, Any]
    checks: Mapping[str, Check]


@cache
def models() -> dict[str, Model]:
    """Return all models by entity type."""
    found = [
        _load(folder) for folder in resources.files(__name__).iterdir() if folder.joinpath("schema.json").is_file()
    ]
    return {model.type: model for model in sorted(found, key=lambda model: model.name)}


def _load(folder: Any) -> Model:
    schema, terms, example = (
        json.loads(folder.joinpath(name).read_text(encoding="utf-8"))
        for name in ("schema.json", "terms.jsonld", "example.json")
    )
    checks = {name: check_of(member) for name, member in schema["properties"].items() if name not in ("id", "type")}
    return Model(folder.name, schema["properties"]["type"]["const"], schema, terms["@context"], example, checks)
