"""The collation parameter of entity ordering: ICU collations by their RFC 6067 tags (4.23.3, 5.2.43).

Grammar (RFC 5646 and RFC 6067, as far as it concerns collations)::

    collation = language ["-" script] ["-" region] *("-" variant) ["-u" *("-" key *("-" type))] ["-x" *("-" private)]

"und" is the root collation, the default. As in ICU, a well-formed tag of a language that has no rules of its own means
root, and unknown keys are ignored. The outcome is in the terms of MongoDB, whose ICU does the comparing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.query.ast import ROOT_COLLATION, Collation

if TYPE_CHECKING:
    from collections.abc import Mapping

_TAG = re.compile(
    r"(?P<language>[a-z]{2,3}|[a-z]{5,8})(?:-(?P<script>[a-z]{4}))?(?:-(?P<region>[a-z]{2}|\d{3}))?"
    r"(?:-(?:[a-z\d]{5,8}|\d[a-z\d]{3}))*(?:-u(?P<keys>(?:-[a-z\d]{2}(?:-[a-z\d]{3,8})*)+))?(?:-x(?:-[a-z\d]{1,8})+)?",
    re.ASCII,
)
_KEY = re.compile(r"-([a-z\d]{2})((?:-[a-z\d]{3,8})*)(?=-|$)", re.ASCII)

# Asked of MongoDB 6.0; of region and script, only those matter that have rules of their own.
_LANGUAGES = frozenset(
    """
    af am ar as az be bg bn bo bs ca chr cs cy da de dsb dz ee el en eo es et fa fi fil fo fr ga gl gu ha haw he hi hr
    hsb hu hy id ig is it ja ka kk kl km kn ko kok ky lkt ln lo lt lv mk ml mn mr ms mt my nb ne nl nn om or pa pl ps
    pt ro ru se si sk sl smn sq sr sv sw ta te th to tr ug uk ur vi wae yi yo zh zu
    """.split()  # noqa: SIM905 - readable
)
_PLACES = {
    ("fr", "ca"): "fr_CA",
    ("de", "at"): "de_AT",
    ("zh", "hant"): "zh_Hant",
    ("zh", "tw"): "zh_Hant",
    ("zh", "hk"): "zh_Hant",
    ("zh", "mo"): "zh_Hant",
    ("sr", "latn"): "sr_Latn",
    ("bs", "cyrl"): "bs_Cyrl",
}
_EVERYWHERE = {"search": "search", "eor": "eor", "emoji": "emoji"}
_HAN = {"zhuyin": "zhuyin", "unihan": "unihan", "gb2312": "gb2312han", "big5han": "big5han"}
_HAN_DEFAULTS = {"stroke": "zh_Hant", "pinyin": "zh"}  # by their own names MongoDB refuses them now and then
_VARIANTS: dict[str, Mapping[str, str]] = {
    "ar": {"compat": "compat"},
    "bn": {"trad": "traditional"},
    "de": {"phonebk": "phonebook"},
    "de_AT": {"phonebk": "phonebook"},
    "es": {"trad": "traditional"},
    "fi": {"trad": "traditional"},
    "ja": {"unihan": "unihan"},
    "kn": {"trad": "traditional"},
    "ko": {"unihan": "unihan", "searchjl": "searchjl"},
    "ln": {"phonetic": "phonetic"},
    "si": {"dict": "dictionary"},
    "vi": {"trad": "traditional"},
    "zh": _HAN,
}
_TRUTH: Mapping[str, bool] = {"": True, "true": True, "yes": True, "false": False, "no": False}
_ATTRIBUTES: dict[str, tuple[str, Mapping[str, str | int | bool]]] = {
    "ks": ("strength", {"level1": 1, "level2": 2, "level3": 3, "level4": 4, "identic": 5}),
    "ka": ("alternate", {"noignore": "non-ignorable", "shifted": "shifted"}),
    "kb": ("backwards", _TRUTH),
    "kc": ("caseLevel", _TRUTH),
    "kf": ("caseFirst", {"upper": "upper", "lower": "lower", "false": "off", "no": "off"}),
    "kk": ("normalization", _TRUTH),
    "kn": ("numericOrdering", _TRUTH),
    "kv": ("maxVariable", {"space": "space", "punct": "punct"}),
}


def parse_collation(text: object, *, parameter: str = "collation") -> Collation:
    """Return the collation of a tag such as "de-u-co-phonebk". Raises BadRequestData for what is no such tag."""
    found = _TAG.fullmatch(text.lower().replace("_", "-")) if isinstance(text, str) else None
    if found is None:
        raise BadRequestData(
            f"{parameter}: an ICU collation as of RFC 6067 is expected, such as und or de-u-co-phonebk, not {text!r}"
        )
    keys = {key: types[1:] for key, types in reversed(_KEY.findall(found["keys"] or ""))}
    attributes = []
    for key, (name, types) in _ATTRIBUTES.items():
        if key not in keys:
            continue
        if keys[key] not in types:
            raise BadRequestData(
                f"{parameter}: {key} shall be one of {', '.join(filter(None, types))}, not {keys[key]!r}"
            )
        attributes.append((name, types[keys[key]]))
    return Collation(_locale(found, keys.get("co", "")), tuple(attributes))


def _locale(found: re.Match[str], variant: str) -> str:
    language = {"no": "nb"}.get(found["language"], found["language"])
    if language not in _LANGUAGES:
        return ROOT_COLLATION.locale
    locale = (
        _PLACES.get((language, found["script"] or "")) or _PLACES.get((language, found["region"] or "")) or language
    )
    if language == "zh" and variant:
        locale = _HAN_DEFAULTS.get(variant, "zh")
    name = _VARIANTS.get(locale, {}).get(variant) or _EVERYWHERE.get(variant)
    return f"{locale}@collation={name}" if name else locale
