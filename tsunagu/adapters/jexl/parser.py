"""From the text of a JEXL expression to a function.

Grammar, loosest first; transforms bind to the operand before them, as in the reference implementation::

    expression = or [ "?" [expression] ":" expression ]       a ?: b is a if it counts as true, else b
    or         = binary operators by precedence: || && (10), == != > >= < <= in (20), + - (30), * / // (40), % ^ (50)
    operand    = ( "!" | "-" ) operand | primary { "." NAME | "[" index "]" | "|" NAME [ "(" arguments ")" ] }
    index      = expression | expression on the elements, which are written with a leading dot: [.rssi > -80]
    primary    = NUMBER | STRING | "true" | "false" | "null" | NAME | "." NAME | "(" expression ")"
               | "[" [ expression { "," expression } ] "]" | "{" [ key ":" expression { "," … } ] "}"

A name that the context does not have is null; arithmetic on null is null. Nothing raises at evaluation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tsunagu.adapters.errors import BadExpression
from tsunagu.adapters.jexl.operators import BINARY, arithmetic, tidy, truthy
from tsunagu.adapters.jexl.transforms import TRANSFORMS

Context = Mapping[str, Any]
Node = Callable[[Context], Any]

MAX_LENGTH = 2000
MAX_DEPTH = 40
ELEMENT = "\0"  # where a filter keeps the element that it looks at

TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+)
    | (?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    | (?P<name>[^\W\d][\w$]*|\$[\w$]*)
    | (?P<symbol>\|\||&&|==|!=|>=|<=|//|\?:|[-+*/%^<>!?:.,|()\[\]{}])
    )""",
    re.VERBOSE,
)
CHOOSING = frozenset(("mapper", "thmapper", "valuePicker", "valuePickerMulti", "jsonparse"))
NEGATE = arithmetic(lambda a, b: b - a)
LITERALS: dict[str, Any] = {"true": True, "false": False, "null": None, "undefined": None}
OPERATORS = {symbol: precedence for symbol, (precedence, _) in BINARY.items()} | {"||": 10, "&&": 10}


@dataclass(frozen=True)
class Expression:
    """A compiled expression: its text, the names it reads, and `evaluate(context)`.

    `sure` says that it is meant to have a value wherever its names have one: it makes no choice, looks for no member
    and no place in a table, and has no null in it.
    """

    text: str
    names: frozenset[str]
    node: Node
    sure: bool = False

    def evaluate(self, context: Context) -> Any:
        """Return the value, None where JavaScript would have null, undefined or NaN. Raises BadExpression."""
        try:
            return tidy(self.node(context))
        except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
            raise BadExpression(f"expression {self.text!r} cannot be computed: {error}") from None


def compile_expression(text: str) -> Expression:
    """Return the compiled expression. Raises BadExpression with the position of what is wrong."""
    if len(text) > MAX_LENGTH:
        raise BadExpression(f"expression of {len(text)} characters; at most {MAX_LENGTH} are allowed")
    parser = _Parser(text)
    node = parser.expression()
    parser.expect_end()
    return Expression(text, frozenset(parser.names), node, parser.sure)


