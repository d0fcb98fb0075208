"""A cursor over the text of a query, which all parsers share, and the limits that keep a query payable."""

from __future__ import annotations

import re
from typing import NoReturn

from tsunagu.broker.errors import BadRequestData, TooComplexQuery
from tsunagu.schemas.ids import is_name

MAX_LENGTH = 16_384
MAX_TERMS = 256
MAX_DEPTH = 16
EXCERPT = 20

_WORD = re.compile(r"\w+")
_UNPAIRED = re.compile("[\ud800-\udfff]")


class Scanner:
    """A position in the text of the query parameter `parameter`. Failures name the parameter and the position."""

    __slots__ = ("at", "parameter", "terms", "text")

    def __init__(self, text: object, parameter: str) -> None:
        if not isinstance(text, str):
            raise BadRequestData(f"{parameter}: a string is expected")
        if len(text) > MAX_LENGTH:
            raise TooComplexQuery(f"{parameter}: at most {MAX_LENGTH} characters are allowed, not {len(text)}")
        unpaired = _UNPAIRED.search(text)
        if unpaired or "\x00" in text:
            raise BadRequestData(f"{parameter}: characters that Unicode does not encode are not allowed")
        self.text = text
        self.parameter = parameter
        self.at = 0
        self.terms = 0

    def fail(self, expected: str, *, at: int | None = None) -> NoReturn:
        """Raise BadRequestData: what is expected at the position, and what stands there."""
        at = self.at if at is None else at
        found = self.text[at : at + EXCERPT]
        stands = f"not {found!r}" if found else "but the text ends"
        raise BadRequestData(f"{self.parameter}: {expected} expected at position {at + 1}, {stands}")

    def skip_blanks(self) -> None:
        """Move over blanks, which the examples of 4.9 have between the values of a list."""
        while self.at < len(self.text) and self.text[self.at] == " ":
            self.at += 1

    def done(self) -> bool:
        """Return whether nothing is left."""
        return self.at >= len(self.text)

    def peek(self, count: int = 1) -> str:
        """Return the next characters without moving."""
        return self.text[self.at : self.at + count]

    def take(self, token: str) -> bool:
        """Move over the token if it stands here, and say so."""
        if self.text.startswith(token, self.at):
            self.at += len(token)
            return True
        return False

    def take_one(self, tokens: tuple[str, ...]) -> str | None:
        """Move over the first of the tokens that stands here and return it."""
        for token in tokens:
            if self.take(token):
                return token
        return None

    def match(self, pattern: re.Pattern[str]) -> str | None:
        """Move over what the pattern matches here and return it."""
        found = pattern.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found.group()

    def expect(self, token: str) -> None:
        """Move over the token, or fail."""
        if not self.take(token):
            self.fail(f"{token!r}")

    def name(self, what: str) -> str:
        """Take a short name of 4.6.2, perhaps with a prefix (`prefix:name`), or fail."""
        start = self.at
        name = self.plain_name(what)
        if self.peek() == ":" and _WORD.match(self.text, self.at + 1):
            self.at += 1
            name = f"{name}:{self.plain_name(what)}"
            if self.peek() == ":":
                self.fail(f"{what}, a short name", at=start)
        return name

    def plain_name(self, what: str) -> str:
        """Take a name of 4.6.2 without prefix, or fail."""
        start = self.at
        word = self.match(_WORD)
        if word is None or not is_name(word):
            self.fail(f"{what}, a name that starts with a letter,", at=start)
        return word

    def count_term(self) -> None:
        """Count a term; raise TooComplexQuery if there are too many."""
        self.terms += 1
        if self.terms > MAX_TERMS:
            raise TooComplexQuery(f"{self.parameter}: at most {MAX_TERMS} terms are allowed")

    def check_depth(self, depth: int) -> None:
        """Raise TooComplexQuery if the nesting is too deep."""
        if depth > MAX_DEPTH:
            raise TooComplexQuery(f"{self.parameter}: at most {MAX_DEPTH} levels of nesting are allowed")
