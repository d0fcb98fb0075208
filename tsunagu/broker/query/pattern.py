r"""Regular expressions in queries: ~=, !~= and idPattern (4.9, 5.2.33).

The standard names IEEE 1003.2 extended regular expressions. A pattern is read by our own parser, so that both readers
of a query see the same language, and so that no pattern costs more than time linear in the text: MongoDB gets a
pattern in the dialect of PCRE (`pcre`), the matcher in memory runs an `automaton`. Grammar::

    RegExp = Branch *("|" Branch)
    Branch = *Piece
    Piece  = "^" / "$" / Atom ["*" / "+" / "?" / "{" m ["," [n]] "}"] ["?"]
    Atom   = "(" RegExp ")" / "(?:" RegExp ")" / "." / Bracket / Escape / any other character
    Bracket = "[" ["^"] 1*(character / character "-" character / "[:" class ":]" / Escape) "]"
    Escape = "\d" / "\D" / "\w" / "\W" / "\s" / "\S" / "\n" / "\t" / "\r" / "\f" / "\v" / "\" punctuation

A text matches if any part of it does (as `grep` reads it); "^" and "$" stand for its very start and end, "." for any
character. Classes are ASCII. Case matters. References back, looking around and \b are not in the standard's language.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from tsunagu.broker.errors import BadRequestData, TooComplexQuery
from tsunagu.broker.query.automaton import Automaton
from tsunagu.broker.query.characters import ANY, CLASSES, SHORTHANDS, Ranges, complement, union
from tsunagu.broker.query.regex_tree import Anchor, Characters, Choice, Node, Repeat, Sequence

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_LENGTH = 512
MAX_SIZE = 2_000
MAX_REPEAT = 255
MAX_DEPTH = 16

_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_PLAIN = frozenset(" !\"#%&',-/:;<=>@_`~")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A checked regular expression: what was given, the same for PCRE, and a function that searches a text."""

    source: str
    pcre: str = field(compare=False)
    search: Callable[[str], bool] = field(compare=False, repr=False)


def parse_pattern(text: object, *, parameter: str = "idPattern") -> Pattern:
    """Return the pattern. Raises BadRequestData with the position, TooComplexQuery for one that is too large."""
    if not isinstance(text, str):
        raise BadRequestData(f"{parameter}: a regular expression as string is expected")
    if len(text) > MAX_LENGTH:
        raise TooComplexQuery(f"{parameter}: a regular expression may have {MAX_LENGTH} characters, not {len(text)}")
    tree = _trimmed(_Reader(text, parameter).read())
    size = _size(tree)
    if size > MAX_SIZE:
        raise TooComplexQuery(f"{parameter}: the regular expression {text!r} repeats too much")
    return Pattern(text, _pcre(tree), _literal_search(tree) or Automaton(tree).search)


class _Reader:
    """The recursive descent over the text of a pattern."""

    def __init__(self, text: str, parameter: str) -> None:
        self.text = text
        self.parameter = parameter
        self.at = 0
        self.depth = 0

    def fail(self, what: str, at: int) -> NoReturn:
        raise BadRequestData(f"{self.parameter}: {what} at position {at + 1} of the regular expression {self.text!r}")

    def take(self, token: str) -> bool:
        if self.text.startswith(token, self.at):
            self.at += len(token)
            return True
        return False

    def read(self) -> Node:
        tree = self.choice()
        if self.at < len(self.text):
            self.fail("')' without '('", self.at)
        return tree

    def choice(self) -> Node:
        branches = [self.branch()]
        while self.take("|"):
            branches.append(self.branch())
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def branch(self) -> Node:
        parts: list[Node] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            parts.append(self.piece())
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def piece(self) -> Node:
        start = self.at
        anchored = self.text[start] in "^$"
        part = self.anchor() if anchored else self.atom()
        bounds = self.bounds()
        if bounds is None:
            return part
        if anchored:
            self.fail("an anchor cannot be repeated,", start)
        self.take("?")
        if self.at < len(self.text) and self.text[self.at] in "*+?":
            self.fail("a repetition after a repetition", self.at)
        return Repeat(part, *bounds)

    def anchor(self) -> Node:
        self.at += 1
        return Anchor(start=self.text[self.at - 1] == "^")

    def bounds(self) -> tuple[int, int | None] | None:
        for token, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.take(token):
                return bounds
        start = self.at
        if not self.take("{"):
            return None
        end = self.text.find("}", self.at)
        low, comma, high = self.text[self.at : end].partition(",")
        if end < 0 or not low.isdecimal() or not (low + high).isascii() or not (high.isdecimal() or not high):
            self.fail(r"{m}, {m,} or {m,n} is expected (\{ for a brace)", start)
        self.at = end + 1
        least = int(low[:9])
        most = int(high[:9]) if high else (None if comma else least)
        if least > MAX_REPEAT or (most is not None and not least <= most <= MAX_REPEAT):
            self.fail(f"repetitions shall be in order and at most {MAX_REPEAT}", start)
        return least, most

    def atom(self) -> Node:
        start = self.at
        character = self.text[start]
        self.at += 1
        if character == "(":
            return self.group(start)
        if character == "[":
            return Characters(self.bracket(start))
        if character == "\\":
            return Characters(self.escape(start))
        if character == ".":
            return Characters(ANY)
        if character in "*+?{":
            self.fail(f"{character!r} has nothing to repeat", start)
        return Characters(_single(character))

    def group(self, start: int) -> Node:
        if self.take("?") and not self.take(":"):
            self.fail("'(?' is not supported, except '(?:',", start)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TooComplexQuery(
                f"{self.parameter}: at most {MAX_DEPTH} levels of parentheses in a regular expression"
            )
        tree = self.choice()
        self.depth -= 1
        if not self.take(")"):
            self.fail("'(' without ')'", start)
        return tree

    def escape(self, start: int) -> Ranges:
        if self.at >= len(self.text):
            self.fail("a backslash ends the text,", start)
        character = self.text[self.at]
        self.at += 1
        if character in SHORTHANDS:
            return SHORTHANDS[character]
        if character in _ESCAPED:
            return _single(_ESCAPED[character])
        if character.isalnum():
            self.fail(f"'\\{character}' is not supported", start)
        return _single(character)

    def bracket(self, start: int) -> Ranges:
        negated = self.take("^")
        ranges: Ranges = ()
        first = True
        while first or not self.take("]"):
            if self.at >= len(self.text):
                self.fail("'[' without ']'", start)
            ranges = union(ranges, self.bracket_item(start))
            first = False
        return complement(ranges) if negated else ranges

    def bracket_item(self, start: int) -> Ranges:
        here = self.at
        if self.take("[:"):
            end = self.text.find(":]", self.at)
            name = self.text[self.at : end] if end >= 0 else ""
            if name not in CLASSES:
                self.fail(f"a class such as [:alpha:] is expected, one of {', '.join(CLASSES)},", here)
            self.at = end + 2
            return CLASSES[name]
        if self.text.startswith(("[.", "[="), self.at):
            self.fail("collating elements are not supported", here)
        low = self.bracket_character()
        following = self.text[self.at : self.at + 2]
        if len(low) == 1 and low[0][0] == low[0][1] and following[:1] == "-" and following[1:] not in ("", "]"):
            self.at += 1
            if self.at >= len(self.text):
                self.fail("'[' without ']'", start)
            high = self.bracket_character()
            if len(high) != 1 or high[0][0] != high[0][1] or high[0][0] < low[0][0]:
                self.fail("a range of characters in order is expected", here)
            return ((low[0][0], high[0][0]),)
        return low

    def bracket_character(self) -> Ranges:
        start = self.at
        self.at += 1
        return self.escape(start) if self.text[start] == "\\" else _single(self.text[start])


