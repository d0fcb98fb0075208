"""Values in a term of q (4.9): numbers, strings, moments, truth values, URIs.

Grammar::

    ComparableValue = Number / quotedStr / dateTime / date / time
    Value           = ComparableValue / false / true
    URI             = any other text up to ";", "|", ",", ")" or a blank

Number and quotedStr are those of JSON (RFC 8259, 6 and 7); a string may also stand in single quotes, as in NGSIv2,
which have no escapes. A URI, and any other word without quotes, is text, and
compares as text; a URI that holds one of the delimiters must be put in quotes.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING

from tsunagu.broker.query.moments import read_moment

if TYPE_CHECKING:
    from tsunagu.broker.query.ast import Value
    from tsunagu.broker.query.scanner import Scanner

QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
SINGLE_QUOTED = re.compile("'[^']*'")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_MOMENT = re.compile(r"[\d:T-]+(?:[.,]\d{1,6})?Z|\d{4}-\d\d-\d\d", re.ASCII)
_TRUTH = re.compile("true|false")
_WORD = re.compile(r'[^;|,()"\s]+')
_END = re.compile(r"\s*(?:[;|,)]|\.\.|$)")
_INT64 = 2**63


def take_value(scanner: Scanner, *, uri: bool) -> Value:
    """Take a value. `uri`: a URI or another word without quotes will do (after == and !=), as do true and false.

    Integers beyond 64 bits become floats, as in the store. Raises BadRequestData.
    """
    scanner.skip_blanks()
    start = scanner.at
    if scanner.peek() == '"':
        return take_quoted(scanner)
    if scanner.peek() == "'":
        return (scanner.match(SINGLE_QUOTED) or scanner.fail("a string that ends with a quote"))[1:-1]
    for form, read in ((_MOMENT, _moment), (_NUMBER, _number), (_TRUTH, _truth)):
        text = scanner.match(form)
        if text is not None:
            if (uri or form is not _TRUTH) and _END.match(scanner.text, scanner.at):
                return read(scanner, text, start)
            scanner.at = start
    word = scanner.match(_WORD)
    if uri and word:
        return word
    more = ", a truth value or a URI" if uri else ""
    return scanner.fail(f"a value (a number, a string in quotes, a DateTime, Date or Time in UTC{more})", at=start)


def _moment(scanner: Scanner, text: str, start: int) -> Value:
    try:
        moment = read_moment(text)
    except ValueError:
        moment = None
    if moment is None:
        scanner.fail(
            "a DateTime, Date or Time of the calendar such as 2026-07-18T19:10:00Z, 2026-07-18 or 19:10:00Z", at=start
        )
    return moment


def _truth(_scanner: Scanner, text: str, _start: int) -> Value:
    return text == "true"


def _number(scanner: Scanner, text: str, start: int) -> Value:
    number = float(text) if any(mark in text for mark in ".eE") else int(text[:400])
    if isinstance(number, int) and -_INT64 <= number < _INT64:
        return number
    try:
        number = float(text)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        scanner.fail("a number that fits 64 bits", at=start)
    return number


def take_quoted(scanner: Scanner) -> str:
    """Take a JSON string. Raises BadRequestData."""
    start = scanner.at
    text = scanner.match(QUOTED)
    if text is None:
        scanner.fail("a string that ends with a quote", at=start)
    try:
        value = json.loads(text, strict=False)
        value.encode()
    except ValueError:
        scanner.fail('a string of JSON (backslash only before one of "\\/bfnrtu)', at=start)
    if "\x00" in value:
        scanner.fail("a string without the character U+0000", at=start)
    return str(value)
