"""CSV as a table: its columns and lines, in UTF-8 with or without a byte order mark, or Shift_JIS."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import orjson

from tsunagu.adapters.errors import BadPayload

if TYPE_CHECKING:
    from tsunagu.adapters.tabular.shape import Shape

Line = tuple[int, list[str]]


def text_of(body: bytes, encoding: str | None) -> str:
    """Return CSV text: UTF-8 with or without BOM, else Shift_JIS, unless the encoding is given. Raises BadPayload."""
    for candidate in (encoding,) if encoding else ("utf-8-sig", "cp932"):
        try:
            return body.decode(candidate)
        except UnicodeDecodeError:
            continue
    raise BadPayload(f"the payload is not {encoding or 'UTF-8 and not Shift_JIS'}")


def table_of(body: bytes, shape: Shape) -> tuple[list[str], list[Line]]:
    """Return the names of the columns, and the lines that are not empty with their numbers.

    Raises BadPayload for a file without columns, with two of one name, or that cannot be read.
    """
    lines = csv.reader(io.StringIO(text_of(body, shape.encoding), newline=""), delimiter=shape.delimiter)
    try:
        table = [(lines.line_num, line) for line in lines if any(cell.strip() for cell in line)]
    except csv.Error as error:
        raise BadPayload(f"line {lines.line_num}: {error}") from None
    columns = shape.columns
    if not columns:
        if not table:
            raise BadPayload("the payload has no line that names the columns")
        columns = [cell.strip() for cell in table.pop(0)[1]]
    twice = next((name for name in columns if name and columns.count(name) > 1), None)
    if twice is not None:
        raise BadPayload(f"two columns are named {twice[:80]!r}: which one is meant?")
    return columns, table


def cells_of(columns: list[str], line: Line) -> dict[str, str]:
    """Return the cells of a line by column; empty ones at its end may be too many. Raises BadPayload."""
    number, cells = line
    while len(cells) > len(columns) and not cells[-1].strip():
        cells = cells[:-1]
    if len(cells) != len(columns):
        raise BadPayload(f"line {number} has {len(cells)} columns and should have {len(columns)}")
    return {name: cell.strip() for name, cell in zip(columns, cells, strict=True) if name}


def rows_of_csv(body: bytes, shape: Shape) -> list[dict[str, Any]]:
    """Return the rows of a CSV body by column name. Raises BadPayload naming the line.

    Numbers are numbers, except in the columns of device id and time, which stay text.
    """
    texts = (shape.device, shape.time)
    columns, table = table_of(body, shape)
    return [
        {name: cell if name in texts else cell_value(cell) for name, cell in cells_of(columns, line).items()}
        for line in table
    ]


def cell_value(cell: str) -> Any:
    """Return a cell: a number if JSON would write it so, None if empty, else text."""
    if not cell:
        return None
    try:
        value = orjson.loads(cell)
    except orjson.JSONDecodeError:
        return cell
    return value if isinstance(value, int | float) and not isinstance(value, bool) else cell
