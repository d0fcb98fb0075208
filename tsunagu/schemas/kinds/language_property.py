"""LanguageProperty: strings by natural language (4.5.18, 4.6.5, 5.2.32)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tsunagu.schemas.entity import NULL
from tsunagu.schemas.kinds.kind import Kind

if TYPE_CHECKING:
    from tsunagu.schemas.kinds.kind import Terms

_TAG = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*", re.ASCII)  # the shape of RFC 5646, 2.1
_NULL_MAP = {"@none": NULL}
_EXAMPLE = 'such as {"fr": "Grand Place", "nl": "Grote Markt"}'


def _read(value: Any, _terms: Terms) -> dict[str, str | list[str]]:
    return _checked(value, nulls=False)


def _patch(value: Any, _terms: Terms) -> dict[str, str | list[str]]:
    return _checked(value, nulls=True)


def _checked(value: Any, *, nulls: bool) -> dict[str, str | list[str]]:
    if type(value) is not dict or not value:
        raise ValueError(f"an object of one or more language tags is expected, {_EXAMPLE}")
    for tag, texts in value.items():
        if tag != "@none" and _TAG.fullmatch(tag) is None:
            raise ValueError(f"{tag!r} is not a language tag of RFC 5646, nor @none")
        items = texts if type(texts) is list else [texts]
        if not all(type(item) is str for item in items):
            raise ValueError(f"{tag}: a string or an array of strings is expected")
        if NULL in items and not nulls:
            raise ValueError(f'{tag}: "{NULL}" deletes, and is not a text here')
    return value


def _is_null(value: Any) -> bool:
    return bool(value in (_NULL_MAP, NULL))


def _simplify(value: Any) -> dict[str, Any]:
    return {"languageMap": value}


def _unwrap(value: Any) -> Any:
    return value["languageMap"] if type(value) is dict and "languageMap" in value else value


LANGUAGE_PROPERTY = Kind(
    name="LanguageProperty",
    member="languageMap",
    previous="previousLanguageMap",
    plural="languageMaps",
    null=_NULL_MAP,
    read=_read,
    patch=_patch,
    is_null=_is_null,
    simplify=_simplify,
    wrap=_unwrap,
    equal=dict.__eq__,
    extras=frozenset({"valueType"}),
)