class _Parser:
    """A recursive descent over the tokens; every method returns a function of the context."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.names: set[str] = set()
        self.sure = True
        self.depth = 0
        self.tokens = list(self._tokenize())
        self.index = 0

    def _tokenize(self) -> list[tuple[str, str, int]]:
        tokens, position = [], 0
        end = len(self.text.rstrip())
        while position < end:
            match = TOKEN.match(self.text, position)
            if match is None:
                raise self._error("no token of JEXL starts here", position)
            kind = match.lastgroup or ""
            tokens.append((kind, match.group(kind), match.start(kind)))
            position = match.end()
        return tokens

    def _error(self, detail: str, position: int | None = None) -> BadExpression:
        if position is None:
            position = self.tokens[self.index][2] if self.index < len(self.tokens) else len(self.text)
        return BadExpression(f"expression {self.text!r}, position {position}: {detail}")

    def _peek(self) -> str:
        """Return the next symbol, or operator word, or "" at the end and before literals and names."""
        if self.index >= len(self.tokens):
            return ""
        kind, text, _ = self.tokens[self.index]
        return text if kind == "symbol" or (kind == "name" and text == "in") else ""

    def _take(self, symbol: str) -> bool:
        if self._peek() != symbol:
            return False
        self.index += 1
        return True

    def _expect(self, symbol: str) -> None:
        if not self._take(symbol):
            raise self._error(f"{symbol!r} expected")

    def expect_end(self) -> None:
        """Raise BadExpression if tokens are left."""
        if self.index < len(self.tokens):
            raise self._error("an operator or the end expected")

    def expression(self) -> Node:
        """Parse a whole expression with its ternaries."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._error(f"more than {MAX_DEPTH} levels of nesting")
        test = self._binary(0)
        self.sure = self.sure and self._peek() not in ("?", "?:")
        if self._take("?:"):
            node = _choose(test, None, self.expression())
        elif self._take("?"):
            middle = self.expression() if self._peek() != ":" else None
            self._expect(":")
            node = _choose(test, middle, self.expression())
        else:
            node = test
        self.depth -= 1
        return node

    def _binary(self, floor: int) -> Node:
        left = self._operand()
        while (symbol := self._peek()) in OPERATORS and OPERATORS[symbol] > floor:
            self.index += 1
            self.sure = self.sure and symbol not in ("&&", "||")
            right = self._binary(OPERATORS[symbol])
            left = _combine(symbol, left, right)
        return left

    def _operand(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._error(f"more than {MAX_DEPTH} levels of nesting")
        if self._take("!"):
            inner = self._operand()
            node: Node = lambda context: not truthy(inner(context))  # noqa: E731
        elif self._take("-"):
            negative = self._operand()
            node = lambda context: NEGATE(negative(context), 0)  # noqa: E731
        else:
            node = self._postfix(self._primary())
        self.depth -= 1
        return node

    def _postfix(self, node: Node) -> Node:
        while True:
            self.sure = self.sure and self._peek() not in (".", "[")
            if self._take("."):
                node = _member(node, self._name())
            elif self._take("["):
                node = self._index(node)
            elif self._take("|"):
                node = self._transform(node)
            else:
                return node

    def _name(self) -> str:
        if self.index < len(self.tokens) and self.tokens[self.index][0] == "name":
            self.index += 1
            return self.tokens[self.index - 1][1]
        raise self._error("a name expected")

    def _index(self, node: Node) -> Node:
        start = self.index
        inner = self.expression()
        self._expect("]")
        relative = any(
            text == "." and (i == start or self.tokens[i - 1][1] in "([{,!&&||==!=>=<=+-*/%^in")
            for i, (_, text, _) in enumerate(self.tokens[start : self.index], start)
        )
        return _filter(node, inner) if relative else _item(node, inner)

    def _transform(self, node: Node) -> Node:
        name = self._name()
        if name not in TRANSFORMS:
            self.index -= 1
            raise self._error(f"there is no transform {name!r}")
        self.sure = self.sure and name not in CHOOSING
        arguments = self._list(")") if self._take("(") else []
        return _call(TRANSFORMS[name], [node, *arguments])

    def _list(self, end: str) -> list[Node]:
        nodes: list[Node] = []
        while not self._take(end):
            if nodes:
                self._expect(",")
            nodes.append(self.expression())
        return nodes

    def _primary(self) -> Node:
        if self.index >= len(self.tokens):
            raise self._error("a value expected")
        kind, text, _ = self.tokens[self.index]
        self.index += 1
        if kind == "number":
            return _constant(tidy(float(text)) if not text.isdigit() else int(text))
        if kind == "string":
            return _constant(re.sub(r"\\(.)", r"\1", text[1:-1]))
        if kind == "name":
            return self._named(text)
        if text == "(":
            node = self.expression()
            self._expect(")")
            return node
        if text == "[":
            items = self._list("]")
            return lambda context: [item(context) for item in items]
        if text == "{":
            return self._object()
        if text == ".":
            return _member(_variable(ELEMENT), self._name())
        self.index -= 1
        raise self._error("a value expected")

    def _named(self, name: str) -> Node:
        if name in LITERALS:
            self.sure = self.sure and LITERALS[name] is not None
            return _constant(LITERALS[name])
        self.names.add(name)
        return _variable(name)

    def _object(self) -> Node:
        members: dict[str, Node] = {}
        while not self._take("}"):
            if members:
                self._expect(",")
            kind, text, _ = self.tokens[self.index] if self.index < len(self.tokens) else ("", "", 0)
            if kind not in ("name", "string", "number"):
                raise self._error("a key expected")
            self.index += 1
            self._expect(":")
            members[text[1:-1] if kind == "string" else text] = self.expression()
        return lambda context: {key: node(context) for key, node in members.items()}


def _constant(value: Any) -> Node:
    return lambda _context: value


def _variable(name: str) -> Node:
    return lambda context: context.get(name)


def _choose(test: Node, yes: Node | None, no: Node) -> Node:
    def choose(context: Context) -> Any:
        value = test(context)
        if truthy(value):
            return value if yes is None else yes(context)
        return no(context)

    return choose


def _combine(symbol: str, left: Node, right: Node) -> Node:
    if symbol == "&&":
        return lambda context: right(context) if truthy(value := left(context)) else value
    if symbol == "||":
        return lambda context: value if truthy(value := left(context)) else right(context)
    apply = BINARY[symbol][1]
    return lambda context: apply(left(context), right(context))


def _member(node: Node, name: str) -> Node:
    def member(context: Context) -> Any:
        value = node(context)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            value = value[0]  # as the reference does: a list stands for its first element
        return value.get(name) if isinstance(value, dict) else None

    return member


def _item(node: Node, index: Node) -> Node:
    def item(context: Context) -> Any:
        value, key = node(context), index(context)
        if isinstance(value, dict):
            return value.get(key)
        if isinstance(value, list | str) and isinstance(key, int) and 0 <= key < len(value):
            return value[key]
        return None

    return item


def _filter(node: Node, test: Node) -> Node:
    def keep(context: Context) -> Any:
        value = node(context)
        elements = value if isinstance(value, list) else [] if value is None else [value]
        return [element for element in elements if truthy(test({**context, ELEMENT: element}))]

    return keep


def _call(transform: Callable[..., Any], nodes: list[Node]) -> Node:
    return lambda context: transform(*[node(context) for node in nodes])
