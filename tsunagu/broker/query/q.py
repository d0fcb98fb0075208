"""The query language q (4.9).

Grammar, as it is read here::

    Query       = Conjunction *("|" Conjunction)                    "|" binds weaker than ";"
    Conjunction = Factor *(";" Factor)
    Factor      = "(" Query ")" / QueryTerm
    QueryTerm   = ["!"] Attribute                                   is there; "!": is not there (extension)
                / Attribute ("==" / "!=") (Range / Value *("," Value))
                / Attribute (">" / ">=" / "<" / "<=") ComparableValue
                / Attribute ("~=" / "!~=") (quotedStr / RegExp)
    Attribute   = DottedPath "{" [EntityType *("," EntityType) ":"] Attribute "}" / ValuePath
    ValuePath   see `paths`
    Range       = ComparableValue ".." ComparableValue
    Value       see `values`

Departures from the letter, all wider: associations nest (EXAMPLE 6 does); blanks may stand around values and terms;
the relation before "{" may be a path; a name outside of braces may have a prefix (4.6.2).
An unquoted RegExp ends at ";", at "|" outside of parentheses, or at the parenthesis that closes the association.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tsunagu.broker.query.ast import And, Between, Compare, Exists, Like, Linked, Or
from tsunagu.broker.query.moments import read_moment
from tsunagu.broker.query.paths import take_path
from tsunagu.broker.query.pattern import parse_pattern
from tsunagu.broker.query.scanner import Scanner
from tsunagu.broker.query.types import parse_types
from tsunagu.broker.query.values import QUOTED, SINGLE_QUOTED, take_value

if TYPE_CHECKING:
    from collections.abc import Collection

    from tsunagu.broker.query.ast import Operator, Path, QNode, Terms, TypeSelection, Value

    Links = list[tuple[Path, TypeSelection | None]]

PATTERN_OPERATORS = ("!~=", "~=")
EQUALITY_OPERATORS: tuple[Operator, ...] = ("==", "!=")
ORDER_OPERATORS: tuple[Operator, ...] = (">=", "<=", ">", "<")
_TYPES_HINT = re.compile(r"[^{}\[\]=<>!~.;|]*?(?=:)")
_STRAY_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|([\"\\/]))")


def parse_q(
    text: object,
    context: Terms,
    *,
    expand_values: Collection[str] = (),
    json_keys: Collection[str] = (),
    parameter: str = "q",
) -> QNode:
    """Return the tree of a query.

    `expand_values`: names (as in the query) of attributes whose values in the query are expanded to IRIs before they
    are compared (EXAMPLE 12). `json_keys`: names of attributes whose trailing path is raw JSON (EXAMPLE 11): all
    trailing paths are here, since values are stored unexpanded, so that it changes nothing.
    Raises BadRequestData with the position, TooComplexQuery.
    """
    del json_keys
    scanner = Scanner(text, parameter)
    tree = _Parser(scanner, context, frozenset(map(context.attribute, expand_values))).disjunction(0)
    if not scanner.done():
        scanner.fail("an operator, ';', '|' or the end")
    return tree


def percent_decoded(text: str) -> str:
    """Return a q, or a georel, that came in a JSON body without percent-encoding.

    Only in a URI is it needed (4.9), yet clients also write it into subscriptions (tests 046_05, 5814_01; ngsi-go).
    A text with a "%" that begins no UTF-8 character is taken as it is.
    """
    if "%" not in text or _STRAY_PERCENT.search(text):
        return text
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


class _Parser:
    """The recursive descent; one object per text."""

    def __init__(self, scanner: Scanner, context: Terms, expand_values: frozenset[str]) -> None:
        self.scanner = scanner
        self.context = context
        self.expand_values = expand_values

    def disjunction(self, depth: int) -> QNode:
        parts = [self.conjunction(depth)]
        while self.scanner.take("|"):
            parts.append(self.conjunction(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def conjunction(self, depth: int) -> QNode:
        parts = [self.factor(depth)]
        while self.scanner.take(";"):
            parts.append(self.factor(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def factor(self, depth: int) -> QNode:
        self.scanner.skip_blanks()
        if self.scanner.take("("):
            self.scanner.check_depth(depth + 1)
            node = self.disjunction(depth + 1)
            self.scanner.expect(")")
        else:
            node = self.term()
        self.scanner.skip_blanks()
        return node

    def term(self) -> QNode:
        self.scanner.count_term()
        negated = self.scanner.take("!")
        links, path = self.attribute()
        if negated:
            if links:
                self.scanner.fail("an attribute without braces after '!'")
            return Exists(path, negated=True)
        node = self.condition(path)
        for relation, types in reversed(links):
            node = Linked(relation, types, node)
        return node

    def attribute(self) -> tuple[Links, Path]:
        """Take an Attribute: the relations to follow, from the outside, and the path in the last entity."""
        links: Links = []
        path = take_path(self.scanner, self.context)
        while self.scanner.peek() == "{":
            if not path.names or path.member or path.keys:
                self.scanner.fail("the name of a Relationship before '{'")
            self.scanner.expect("{")
            links.append((path, self.types_hint()))
            self.scanner.check_depth(len(links))
            path = take_path(self.scanner, self.context, prefix=False)
        for _ in links:
            self.scanner.expect("}")
        self.scanner.skip_blanks()
        return links, path

    def types_hint(self) -> TypeSelection | None:
        hint = self.scanner.match(_TYPES_HINT)
        if hint is None:
            return None
        self.scanner.expect(":")
        return parse_types(hint, self.context, parameter=self.scanner.parameter)

    def condition(self, path: Path) -> QNode:
        """Take the operator and what follows it; without an operator, the path has to exist."""
        pattern = self.scanner.take_one(PATTERN_OPERATORS)
        if pattern:
            return Like(path, parse_pattern(self.regex(), parameter=self.scanner.parameter), negated=pattern == "!~=")
        for equality in EQUALITY_OPERATORS:
            if self.scanner.take(equality):
                return self.equality(path, equality)
        for operator in ORDER_OPERATORS:
            if self.scanner.take(operator):
                return Compare(path, operator, (self.value(path, uri=False),))
        return Exists(path)

    def equality(self, path: Path, operator: Operator) -> QNode:
        start = self.scanner.at
        low = self.value(path, uri=True)
        if self.scanner.take(".."):
            if isinstance(low, bool):
                self.scanner.fail("a range of numbers, strings, DateTimes, Dates or Times", at=start)
            return Between(path, low, self.value(path, uri=False), negated=operator == "!=")
        values = [low]
        while self.scanner.take(","):
            self.scanner.count_term()
            values.append(self.value(path, uri=True))
        return Compare(path, operator, tuple(values))

    def value(self, path: Path, *, uri: bool) -> Value:
        """Take a value as it compares: expanded to an IRI where asked for, a DateTime where a time is addressed."""
        value = take_value(self.scanner, uri=uri)
        self.scanner.skip_blanks()
        if not isinstance(value, str):
            return value
        if path.is_time:
            return _moment_or_text(value)
        expands = path.member in ("objectType", "valueType") if path.names else path.member == "type"
        if expands or (path.names and not path.member and path.names[-1] in self.expand_values):
            return self.context.expand_term(value)
        return value

    def regex(self) -> str:
        """Take a regular expression, in quotes or without."""
        self.scanner.skip_blanks()
        start = self.scanner.at
        quoted = self.scanner.match(QUOTED)
        if quoted is not None:
            return _without_escapes(quoted[1:-1])
        quoted = self.scanner.match(SINGLE_QUOTED)
        if quoted is not None:
            return quoted[1:-1]
        self.scanner.at = _end_of_regex(self.scanner.text, start)
        if self.scanner.at == start:
            self.scanner.fail("a regular expression")
        return self.scanner.text[start : self.scanner.at]


def _moment_or_text(text: str) -> Value:
    try:
        return read_moment(text) or text
    except ValueError:
        return text


def _without_escapes(text: str) -> str:
    r"""Return the expression in a JSON string; what JSON gives no meaning, such as \d or \., is left as it is."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], text)


def _end_of_regex(text: str, start: int) -> int:
    """Return where an unquoted expression ends: parentheses and brackets in it are balanced."""
    depth = 0
    at = start
    while at < len(text):
        character = text[at]
        if character == "\\":
            at += 1
        elif character == "[":
            at = _end_of_bracket(text, at)
        elif character == "(":
            depth += 1
        elif character == ")" and depth:
            depth -= 1
        elif character in ";)" or (character == "|" and not depth):
            return at
        at += 1
    return len(text)


def _end_of_bracket(text: str, start: int) -> int:
    """Return the position of the bracket that closes the one at `start`."""
    end = text.find("]", start + (3 if text.startswith("[^", start) else 2))
    return end if end >= 0 else len(text)