def _single(character: str) -> Ranges:
    return ((ord(character), ord(character)),)


def _trimmed(tree: Node) -> Node:
    """Return the tree without `.*` at its ends, which a search does not need: `^urn:.*` is `^urn:`."""
    parts = list(tree.parts) if isinstance(tree, Sequence) else [tree]
    while parts and _is_anything(parts[0]):
        del parts[0]
    while parts and _is_anything(parts[-1]):
        del parts[-1]
    return Sequence(tuple(parts))


def _is_anything(part: Node) -> bool:
    return isinstance(part, Repeat) and part.part == Characters(ANY) and part.least == 0 and part.most is None


def _size(tree: Node) -> int:
    """Return the number of steps that the automaton of the tree has."""
    if isinstance(tree, Sequence):
        return 1 + sum(map(_size, tree.parts))
    if isinstance(tree, Choice):
        return 1 + sum(1 + _size(branch) for branch in tree.branches)
    if isinstance(tree, Repeat):
        return (1 + _size(tree.part)) * max(1, tree.most if tree.most is not None else tree.least + 1)
    return 1


def _pcre(tree: Node) -> str:
    """Return the pattern for MongoDB: characters beyond letters and digits escaped, sets as hexadecimal ranges."""
    if isinstance(tree, Characters):
        return _pcre_characters(tree.ranges)
    if isinstance(tree, Anchor):
        return "^" if tree.start else r"\z"
    if isinstance(tree, Sequence):
        return "".join(map(_pcre, tree.parts))
    if isinstance(tree, Choice):
        return f"(?:{'|'.join(map(_pcre, tree.branches))})"
    inner = _pcre(tree.part) if isinstance(tree.part, Characters) else f"(?:{_pcre(tree.part)})"
    most = "" if tree.most is None else str(tree.most)
    return inner + {(0, None): "*", (1, None): "+", (0, 1): "?"}.get(
        (tree.least, tree.most), f"{{{tree.least},{most}}}"
    )


def _pcre_characters(ranges: Ranges) -> str:
    if ranges == ANY:
        return r"[\s\S]"
    if not ranges:
        return r"[^\s\S]"
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        character = chr(ranges[0][0])
        if character.isalnum() or character in _PLAIN:
            return character
        return f"\\{character}" if character.isascii() and character.isprintable() else f"\\x{{{ord(character):x}}}"
    return "[" + "".join(f"\\x{{{low:x}}}-\\x{{{high:x}}}" for low, high in ranges) + "]"


def _literal_search(tree: Node) -> Callable[[str], bool] | None:
    """Return a search by the string methods if the pattern is plain text, perhaps anchored; None if it is not."""
    parts = list(tree.parts) if isinstance(tree, Sequence) else [tree]
    at_start = bool(parts) and parts[0] == Anchor(start=True)
    at_end = bool(parts) and parts[-1] == Anchor(start=False)
    text = ""
    for part in parts[at_start : len(parts) - at_end]:
        if not isinstance(part, Characters) or len(part.ranges) != 1 or part.ranges[0][0] != part.ranges[0][1]:
            return None
        text += chr(part.ranges[0][0])
    if at_start and at_end:
        return text.__eq__
    if at_start:
        return lambda value: value.startswith(text)
    if at_end:
        return lambda value: value.endswith(text)
    return lambda value: text in value
