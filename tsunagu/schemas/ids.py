"""URIs, names and scopes (ETSI GS CIM 009, 3.1 note 2, 4.6.2 and 4.18).

A URI here may be an IRI (RFC 3987). Characters that cannot be seen or that Unicode assigns to no one are refused:
an entity under such an id could not be read back by someone who types it.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

MAX_LENGTH = 2048
_ASCII = r"A-Za-z0-9\-._~!$&'()*+,;=:@/?#\[\]"


def _uri(characters: str) -> re.Pattern[str]:
    return re.compile(rf"[A-Za-z][A-Za-z0-9+.\-]*:(?=.)[{characters}]*(?:%[0-9A-Fa-f]{{2}}[{characters}]*)*", re.ASCII)


_PLAIN_URI = _uri(_ASCII)
_IRI = _uri(_ASCII + r"\u00a1-\U000efffd")
_LATIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
# Letters by category, yet invisible: Hangul fillers; and the blank of Braille, variation selectors, joiners.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u180b\u180c\u180d\u180f")
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})


def is_uri(text: object) -> bool:
    """Return whether `text` is an absolute URI or IRI with a scheme and something after it."""
    if type(text) is not str or len(text) > MAX_LENGTH:
        return False
    return _PLAIN_URI.fullmatch(text) is not None or (not text.isascii() and _is_iri(text))


@lru_cache(maxsize=1024)
def _is_iri(text: str) -> bool:
    return _IRI.fullmatch(text) is not None and all(map(_visible, text))


def _visible(character: str) -> bool:
    if character.isascii():
        return True
    point = ord(character)
    if character in _BLANK or 0xFE00 <= point <= 0xFE0F or 0xE0100 <= point <= 0xE01EF:  # noqa: PLR2004 - variation selectors
        return False
    return unicodedata.category(character) not in _HIDDEN_CATEGORIES


def is_name(text: str) -> bool:
    """Return whether `text` is a short name of 4.6.2: a Unicode letter, then letters, numbers and underscores."""
    if _LATIN_NAME.fullmatch(text) is not None:
        return True
    return bool(text) and unicodedata.category(text[0])[0] == "L" and all(map(_name_character, text))


def _name_character(character: str) -> bool:
    return character == "_" or unicodedata.category(character)[0] in "LN"


def is_scope(text: object) -> bool:
    """Return whether `text` is a Scope of 4.18: levels separated by '/', optionally starting with '/'."""
    if type(text) is not str or len(text) > MAX_LENGTH:
        return False
    return all(map(is_name, text.removeprefix("/").split("/")))
