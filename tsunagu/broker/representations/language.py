"""The language filter: one text instead of a languageMap (4.15; RFC 4647 lookup, RFC 9110 quality values)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from tsunagu.broker.errors import BadRequestData

_RANGE = re.compile(r"\*|@none|[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*(-\*)?", re.ASCII)


@lru_cache(maxsize=256)
def language_ranges(lang: str) -> tuple[str, ...]:
    """Return the language ranges of a filter such as "fr-CH,fr;q=0.9,*;q=0.5" in lower case, the best first.

    Raises BadRequestData if it cannot be read. Ranges with a quality of 0 are left out.
    """
    ranked: list[tuple[float, int, str]] = []
    for position, part in enumerate(lang.split(",")):
        tag, _, parameters = part.strip().partition(";")
        quality = _quality(parameters.strip(), lang)
        if _RANGE.fullmatch(tag.strip()) is None:
            raise BadRequestData(f"lang: {lang!r} is not a list of language tags such as fr-CH,fr;q=0.9,*;q=0.5")
        if quality > 0:
            ranked.append((-quality, position, tag.strip().lower()))
    return tuple(tag for _, _, tag in sorted(ranked))


def _quality(text: str, lang: str) -> float:
    if not text:
        return 1.0
    name, _, number = text.partition("=")
    try:
        quality = float(number)
    except ValueError:
        quality = -1.0
    if name.strip() != "q" or not 0 <= quality <= 1:
        raise BadRequestData(f"lang: {lang!r}: a quality is written ;q=0.8, between 0 and 1")
    return quality


def best_language(tags: list[str], lang: str) -> str:
    """Return which of `tags`, of a languageMap, serves the filter `lang` best; some tag in any case (4.15)."""
    for wanted in language_ranges(lang):
        if wanted == "*":
            break
        found = _lookup(tags, wanted)
        if found is not None:
            return found
    return "@none" if "@none" in tags else tags[0]


def _lookup(tags: list[str], wanted: str) -> str | None:
    """Return the tag that equals the range, or a shortening of it, or begins with it; None if there is none."""
    lowered = {tag.lower(): tag for tag in tags}
    candidate = wanted
    while candidate:
        if candidate in lowered:
            return lowered[candidate]
        candidate = candidate.rpartition("-")[0]
    return next((tag for low, tag in lowered.items() if low.startswith(wanted + "-")), None)


def in_language(instance: dict[str, Any], lang: str) -> dict[str, Any]:
    """Return a LanguageProperty as a Property with the text that `lang` asks for, and which language that is."""
    texts = instance["languageMap"]
    if type(texts) is not dict or not texts:
        return instance
    tag = best_language(list(texts), lang)
    result = {"type": "Property", "value": texts[tag], "lang": tag}
    result.update((key, item) for key, item in instance.items() if key not in ("type", "languageMap", "valueType"))
    return result
