"""The operators of JEXL with JavaScript's results, but for two things.

Nothing becomes NaN or Infinity: null in, null out. Arithmetic gives 15 significant digits: 0.1 + 0.2 is 0.3.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

SAFE_INTEGER = 2**53


def as_number(value: Any) -> float | int | None:
    """Return the value as JavaScript's arithmetic would see it: a number, or None where JavaScript has NaN."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return None
        return number if math.isfinite(number) and not number.is_integer() else as_number_whole(number)
    return None


def as_number_whole(number: float) -> float | int | None:
    """Return a whole float as int if JavaScript would keep it exact; None if it is not finite."""
    if not math.isfinite(number):
        return None
    return int(number) if abs(number) < SAFE_INTEGER else number


def tidy(value: Any) -> Any:
    """Return a number as JSON would print it in JavaScript: 5.0 is 5; NaN and Infinity are None."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        if value.is_integer() and abs(value) < SAFE_INTEGER:
            return int(value)
    return value


def as_text(value: Any) -> str:
    """Return the value as JavaScript's String() prints it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, float):
        return str(tidy(value))
    if isinstance(value, list):
        return ",".join("" if part is None else as_text(part) for part in value)
    if isinstance(value, dict):
        return "[object Object]"
    return str(value)


def truthy(value: Any) -> bool:
    """Return whether the value counts as true: lists and objects always do, as in JavaScript."""
    return isinstance(value, list | dict) or bool(value)


def arithmetic(compute: Callable[[float, float], float]) -> Callable[[Any, Any], Any]:
    """Return an operator on numbers: None if either side is no number or the result is not finite."""

    def apply(left: Any, right: Any) -> Any:
        first, second = as_number(left), as_number(right)
        if first is None or second is None:
            return None
        try:
            return tidy(denoise(compute(first, second)))
        except (ArithmeticError, ValueError):
            return None

    return apply


def denoise(number: float) -> float:
    """Return the number at 15 significant digits, which binary arithmetic keeps: 4.85 - 1.24 is 3.61."""
    return float(f"{number:.15g}") if isinstance(number, float) else number


def power(base: float, exponent: float) -> float:
    """Return base to the exponent in floating point, so that the result stays small in memory."""
    return math.pow(base, exponent)


def add(left: Any, right: Any) -> Any:
    """Add numbers, or join texts as soon as one side is text."""
    if left is None or right is None:
        return None
    if isinstance(left, str) or isinstance(right, str):
        return as_text(left) + as_text(right)
    return ADD_NUMBERS(left, right)


def equal(left: Any, right: Any) -> bool:
    """Compare loosely, as JavaScript's == does."""
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    if isinstance(left, list | dict) or isinstance(right, list | dict) or left is None or right is None:
        return bool(left == right)
    first, second = as_number(left), as_number(right)
    return first is not None and first == second


def ordering(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Return a comparison: of two texts by letters, of anything else as numbers; with no number it is false."""

    def apply(left: Any, right: Any) -> bool:
        if isinstance(left, str) and isinstance(right, str):
            return compare(left, right)
        first, second = as_number(left), as_number(right)
        return first is not None and second is not None and compare(first, second)

    return apply


def contains(left: Any, right: Any) -> bool:
    """Tell whether a list has the element, or a text the part."""
    if isinstance(right, str):
        return isinstance(left, str) and left in right
    return isinstance(right, list) and left in right


ADD_NUMBERS = arithmetic(lambda a, b: a + b)

# symbol → (precedence, function); `&&` and `||` stop early and live in the parser.
BINARY: dict[str, tuple[int, Callable[[Any, Any], Any]]] = {
    "==": (20, equal),
    "!=": (20, lambda a, b: not equal(a, b)),
    ">": (20, ordering(lambda a, b: a > b)),
    ">=": (20, ordering(lambda a, b: a >= b)),
    "<": (20, ordering(lambda a, b: a < b)),
    "<=": (20, ordering(lambda a, b: a <= b)),
    "in": (20, contains),
    "+": (30, add),
    "-": (30, arithmetic(lambda a, b: a - b)),
    "*": (40, arithmetic(lambda a, b: a * b)),
    "/": (40, arithmetic(lambda a, b: a / b)),
    "//": (40, arithmetic(lambda a, b: a // b)),
    "%": (50, arithmetic(math.fmod)),
    "^": (50, arithmetic(power)),
}
