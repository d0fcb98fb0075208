"""The transforms that FIWARE's IoT Agents document."""

from __future__ import annotations

import pytest

from tsunagu.adapters.jexl import compile_expression
from tsunagu.adapters.jexl.transforms import TRANSFORMS

CONTEXT = {
    "t": "  Kakogawa ",
    "n": 3.567,
    "list": [3, 1, 2],
    "o": {"a": 1, "b": 2},
    "when": "2026-07-19T04:10:00+09:00",
    "hex": "e6b0b4",
}

CASES = [
    ("'{\"a\":[1]}'|jsonparse", {"a": [1]}),
    ("'{'|jsonparse", None),
    ("o|jsonstringify", '{"a":1,"b":2}'),
    ("t|trim", "Kakogawa"),
    ("t|trim|indexOf('g')", 4),
    ("t|length", 11),
    ("'abcdef'|substr(1, 3)", "bcd"),
    ("'abcdef'|substr(-2)", "ef"),
    ("list|addreduce", 6),
    ("list|lengtharray", 3),
    ("n|typeof", "number"),
    ("t|typeof", "string"),
    ("nothing|typeof", "undefined"),
    ("list|isarray", True),
    ("'x'|isnan", True),
    ("'12px'|parseint", 12),
    ("'px'|parseint", None),
    ("'2.50 m'|parsefloat", 2.5),
    ("1784401800000|toisodate", "2026-07-18T19:10:00.000Z"),
    ("when|toisodate", "2026-07-18T19:10:00.000Z"),
    ("'soon'|toisodate", None),
    ("when|gettime", 1784401800000),
    ("when|timeoffset", 0),
    ("n|tostring", "3.567"),
    ("'a b&c'|urlencode", "a%20b&c"),
    ("'a%20b'|urldecode", "a b"),
    ("'aXbX'|replacestr('X', '-')", "a-bX"),
    ("'a1b2'|replaceregexp('[0-9]', '')", "ab2"),
    ("'a1b2'|replaceallregexp('[0-9]', '')", "ab"),
    ("'a1'|replaceregexp('[', '')", None),
    ("'a,b'|split(',')", ["a", "b"]),
    ("list|joinarrtostr('-')", "3-1-2"),
    ("list|concatarr([9])", [3, 1, 2, 9]),
    ("2|mapper([1, 2], ['one', 'two'])", "two"),
    ("5|mapper([1, 2], ['one', 'two'])", None),
    ("2.3|thmapper([1.5, 2.2, 2.8], ['standby', 'caution', 'judgement'])", "judgement"),
    ("9|thmapper([1.5], ['standby'])", None),
    ("53|bitwisemask(15, '&', 2)", 1),
    ("list|slice(1)", [1, 2]),
    ("'abc'|slice(0, 2)", "ab"),
    ("list|addset(1)", [3, 1, 2]),
    ("list|removeset(1)", [3, 2]),
    ("'ab'|touppercase", "AB"),
    ("'AB'|tolowercase", "ab"),
    ("n|floor", 3),
    ("n|ceil", 4),
    ("n|round", 4),
    ("(0 - 2.5)|round", -2),
    ("n|tofixed(1)", "3.6"),
    ("'x'|tofixed(1)", None),
    ("hex|hextostring", "水"),
    ("'zz'|hextostring", None),
    ("o|valuePicker(2)", ["b"]),
    ("o|valuePickerMulti([1, 2])", ["a", "b"]),
    ("'abc'|hash", "00017862"),
    ("1784401800000|localestring('en-US', {timeZone: 'Asia/Tokyo'})", "7/19/2026, 4:10:00 AM"),
    ("1234567.891|localestringnumber('ja-JP')", "1,234,567.891"),
    ("12|localestringnumber('en-US', {minimumFractionDigits: 2})", "12.00"),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_a_transform_gives_what_the_reference_gives(text: str, expected: object) -> None:
    """The value is that of iotagent-node-lib, null where that throws or gives NaN."""
    assert compile_expression(text).evaluate(CONTEXT) == expected


def test_every_documented_transform_is_tried() -> None:
    """No transform is without a test."""
    tried = {name for name in TRANSFORMS if any(f"|{name}" in text for text, _ in CASES)}
    assert set(TRANSFORMS) - tried <= {"now", "toisostring"}


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
@pytest.mark.parametrize("value", [None, 1, "x", [], {}, True])
def test_a_transform_of_anything_raises_nothing(name: str, value: object) -> None:
    """A wrong argument gives null."""
    TRANSFORMS[name](value)
    TRANSFORMS[name](value, value)
