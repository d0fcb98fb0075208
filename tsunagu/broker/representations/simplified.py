"""Writing attributes in the simplified representation (4.5.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsunagu.broker.representations.language import in_language
from tsunagu.schemas.kinds import KINDS

if TYPE_CHECKING:
    from tsunagu.broker.representations.names import Names


def simplify_attribute(value: Any, context: Names, *, lang: str | None = None) -> Any:
    """Return the simplified form of a stored attribute; several instances as {"dataset": {datasetId: value}}."""
    if type(value) is not list:
        return simplify_instance(value, context, lang=lang)
    return {"dataset": {one.get("datasetId", "@none"): simplify_instance(one, context, lang=lang) for one in value}}


def simplify_instance(instance: dict[str, Any], context: Names, *, lang: str | None = None) -> Any:
    """Return the simplified form of one stored instance: its value, wrapped where 4.5.4 wraps it."""
    if lang is not None and "languageMap" in instance:
        instance = in_language(instance, lang)
    kind = KINDS[instance["type"]]
    return kind.simplify(kind.write(instance[kind.member], context))
