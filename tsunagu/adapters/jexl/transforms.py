"""The transforms of FIWARE's IoT Agents (iotagent-node-lib, api.md, "JEXL custom transformations"), by name.

They give what the JavaScript originals give; where those throw or give NaN, these give null.
`localestring` and `localestringnumber` know the forms that need no locale data: see their docstrings.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from tsunagu.adapters import clock
from tsunagu.adapters.errors import DeviceError
from tsunagu.adapters.jexl.operators import as_number, as_text, equal, tidy

if TYPE_CHECKING:
    from collections.abc import Callable

INTEGER = re.compile(r"\s*[+-]?\d+")
DECIMAL = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
URI_SAFE = ";,/?:@&=+$-_.!~*'()#"


def null_on_error(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with null for every argument that it cannot take."""

    @wraps(function)
    def safe(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, re.error, DeviceError):
            return None

    return safe


def parse_int(value: Any) -> int | None:
    """Return the whole number that the text starts with."""
    match = INTEGER.match(as_text(value))
    return int(match.group()) if match else None


def parse_float(value: Any) -> Any:
    """Return the number that the text starts with."""
    match = DECIMAL.match(as_text(value))
    return tidy(float(match.group())) if match else None


def instant(value: Any) -> int:
    """Return a date as JavaScript's Date reads it: numbers are epoch ms."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value)
    return clock.read_text(value)


def to_iso(value: Any) -> str:
    """Return the date with milliseconds and Z, as toISOString prints it."""
    moment = datetime.fromtimestamp(instant(value) / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{instant(value) % 1000:03d}Z"


def utc_offset(value: Any) -> int:
    """Return the offset of the server's zone, which is UTC, for a date that can be read."""
    return 0 * instant(value)


def substr(value: Any, start: int, length: int | None = None) -> str:
    """Return `length` characters from `start`, which counts from the end if negative."""
    text = as_text(value)
    begin = max(len(text) + start, 0) if start < 0 else start
    return text[begin:] if length is None else text[begin : begin + max(length, 0)]


def mapper(value: Any, values: list[Any], choices: list[Any]) -> Any:
    """Return the choice at the place where the value stands among the values."""
    return choices[values.index(value)]


def threshold_mapper(value: Any, limits: list[Any], choices: list[Any]) -> Any:
    """Return the choice at the first limit that the value does not exceed."""
    number = as_number(value)
    for limit, choice in zip(limits, choices, strict=False):
        if number is not None and number <= limit:
            return choice
    return None


def bitwise_mask(value: Any, mask: int, operator: str, shift: int) -> int:
    """Mask the whole number with & | or ^ and shift it right."""
    number = parse_int(value) or 0
    masked = {"&": number & int(mask), "|": number | int(mask), "^": number ^ int(mask)}.get(operator, number)
    return masked >> int(shift)


def to_fixed(value: Any, decimals: Any) -> str | None:
    """Print the number with so many decimals, halves away from zero."""
    number, places = parse_float(value), parse_int(decimals)
    if number is None or places is None or not 0 <= places <= 100:  # noqa: PLR2004 - JavaScript's own limit
        return None
    return f"{number:.{places}f}"


def js_round(value: Any) -> Any:
    """Round to a whole number, halves up, as Math.round does."""
    return None if value is None else math.floor(_number(value) + 0.5)


def hex_to_string(value: Any) -> str:
    """Return the UTF-8 text that the hexadecimal digits encode."""
    return bytes.fromhex(value).decode("utf-8", "replace") if value and not re.search(r"\s", value) else _raise(value)


def js_slice(value: Any, start: int = 0, end: int | None = None) -> Any:
    """Return a part of a list or a text."""
    return value[start:end]


def js_hash(value: Any) -> str:
    """Return the 32-bit string hash that the agents use, eight hexadecimal digits."""
    total = 0
    for character in _units(as_text(value)):
        total = ((total << 5) - total + character) & 0xFFFFFFFF
    signed = total - 2**32 if total >= 2**31 else total
    return f"{abs(signed):08X}"


def locale_string(value: Any, timezone: str = "en-US", options: dict[str, Any] | None = None) -> str:
    """Print a date as `toLocaleString("en-US", {timeZone})` does: 7/19/2026, 4:10:00 AM. Other locales give null."""
    if timezone != "en-US":
        _raise(timezone)
    local = clock.zone((options or {}).get("timeZone", "UTC"))
    moment = datetime.fromtimestamp(instant(value) / 1000, local)
    hour = moment.hour % 12 or 12
    return f"{moment.month}/{moment.day}/{moment.year}, {hour}:{moment:%M:%S} {'AM' if moment.hour < 12 else 'PM'}"  # noqa: PLR2004


