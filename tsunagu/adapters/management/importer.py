"""Devices from CSV, as a town hall keeps them: a device per line, English or Japanese headings, UTF-8 or Shift_JIS.

Each row stands alone: one that is wrong is rejected with its reason, the others go in. A second run changes nothing.
Every import is kept with what was there before, so that it can be undone.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tsunagu.adapters import clock
from tsunagu.adapters.catalogue import DEVICES, Entry
from tsunagu.adapters.devices.registry import device_id_of
from tsunagu.adapters.errors import DeviceError
from tsunagu.adapters.provisioning import bodies
from tsunagu.adapters.provisioning.errors import ProvisioningError, wrong_syntax
from tsunagu.adapters.tabular.shape import Shape
from tsunagu.adapters.tabular.table import cells_of, table_of
from tsunagu.adapters.values import check_position, number

if TYPE_CHECKING:
    from tsunagu.adapters.provisioning.store import ProvisioningStore

IMPORTS = "device_imports"
AT_ONCE = 16
STATUSES = ("created", "changed", "unchanged", "rejected")
MAX_ROWS = 20_000

MEMBERS = {
    **{
        name: name
        for name in ("device_id", "model", "apikey", "entity_name", "entity_type", "timezone", "protocol", "transport")
    },
    **dict.fromkeys(("機器ID", "デバイスID", "デバイス番号", "カメラ番号"), "device_id"),
    "APIキー": "apikey",
    "エンティティID": "entity_name",
    "機種": "model",
    "種別": "entity_type",
    "タイムゾーン": "timezone",
}
PLACE = {"latitude": "latitude", "緯度": "latitude", "longitude": "longitude", "経度": "longitude"}
TEXTS = {
    **{name: name for name in ("name", "address", "description", "riverName", "municipalityCode")},
    **dict.fromkeys(("名称", "設置場所", "局名"), "name"),
    "所在地": "address",
    "住所": "address",
    "説明": "description",
    "河川名": "riverName",
    "全国地方公共団体コード": "municipalityCode",
}
THRESHOLDS = {
    "水防団待機水位": "standbyLevel",
    "氾濫注意水位": "cautionLevel",
    "避難判断水位": "evacuationJudgementLevel",
    "氾濫危険水位": "dangerLevel",
    "観測開始水位": "observationStartLevel",
    "氾濫開始水位": "overflowStartLevel",
    "零点高": "zeroPointElevation",
}
METRES = {**THRESHOLDS, **{name: name for name in (*THRESHOLDS.values(), "referenceHeight", "sensorHeight")}}
KNOWN = {**MEMBERS, **PLACE, **TEXTS, **METRES}


@dataclass(slots=True)
class Row:
    """A line of the file: its device, and what becomes of it."""

    number: int
    device: Entry = field(default_factory=dict)
    status: str = ""
    detail: str = ""
    before: Entry | None = None

    def shown(self) -> dict[str, Any]:
        """Return the row as the API shows it."""
        found: dict[str, Any] = {"row": self.number, "deviceId": self.device.get("device_id"), "status": self.status}
        return {**found, "detail": self.detail} if self.detail else found


def parse(body: bytes, defaults: Entry) -> list[Row]:
    """Return the rows of a file; `defaults` fill in what rows leave out. Raises ProvisioningError for a whole file."""
    try:
        columns, table = table_of(body, Shape())
    except DeviceError as error:
        raise wrong_syntax(str(error)) from None
    if len(table) > MAX_ROWS:
        raise wrong_syntax(f"{len(table)} rows; at most {MAX_ROWS} are taken")
    _check_columns(columns)
    seen: set[tuple[Any, Any]] = set()
    rows = []
    for index, line in enumerate(table, 2):
        row = Row(index)
        try:
            cells = cells_of(columns, line)
            row.device = {"device_id": next((cells[name] for name in cells if MEMBERS.get(name) == "device_id"), None)}
            row.device = device_of(cells, defaults)
            key = (row.device.get("apikey"), row.device["device_id"])
            if key in seen:
                raise wrong_syntax("device_id: an earlier row has it already")
            seen.add(key)
        except (ProvisioningError, DeviceError) as error:
            row.status, row.detail = "rejected", str(error)
        rows.append(row)
    return rows


def _check_columns(columns: list[str]) -> None:
    """Raise ProvisioningError for columns that are not known, or of which two mean the same."""
    unknown = [name for name in columns if name and name not in KNOWN]
    if unknown:
        raise wrong_syntax(f"columns {', '.join(unknown)} are unknown; known are {', '.join(sorted(KNOWN))}")
    meant: dict[str, str] = {}
    for name in columns:
        if name and meant.setdefault(KNOWN[name], name) != name:
            raise wrong_syntax(f"columns {meant[KNOWN[name]]} and {name} both mean {KNOWN[name]}: leave one out")


def device_of(cells: dict[str, str], defaults: Entry) -> Entry:
    """Return the device of a row in the form of the provisioning API. Raises ProvisioningError, DeviceError."""
    device = dict(defaults)
    static: list[Entry] = []
    place: dict[str, float] = {}
    for heading, value in cells.items():
        if not value:
            continue
        if heading in MEMBERS:
            device[MEMBERS[heading]] = value
        elif heading in PLACE:
            place[PLACE[heading]] = _number(value, heading)
        elif heading in METRES:
            unit = {"unitCode": {"type": "Text", "value": "MTR"}}
            static.append(
                {"name": METRES[heading], "type": "Number", "value": _number(value, heading), "metadata": unit}
            )
        else:
            static.append({"name": TEXTS[heading], "type": "Text", "value": value})
    if not device.get("device_id"):
        raise wrong_syntax("device_id: is missing")
    if place:
        if len(place) != 2:  # noqa: PLR2004 - both or none
            raise wrong_syntax("latitude and longitude: both or none are needed")
        position = check_position([place["longitude"], place["latitude"]])
        static.append({"name": "location", "type": "geo:json", "value": {"type": "Point", "coordinates": position}})
    if static:
        device["static_attributes"] = static
    return bodies.check(bodies.Device, device)


def _number(value: Any, heading: str) -> float | int:
    try:
        return number(value)
    except DeviceError as error:
        raise wrong_syntax(f"{heading}: {error}") from None


async def run(store: ProvisioningStore, service: str, path: str, rows: list[Row], *, dry_run: bool) -> dict[str, Any]:
    """Bring the rows in, several at once; return what became of each. A dry run only says what would."""
    stored = {
        device_id_of(path, entry.get("apikey") or "", entry["device_id"]): entry
        for entry in await store.catalogue.find(service, DEVICES, {"service_path": path})
    }
    gate = asyncio.Semaphore(AT_ONCE)

    async def bring(row: Row) -> None:
        async with gate:
            await _bring(store, service, path, row, stored=stored, dry_run=dry_run)

    await asyncio.gather(*(bring(row) for row in rows if not row.status))
    counts = {status: sum(row.status == status for row in rows) for status in STATUSES}
    shown = [row.shown() for row in rows if row.status != "unchanged"]
    report: dict[str, Any] = {**counts, "dryRun": dry_run, "rows": shown}
    touched = [row for row in rows if row.status in ("created", "changed")]
    if touched and not dry_run:
        report["import"] = await _keep(store, service, path, touched)
    return report


async def _bring(
    store: ProvisioningStore, service: str, path: str, row: Row, *, stored: dict[str, Entry], dry_run: bool
) -> None:
    device = row.device
    row.before = stored.get(device_id_of(path, device.get("apikey") or "", device["device_id"]))
    try:
        if row.before is None:
            row.status = "created"
            if not dry_run:
                await store.create_devices(service, path, [device])
            else:
                await store.check_device(service, path, device)
            return
        old = row.before
        changes = {name: value for name, value in device.items() if name != "device_id" and old.get(name) != value}
        row.status = "changed" if changes else "unchanged"
        if changes and not dry_run:
            await store.change_device(service, path, device["device_id"], device.get("apikey"), changes=changes)
    except ProvisioningError as error:
        row.status, row.detail = "rejected", str(error)


async def _keep(store: ProvisioningStore, service: str, path: str, rows: list[Row]) -> str:
    """Keep what was there before; return the import's id."""
    key = f"{clock.now():013d}-{secrets.token_hex(4)}"
    kept = [
        {"device_id": row.device["device_id"], "apikey": row.device.get("apikey"), "before": row.before} for row in rows
    ]
    await store.catalogue.insert(service, IMPORTS, key, {"id": key, "service_path": path, "devices": kept})
    return key


async def undo(store: ProvisioningStore, service: str, key: str) -> dict[str, int] | None:
    """Take an import back: remove what it created, restore what it changed. Return None if there is no such import."""
    record = await store.catalogue.get(service, IMPORTS, key)
    if record is None:
        return None
    path, removed, restored = record["service_path"], 0, 0
    for device in record["devices"]:
        entry = device_id_of(path, device["apikey"] or "", device["device_id"])
        if device["before"] is None:
            removed += await store.catalogue.delete(service, DEVICES, entry)
        else:
            await store.catalogue.replace(service, DEVICES, entry, device["before"])
            restored += 1
        store.registry.device_changed(service, entry)
    await store.catalogue.delete(service, IMPORTS, key)
    return {"removed": removed, "restored": restored}
