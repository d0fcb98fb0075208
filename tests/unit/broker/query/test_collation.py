"""Collation tags (4.23.3, RFC 6067)."""

from __future__ import annotations

import pytest

from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.query.ast import ROOT_COLLATION, Collation
from tsunagu.broker.query.collation import parse_collation


@pytest.mark.parametrize(
    ("tag", "collation"),
    [
        ("und", ROOT_COLLATION),
        ("und-x-icu", ROOT_COLLATION),
        ("und-u-ks-identic", Collation("en", (("strength", 5),))),
        ("und-u-ks-level2", Collation("en", (("strength", 2),))),
        ("de-u-co-phonebk", Collation("de@collation=phonebook")),
        ("de-AT-u-co-phonebk", Collation("de_AT@collation=phonebook")),
        ("de-DE", Collation("de")),
        ("ja", Collation("ja")),
        ("no", Collation("nb")),
        ("zh-Hant-TW", Collation("zh_Hant")),
        ("zh_TW", Collation("zh_Hant")),
        ("zh-u-co-stroke", Collation("zh_Hant")),
        ("zh-Hant-u-co-pinyin", Collation("zh")),
        ("zh-Hant-u-co-zhuyin", Collation("zh@collation=zhuyin")),
        ("fr-CA", Collation("fr_CA")),
        ("en-u-kn-kf-upper", Collation("en", (("caseFirst", "upper"), ("numericOrdering", True)))),
        ("en-u-kn-false", Collation("en", (("numericOrdering", False),))),
        ("tlh", ROOT_COLLATION),
        ("ja-u-co-phonebk", Collation("ja")),
        ("ja-u-nu-latn", Collation("ja")),
    ],
)
def test_tags(tag: str, collation: Collation) -> None:
    """Tags become collations of MongoDB; what has no rules of its own is root, as in ICU."""
    assert parse_collation(tag) == collation


@pytest.mark.parametrize(
    "tag", ["!!nope", "not a bcp47 tag!!", "", "d", "de-", "de-u", "de-u-ks-level9", "de-u-kn-maybe", 5, None]
)
def test_malformed(tag: object) -> None:
    """What is no tag, or has a key with an unknown type, is BadRequestData."""
    with pytest.raises(BadRequestData, match=r"^collation: "):
        parse_collation(tag)
