"""The language filter."""

from __future__ import annotations

import pytest

from tsunagu.broker.errors import BadRequestData
from tsunagu.broker.representations.language import best_language, language_ranges


@pytest.mark.parametrize(
    ("lang", "ranges"),
    [
        ("en", ("en",)),
        ("fr-CH,fr", ("fr-ch", "fr")),
        ("fr-CH,fr;q=0.9,en;q=0.8,*;q=0.5", ("fr-ch", "fr", "en", "*")),
        ("fr;q=0.2, nl;q=0.9", ("nl", "fr")),
        ("en;q=0,fr", ("fr",)),
        ("*", ("*",)),
    ],
)
def test_languages_are_ranked_by_quality(lang, ranges):
    """4.15: by quality value, 1 if none is given, then in the order given; 0 excludes."""
    assert language_ranges(lang) == ranges


@pytest.mark.parametrize("lang", ["", "en,,fr", "e n", "en;q=x", "en;q=2", "en;quality=1", "1en-", "<script>"])
def test_what_is_no_language_filter_is_refused(lang):
    """4.15: tags of RFC 5646 with quality values of RFC 9110."""
    with pytest.raises(BadRequestData, match="lang"):
        language_ranges(lang)


@pytest.mark.parametrize(
    ("tags", "lang", "best"),
    [
        (["fr", "nl"], "nl", "nl"),
        (["fr", "nl"], "FR", "fr"),
        (["fr", "nl"], "nl-BE", "nl"),
        (["de", "en-US"], "en", "en-US"),
        (["fr", "nl"], "fr;q=0.2,nl;q=0.9", "nl"),
        (["fr", "nl"], "*", "fr"),
        (["fr", "nl"], "pt", "fr"),
        (["fr", "@none"], "pt", "@none"),
        (["fr", "@none"], "*", "@none"),
        (["fr", "nl"], "pt,*;q=0.5", "fr"),
        (["zh-Hant", "zh-Hans-CN"], "zh-Hans", "zh-Hans-CN"),
        (["en-US", "en"], "en-GB", "en"),
    ],
)
def test_the_best_language_is_looked_up(tags, lang, best):
    """4.15 and RFC 4647: exact, shortened, extended; else the default text or any."""
    assert best_language(tags, lang) == best
