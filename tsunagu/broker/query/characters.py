"""Sets of characters as sorted ranges of code points, for regular expressions."""

from __future__ import annotations

LAST = 0x10FFFF
Ranges = tuple[tuple[int, int], ...]

ANY: Ranges = ((0, LAST),)


def union(left: Ranges, right: Ranges) -> Ranges:
    """Return the characters of either set; neighbours are joined."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted((*left, *right)):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def complement(ranges: Ranges) -> Ranges:
    """Return all other characters."""
    gaps = []
    start = 0
    for low, high in ranges:
        if low > start:
            gaps.append((start, low - 1))
        start = high + 1
    if start <= LAST:
        gaps.append((start, LAST))
    return tuple(gaps)


def contains(ranges: Ranges, character: str) -> bool:
    """Return whether the character is in the set."""
    point = ord(character)
    return any(low <= point <= high for low, high in ranges)


def _of(text: str) -> Ranges:
    ranges: Ranges = ()
    for part in text.split():
        ranges = union(ranges, ((ord(part[0]), ord(part[-1])),))
    return ranges


_PUNCTUATION = _of("!-/ :-@ [-` {-~")
_SPACE: Ranges = ((9, 13), (32, 32))

CLASSES: dict[str, Ranges] = {
    "alnum": _of("0-9 A-Z a-z"),
    "alpha": _of("A-Z a-z"),
    "blank": ((9, 9), (32, 32)),
    "cntrl": ((0, 31), (127, 127)),
    "digit": _of("0-9"),
    "graph": ((33, 126),),
    "lower": _of("a-z"),
    "print": ((32, 126),),
    "punct": _PUNCTUATION,
    "space": _SPACE,
    "upper": _of("A-Z"),
    "xdigit": _of("0-9 A-F a-f"),
}

_DIGIT = _of("0-9")
_WORD = _of("0-9 A-Z _ a-z")

SHORTHANDS: dict[str, Ranges] = {
    "d": _DIGIT,
    "D": complement(_DIGIT),
    "w": _WORD,
    "W": complement(_WORD),
    "s": _SPACE,
    "S": complement(_SPACE),
}
