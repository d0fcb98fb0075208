"""A @context for the tests of the parsers, and queries written back as text."""

from __future__ import annotations

import json
from typing import Any

from tsunagu.broker.query.ast import And, Between, Compare, Exists, Like, Linked, Or, Path

MEMBERS = {"o": "observedAt", "c": "createdAt", "m": "modifiedAt", "e": "expiresAt"}
MEMBERS |= {"created": "createdAt", "modified": "modifiedAt", "expires": "expiresAt"}


class Letters:
    """A @context that puts "x:" before every term."""

    def expand_term(self, term: str) -> str:
        return f"x:{term}"

    def attribute(self, term: str) -> str:
        return f"x:{term}"


LETTERS = Letters()


def path(*terms: str, member: Any = None, keys: tuple[str, ...] = ()) -> Path:
    return Path(tuple(f"x:{term}" for term in terms), member, keys)


def write_path(at: Path) -> str:
    words = [name.removeprefix("x:") for name in at.names]
    if at.member:
        words.append(MEMBERS.get(at.member, at.member))
    return ".".join(words) + (f"[{'.'.join(at.keys)}]" if at.keys else "")


def write_value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool) else repr(value)


def write_q(node: Any, before: str = "", after: str = "") -> str:
    """Return the text of a tree. `before` and `after`: the linked terms around it and their braces."""
    if isinstance(node, And | Or):
        sign = ";" if isinstance(node, And) else "|"
        return "(" + sign.join(write_q(part, before, after) for part in node.parts) + ")"
    if isinstance(node, Linked):
        types = ",".join(kinds[0].removeprefix("x:") for kinds in node.types.alternatives) + ":" if node.types else ""
        return write_q(node.inner, f"{before}{write_path(node.path)}{{{types}", "}" + after)
    at = before + write_path(node.path) + after
    if isinstance(node, Exists):
        return ("!" if node.negated else "") + at
    if isinstance(node, Compare):
        return f"{at}{node.operator}{','.join(map(write_value, node.values))}"
    if isinstance(node, Between):
        return f"{at}{'!=' if node.negated else '=='}{write_value(node.low)}..{write_value(node.high)}"
    assert isinstance(node, Like)
    return f"{at}{'!~=' if node.negated else '~='}{json.dumps(node.pattern.source)}"
