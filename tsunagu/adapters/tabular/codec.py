"""JSON and CSV of any shape; the group says in `internal_attributes.message` where things stand.

``{"device": path, "time": path, "rows": path, "values": {name: path}}`` for JSON, a path being members joined by
dots, a list index a number ("data.0.value"). Without `values` all members of a row are values, without `rows` the
body is one row, or a list of rows. For CSV ``{"columns": [name, …] | null, "delimiter": ",", "encoding": null}``:
without `columns` the first line names them, without `encoding` UTF-8 (with or without BOM) and Shift_JIS are told
apart. The device id comes from the message's address if `device` is absent. Every dated row has a receipt of its
own, so that a batch may repeat lines of the batch before.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import orjson

from tsunagu.adapters import json_body
from tsunagu.adapters.errors import BadPayload, MissingParameters
from tsunagu.adapters.message import Measure, Message, Reading
from tsunagu.adapters.tabular.shape import Shape, shape_of
from tsunagu.adapters.tabular.table import rows_of_csv

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ROWS = 10_000
CSV_TYPES = ("text/csv", "text/plain", "application/csv")


def decode(message: Message, settings: Mapping[str, Any]) -> list[Reading]:
    """Return the readings of a message by the group's settings. Raises BadPayload."""
    shape = shape_of(settings)
    rows = rows_of_csv(message.body, shape) if is_csv(message) else rows_of_json(message.body, shape)
    if not rows and not shape.columns:
        raise BadPayload("one line alone names the columns and brings no row; internal_attributes.message.columns may")
    if len(rows) > MAX_ROWS:
        raise BadPayload(f"{len(rows)} rows in one message; at most {MAX_ROWS} are taken")
    return [_measure(message, shape, row, i) for i, row in enumerate(rows)]


def is_csv(message: Message) -> bool:
    """Tell whether a message is CSV: by its address, else by its content type."""
    if "form" in message.named:
        return message.named["form"] == "csv"
    return message.content_type.partition(";")[0].strip().lower() in CSV_TYPES


def rows_of_json(body: bytes, shape: Shape) -> list[dict[str, Any]]:
    """Return the rows of a JSON body. Raises BadPayload."""
    value = json_body.parse(body)
    if shape.rows:
        value = pick(value, shape.rows)
    rows = value if isinstance(value, list) else [value]
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise BadPayload(f"{shape.rows or 'the payload'} must be an object or a list of objects")
    return rows


def pick(value: Any, path: str) -> Any:
    """Return what a path leads to, None if it leads nowhere."""
    for part in path.removeprefix("$.").split("."):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def _measure(message: Message, shape: Shape, row: dict[str, Any], index: int) -> Measure:
    device = message.named.get("device") or (pick(row, shape.device) if shape.device else None)
    if device is None:
        raise MissingParameters(f"row {index}: no device id at {shape.device or 'i='}")
    time = pick(row, shape.time) if shape.time else message.named.get("t")
    apart = {shape.device, shape.time}
    if shape.values:
        values = {name: pick(row, path) for name, path in shape.values.items()}
    else:
        values = {name: value for name, value in row.items() if name not in apart}
    receipt = None
    if time is not None:
        digest = blake2b(orjson.dumps([message.named["apikey"], str(device), str(time), values]), digest_size=16)
        receipt = digest.hexdigest()
    return Measure(
        message.named["apikey"], str(device), values, time, receipt, {k: v for k, v in row.items() if k in apart}
    )
