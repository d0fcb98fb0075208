"""Conditions on the strings of a LanguageProperty in any language.

The languages are the keys of `languageMap`, and paths have no wildcard: it takes an aggregation expression.
It runs only on documents where the attribute has a languageMap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    Expression = dict[str, Any]

TEXT = "$$text"


def any_language(
    names: Sequence[str], test: Expression, *, negated: bool = False, some: bool = False
) -> dict[str, Any]:
    """Return the condition that one instance at the path has a string that passes the test; `negated`: has none.

    `test` is an expression on TEXT. An instance without languageMap meets neither; one without any string does not
    meet the negated form with `some`.
    """
    condition = _any_text(test)
    if negated:
        condition = {"$and": [{"$not": [condition]}, *([_any_text(True)] if some else [])]}
    verdict = {
        "$cond": [{"$eq": [{"$type": "$$instance.languageMap"}, "object"]}, condition, False],
    }
    each = {"$map": {"input": _instances(names), "as": "instance", "in": verdict}}
    return {f"attrs.{'.'.join(names)}.languageMap": {"$exists": True}, "$expr": {"$anyElementTrue": [each]}}


def _any_text(test: Expression | bool) -> Expression:
    strings_only = {"$cond": [{"$eq": [{"$type": TEXT}, "string"]}, test, False]}
    return {
        "$anyElementTrue": [{"$map": {"input": _texts("$$instance.languageMap"), "as": "text", "in": strings_only}}]
    }


def _instances(names: Sequence[str]) -> Expression:
    """Return the list of the instances at the path."""
    found: Expression = _listed({"$getField": {"field": {"$literal": names[0]}, "input": "$attrs"}})
    for name in names[1:]:
        found = {
            "$reduce": {
                "input": found,
                "initialValue": [],
                "in": {
                    "$concatArrays": [
                        "$$value",
                        _listed({"$getField": {"field": {"$literal": name}, "input": "$$this"}}),
                    ]
                },
            }
        }
    return found


def _texts(language_map: str) -> Expression:
    """Return the list of the strings in all languages."""
    return {
        "$reduce": {
            "input": {"$objectToArray": language_map},
            "initialValue": [],
            "in": {"$concatArrays": ["$$value", _listed("$$this.v")]},
        }
    }


def _listed(value: Any) -> Expression:
    """Return the value as a list: itself if it is one, empty if it is missing."""
    return {"$cond": [{"$isArray": [value]}, value, {"$cond": [{"$eq": [{"$type": value}, "missing"]}, [], [value]]}]}
