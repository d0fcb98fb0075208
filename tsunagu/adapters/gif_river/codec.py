"""CSV of 455-1-25 河川水位および危険度情報 (Government Interoperability Framework, JDA-DM/GIF): one station per line.

The headings lead to attributes of our river level model; thresholds and place come with every line. The device id is
the station's name (局名). Times without offset are Japanese; a line without a time or a level gives what it has.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import orjson

from tsunagu.adapters import clock
from tsunagu.adapters.errors import BadPayload, DeviceError
from tsunagu.adapters.message import Measure, Message, Reading, Ready
from tsunagu.adapters.tabular.codec import MAX_ROWS
from tsunagu.adapters.tabular.shape import Shape
from tsunagu.adapters.tabular.table import rows_of_csv
from tsunagu.adapters.values import check_position, number, whole

if TYPE_CHECKING:
    from collections.abc import Callable

STATION, TIME, LATITUDE, LONGITUDE = "局名", "最新観測時刻", "緯度", "経度"
LEVEL, ALERT, POST = "河川水位", "警報値", "キロポスト"
FORM = Shape(device=STATION, time=TIME)
THRESHOLDS = {
    "水防団待機水位": "standbyLevel",
    "氾濫注意水位": "cautionLevel",
    "避難判断水位": "evacuationJudgementLevel",
    "氾濫危険水位": "dangerLevel",
}
TEXTS = {"河川名": "riverName", "所在地": "address", "所在地（住所）": "address", "所在地(住所)": "address"}
KILOMETRES = re.compile(r"(\d+(?:\.\d+)?)[kKｋＫ](?:\+?(\d{3})m?)?")
JAPAN = clock.zone("Asia/Tokyo")
MISSING = frozenset(("", "-", "－", "―", "欠測", "閉局", "*"))


def decode(message: Message) -> list[Reading]:
    """Return a reading per station. Raises BadPayload naming line and column."""
    rows = rows_of_csv(message.body, FORM)
    if rows and STATION not in rows[0]:
        raise BadPayload(f"the first line names no column {STATION}: this is no file of GIF 455-1-25")
    if len(rows) > MAX_ROWS:
        raise BadPayload(f"{len(rows)} lines in one file; at most {MAX_ROWS} are taken")
    return [_measure(message, row, line) for line, row in enumerate(rows, 2)]


def _measure(message: Message, row: dict[str, Any], line: int) -> Measure:
    station = row.get(STATION)
    if not station:
        raise BadPayload(f"line {line}: {STATION} is empty")
    try:
        values, static = _values(row), _static(row)
        time = clock.iso(_moment(row[TIME])) if row.get(TIME) else None
    except DeviceError as error:
        raise BadPayload(f"line {line}: {error}") from None
    apikey = message.named["apikey"]
    receipt = None
    if time is not None:
        receipt = blake2b(orjson.dumps([apikey, str(station), row], default=str), digest_size=16).hexdigest()
    return Measure(apikey, str(station), values, time, receipt, static=static)


def _values(row: dict[str, Any]) -> dict[str, Any]:
    """Return what was observed: level and alert; a missing level is no level."""
    values: dict[str, Any] = {}
    level = row.get(LEVEL)
    if _is_there(row, LEVEL):
        values["waterLevel"] = Ready(_quantity(row, LEVEL, "MTR"))
    if _is_there(row, ALERT):
        values["warningLevel"] = _number(row[ALERT], ALERT, read=whole)
    if "waterLevel" not in values:
        values["sensorStatus"] = str(level or "欠測")
    return values


def _static(row: dict[str, Any]) -> dict[str, Any]:
    """Return what describes the station: names, thresholds, place."""
    static: dict[str, Any] = {"name": {"type": "Property", "value": str(row[STATION])}}
    for heading, name in THRESHOLDS.items():
        if _is_there(row, heading):
            static[name] = _quantity(row, heading, "MTR")
    for heading, name in TEXTS.items():
        if row.get(heading) is not None:
            static[name] = {"type": "Property", "value": str(row[heading])}
    if _is_there(row, POST):
        static["kilometrePost"] = {"type": "Property", "value": _kilometres(row[POST]), "unitCode": "KMT"}
    if _is_there(row, LATITUDE) and _is_there(row, LONGITUDE):
        position = check_position([_number(row[LONGITUDE], LONGITUDE), _number(row[LATITUDE], LATITUDE)])
        static["location"] = {"type": "GeoProperty", "value": {"type": "Point", "coordinates": position}}
    return static


def _quantity(row: dict[str, Any], heading: str, unit: str) -> dict[str, Any]:
    return {"type": "Property", "value": _number(row[heading], heading), "unitCode": unit}


def _is_there(row: dict[str, Any], heading: str) -> bool:
    """Tell whether a cell holds anything but a sign for nothing."""
    return row.get(heading) is not None and str(row[heading]).strip() not in MISSING


def _moment(text: str) -> int:
    """Return a time of the file, epoch ms. Raises BadPayload for a date alone, and BadTimestamp."""
    if clock.is_date(text):
        raise BadPayload(f"{TIME}: {text!r} has no time of day")
    return clock.read_time(text, JAPAN)


def _kilometres(value: Any) -> float | int:
    """Return a kilometre post: 15.2, 15.2k or 15k200 (15 km and 200 m). Raises BadPayload."""
    match = KILOMETRES.fullmatch(str(value).strip())
    if match is None:
        return _number(value, POST)
    return round(float(match[1]) + int(match[2] or 0) / 1000, 3)


def _number(value: Any, heading: str, *, read: Callable[[Any], float | int] = number) -> float | int:
    try:
        return read(value)
    except DeviceError as error:
        raise BadPayload(f"{heading}: {error}") from None