def locale_number(value: Any, locale: str = "en-US", options: dict[str, Any] | None = None) -> str | None:
    """Print a number with thousands separators and at most three decimals; en-US and ja-JP only."""
    if isinstance(value, bool) or not isinstance(value, int | float) or locale not in ("en-US", "ja-JP"):
        return None
    low = int((options or {}).get("minimumFractionDigits", 0))
    high = int((options or {}).get("maximumFractionDigits", max(3, low)))
    whole, _, rest = f"{value:,.{high}f}".partition(".")
    rest = rest.rstrip("0").ljust(low, "0")
    return f"{whole}.{rest}" if rest else whole


def length_of(value: list[Any]) -> int:
    """Return how many elements there are."""
    return len(value)


def js_typeof(value: Any) -> str:
    """Return JavaScript's name for the type."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "undefined" if value is None else "object"


def add_reduce(value: list[Any]) -> Any:
    """Add up the elements, or join them if there is text among them."""
    total = value[0]
    for part in value[1:]:
        total = as_text(total) + as_text(part) if isinstance(total, str) or isinstance(part, str) else total + part
    return total


def pick(value: dict[str, Any], wanted: Any) -> list[str]:
    """Return the keys that hold the wanted value."""
    return [key for key, held in value.items() if equal(held, wanted)]


def pick_many(value: dict[str, Any], wanted: list[Any]) -> list[str]:
    """Return the keys that hold one of the wanted values."""
    return [key for key, held in value.items() if held in wanted]


def _units(text: str) -> list[int]:
    raw = text.encode("utf-16-le")
    return [raw[i] | raw[i + 1] << 8 for i in range(0, len(raw), 2)]


def _number(value: Any) -> float:
    number = as_number(value)
    return number if number is not None else _raise(value)


def _raise(value: Any) -> Any:
    raise ValueError(value)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "jsonparse": json.loads,
    "jsonstringify": lambda v: json.dumps(v, ensure_ascii=False, separators=(",", ":")),
    "indexOf": lambda v, part: as_text(v).find(as_text(part)),
    "length": lambda v: len(as_text(v)),
    "trim": lambda v: as_text(v).strip(),
    "substr": substr,
    "addreduce": add_reduce,
    "lengtharray": length_of,
    "typeof": js_typeof,
    "isarray": lambda v: isinstance(v, list),
    "isnan": lambda v: as_number(v) is None,
    "parseint": parse_int,
    "parsefloat": parse_float,
    "toisodate": to_iso,
    "toisostring": to_iso,
    "gettime": instant,
    "timeoffset": utc_offset,
    "tostring": lambda v: None if v is None else as_text(v),
    "urlencode": lambda v: quote(as_text(v), safe=URI_SAFE),
    "urldecode": lambda v: unquote(as_text(v), errors="strict"),
    "replacestr": lambda v, old, new: v.replace(old, new, 1),
    "replaceregexp": lambda v, pattern, new: re.sub(pattern, new, v, count=1),
    "replaceallregexp": lambda v, pattern, new: re.sub(pattern, new, v),
    "split": lambda v, separator: v.split(separator) if separator else list(v),
    "joinarrtostr": lambda v, separator: separator.join(as_text(part) for part in v),
    "concatarr": lambda v, other: v + (other if isinstance(other, list) else [other]),
    "mapper": mapper,
    "thmapper": threshold_mapper,
    "bitwisemask": bitwise_mask,
    "slice": js_slice,
    "addset": lambda v, x: [*dict.fromkeys([*v, x])],
    "removeset": lambda v, x: [part for part in dict.fromkeys(v) if part != x],
    "touppercase": lambda v: as_text(v).upper(),
    "tolowercase": lambda v: as_text(v).lower(),
    "floor": lambda v: math.floor(_number(v)),
    "ceil": lambda v: math.ceil(_number(v)),
    "round": js_round,
    "tofixed": to_fixed,
    "localestring": locale_string,
    "localestringnumber": locale_number,
    "now": lambda *_: clock.now(),
    "hextostring": hex_to_string,
    "valuePicker": pick,
    "valuePickerMulti": pick_many,
    "hash": js_hash,
}
TRANSFORMS = {name: null_on_error(function) for name, function in FUNCTIONS.items()}
