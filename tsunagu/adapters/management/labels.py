"""Labels for devices: as CSV for a label printer, or as a page to print, with a QR code for each device.

The code holds JSON {"id": device, "k": apikey, "entity": …} and, when tokens have just been issued, "token": whoever
puts the device up scans it into the device or into an application.
"""

from __future__ import annotations

import csv
import io
from html import escape
from typing import TYPE_CHECKING, Any

import orjson
import segno

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tsunagu.adapters.catalogue import Entry

COLUMNS = ("device_id", "apikey", "entity_name", "name", "token")
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Device labels</title>
<style>
body {{ font: 9pt sans-serif; margin: 8mm; }}
.label {{ display: inline-flex; gap: 3mm; width: 85mm; height: 34mm; padding: 3mm; border: 1px solid #999;
  break-inside: avoid; overflow: hidden; vertical-align: top; box-sizing: border-box; }}
.label svg {{ width: 28mm; height: 28mm; flex: none; }} .label b {{ font-size: 12pt; }}
.label div {{ overflow-wrap: anywhere; }}
</style>
{labels}
</html>
"""


def rows(devices: Iterable[Entry]) -> list[dict[str, str]]:
    """Return what stands on each label; `token` only where one was just issued."""
    return [
        {
            "device_id": device["device_id"],
            "apikey": device.get("apikey") or "",
            "entity_name": device.get("entity") or device.get("entity_name") or "",
            "name": _name(device),
            "token": device.get("token", ""),
        }
        for device in devices
    ]


def _name(device: Entry) -> str:
    named = (one.get("value") for one in device.get("static_attributes") or () if one.get("name") == "name")
    return str(next(named, None) or "")


def as_csv(devices: Iterable[Entry]) -> str:
    """Return the labels as CSV with a byte order mark, so that spreadsheets read Japanese names."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    for row in rows(devices):
        writer.writerow({name: _safe(value) for name, value in row.items()})
    return "\ufeff" + out.getvalue()


def _safe(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@") else cell


def as_html(devices: Sequence[Entry]) -> str:
    """Return the labels as a page to print."""
    return PAGE.format(labels="\n".join(_label(row) for row in rows(devices)))


def _label(row: dict[str, str]) -> str:
    code: dict[str, Any] = {"id": row["device_id"], "k": row["apikey"], "entity": row["entity_name"]}
    if row["token"]:
        code["token"] = row["token"]
    picture = segno.make(orjson.dumps(code).decode(), micro=False, error="m").svg_inline(scale=2, border=1)
    token = f"<br><code>{escape(row['token'])}</code>" if row["token"] else ""
    return (
        f'<div class="label">{picture}<div><b>{escape(row["device_id"])}</b><br>{escape(row["name"])}<br>'
        f"<small>{escape(row['entity_name'])}</small>{token}</div></div>"
    )
