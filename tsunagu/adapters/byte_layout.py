"""Reading fields out of a few bytes, in the grammar of Sigfox's custom payload configuration.

Grammar::

    layout = field { " " field }
    field  = NAME ":" [ BYTE ] ":" TYPE ":" SIZE [ ":" "little-endian" ]

BYTE counts from 0; without it a field starts where the one before ended. TYPE and SIZE: uint and int with 8, 16, 24,
32 or 64 bits, float with 32 or 64 bits, char with a number of bytes, bool with the number of the bit (7 is the
highest; takes no room).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tsunagu.adapters.device_objects import Part
from tsunagu.adapters.errors import BadMeasure, BadPayload

if TYPE_CHECKING:
    from collections.abc import Callable

WHOLE = (8, 16, 24, 32, 64)
FLOATS = {32: "f", 64: "d"}
HIGHEST_BIT = 7
MAX_FIELDS = 64


@dataclass(frozen=True, slots=True)
class Field:
    """A field: its first byte, how many bytes it takes, and how they are read."""

    name: str
    start: int
    length: int
    read: Callable[[bytes], Any]


def compile_layout(text: str) -> Callable[[bytes], list[Part]]:
    """Return a function that reads a payload by the layout. Raises BadMeasure naming the field."""
    fields: list[Field] = []
    end = 0
    for part in text.split():
        field = _field(part, end)
        fields.append(field)
        end = field.start + field.length
    if not fields or len(fields) > MAX_FIELDS:
        raise BadMeasure(f"layout: 1 to {MAX_FIELDS} fields are needed, e.g. level:0:uint:16")

    def read(payload: bytes) -> list[Part]:
        values = {}
        for field in fields:
            piece = payload[field.start : field.start + max(field.length, 1)]
            if len(piece) < max(field.length, 1):
                raise BadPayload(f"payload of {len(payload)} bytes is too short for {field.name} of the layout")
            values[field.name] = field.read(piece)
        return [Part(values)]

    return read


def _field(text: str, end: int) -> Field:
    parts = text.split(":")
    if len(parts) not in (4, 5) or not parts[0] or not parts[3].isdigit() or (parts[1] and not parts[1].isdigit()):
        raise BadMeasure(f"layout: {text!r} must have the form name:[byte]:type:size[:little-endian]")
    name, kind, size = parts[0], parts[2], int(parts[3])
    start = int(parts[1]) if parts[1] else end
    order = "big"
    if len(parts) == 5:  # noqa: PLR2004 - the grammar's fifth part
        if parts[4] not in ("little-endian", "big-endian"):
            raise BadMeasure(f"layout: {text!r} ends neither with little-endian nor with big-endian")
        order = parts[4].removesuffix("-endian")
    if kind in ("uint", "int") and size in WHOLE:
        return Field(name, start, size // 8, _whole(order, signed=kind == "int"))
    if kind == "float" and size in FLOATS:
        return Field(name, start, size // 8, _float(("<" if order == "little" else ">") + FLOATS[size]))
    if kind == "char" and size > 0:
        return Field(name, start, size, lambda piece: piece.decode("utf-8", "replace").rstrip("\0"))
    if kind == "bool" and size <= HIGHEST_BIT:
        return Field(name, start, 0, lambda piece: bool(piece[0] >> size & 1))
    raise BadMeasure(f"layout: {text!r}: {kind} with size {size} is unknown")


def _whole(order: Any, *, signed: bool) -> Callable[[bytes], int]:
    return lambda piece: int.from_bytes(piece, order, signed=signed)


def _float(form: str) -> Callable[[bytes], float]:
    return lambda piece: float(struct.unpack(form, piece)[0])
