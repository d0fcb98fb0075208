"""The scope query language scopeQ (4.19), and whether scopes match.

Grammar::

    ScopesQ     = OrScopeQ *(orOp OrScopeQ) / "/#"
    OrScopeQ    = "(" ScopeQ *(andOp ScopeQ) ")" / ScopeQ ["/#"]
    ScopeQ      = "/" ScopeQLevel *("/" ScopeQLevel)
    ScopeQLevel = a name of 4.6.2 / "+"
    andOp       = ";"
    orOp        = "|" / ","

Departures, all wider: the first "/" may be missing, as in EXAMPLE 5; "/#" may stand in a conjunction; a conjunction
needs no parentheses. A scope of an entity may lack its first "/", too (4.18): "Madrid" and "/Madrid" are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsunagu.broker.query.ast import ScopePattern, ScopeSelection
from tsunagu.broker.query.scanner import Scanner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

OR = ("|", ",")


def parse_scope(text: object, *, parameter: str = "scopeQ") -> ScopeSelection:
    """Return the selection. Raises BadRequestData with the position, TooComplexQuery."""
    scanner = Scanner(text, parameter)
    alternatives = [_alternative(scanner)]
    while scanner.take_one(OR):
        alternatives.append(_alternative(scanner))
    if not scanner.done():
        scanner.fail("'|', ',', ';' or the end")
    return ScopeSelection(tuple(alternatives))


def _alternative(scanner: Scanner) -> tuple[ScopePattern, ...]:
    grouped = scanner.take("(")
    patterns = [_pattern(scanner)]
    while scanner.take(";"):
        patterns.append(_pattern(scanner))
    if grouped:
        scanner.expect(")")
    return tuple(patterns)


def _pattern(scanner: Scanner) -> ScopePattern:
    scanner.count_term()
    scanner.take("/")
    levels: list[str] = []
    while not scanner.take("#"):
        levels.append("+" if scanner.take("+") else scanner.plain_name("a level of a scope, '+', '#' or"))
        scanner.check_depth(len(levels))
        if not scanner.take("/"):
            return ScopePattern(tuple(levels))
    return ScopePattern(tuple(levels), subtree=True)


def compile_scope(selection: ScopeSelection) -> Callable[[Sequence[str]], bool]:
    """Return whether the scopes of an entity meet the selection."""
    alternatives = selection.alternatives

    def matches(scopes: Sequence[str]) -> bool:
        split = [scope.removeprefix("/").split("/") for scope in scopes]
        return any(
            all(any(_meets(scope, pattern) for scope in split) for pattern in patterns) for patterns in alternatives
        )

    return matches


def _meets(scope: Sequence[str], pattern: ScopePattern) -> bool:
    levels = pattern.levels
    if len(scope) != len(levels) and not (pattern.subtree and len(scope) > len(levels)):
        return False
    return all(wanted in ("+", level) for level, wanted in zip(scope, levels, strict=False))
