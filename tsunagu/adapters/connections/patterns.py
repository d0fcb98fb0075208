"""Topic and path patterns with named parts: "v3/{app}@{tenant}/devices/{dev}/up", a last level "#" takes the rest.

A part takes one character or more of its level, as few as possible; the names of a pattern are different.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NAME = re.compile(r"\{([A-Za-z_]\w*)\}")
LONGEST = 1024


class PatternError(ValueError):
    """The pattern cannot be read; the text says what would be right."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern, the MQTT filter that subscribes to what it may match, and what it matches exactly."""

    text: str
    filter: str
    names: frozenset[str]
    _expression: re.Pattern[str]

    def match(self, topic: str) -> dict[str, str] | None:
        """Return the named parts of a topic, with "rest" for "#"; None if it does not match."""
        found = self._expression.fullmatch(topic)
        return found.groupdict() if found is not None else None

    @property
    def shape(self) -> str:
        """The pattern without its names: two patterns of one shape match the same topics."""
        return NAME.sub("{}", self.text)


def compile_pattern(text: str) -> Pattern:
    """Return a pattern. Raises PatternError."""
    if not text or len(text) > LONGEST or "\0" in text:
        raise PatternError(f"a pattern has 1 to {LONGEST} characters")
    levels = text.split("/")
    rest = levels[-1] == "#"
    expressions, filters, names = [], [], []
    for level in levels[:-1] if rest else levels:
        pieces = NAME.split(level)
        if any(sign in piece for piece in pieces[::2] for sign in "{}+#"):
            raise PatternError(
                f"{level!r}: a named part is {{name}}, of letters, digits and _; + and # have no place here, "
                "but # as the last level"
            )
        names += pieces[1::2]
        expressions.append(
            "".join(re.escape(piece) if i % 2 == 0 else f"(?P<{piece}>[^/]+?)" for i, piece in enumerate(pieces))
        )
        filters.append("+" if len(pieces) > 1 else level)
    if len(set(names)) < len(names) or "rest" in names:
        raise PatternError("each name may be used once, and rest is what # takes")
    expression = "/".join(expressions)
    if rest:
        names.append("rest")
        filters.append("#")
        expression += "(?:/(?P<rest>.*))?" if expressions else "(?P<rest>.*)"
    return Pattern(text, "/".join(filters), frozenset(names), re.compile(expression, re.DOTALL))
