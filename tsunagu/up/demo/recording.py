"""The recorded device messages, and how they are moved to the present before they are sent again."""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from dataclasses import dataclass
from importlib import resources
from typing import Any

FAMILIES = ("chirpstack", "iotagent_json", "ultralight", "ble_gateway", "camera")
CAUTION = 2.2  # metres; the caution level (氾濫注意水位) of every gauge of the demo city

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
_EPOCH = re.compile(r'("(?:timestamp|ts)": )(\d{13})\b')
_DEDUPLICATION = re.compile(r'("deduplicationId": ")([^"]+)"')


@dataclass(frozen=True, slots=True)
class Expected:
    """What a gauge's message makes of the river: the entity and its level in metres over the station's zero."""

    entity: str
    level: float


@dataclass(frozen=True, slots=True)
class Message:
    """One recorded message: when, through which door (topic or path), its bytes as text, what to tell about it."""

    at: dt.datetime
    topic: str | None
    path: str | None
    content_type: str
    text: str
    story: str
    expected: Expected | None


def load() -> list[Message]:
    """Read the recordings of every device family, in the order of time."""
    folder = resources.files(__package__) / "recordings"
    rows = [row for family in FAMILIES for row in json.loads((folder / f"{family}.json").read_text(encoding="utf-8"))]
    return sorted((_message(row) for row in rows), key=lambda message: message.at)


def _message(row: dict[str, Any]) -> Message:
    body, expect = row["body"], row.get("expect")
    return Message(
        at=dt.datetime.fromisoformat(row["at"]),
        topic=row.get("topic"),
        path=row.get("path"),
        content_type=row.get("content_type", "application/json"),
        text=body if isinstance(body, str) else json.dumps(body, ensure_ascii=False),
        story=row["story"],
        expected=Expected(expect["id"], expect["waterLevel"]) if expect else None,
    )


def moved(message: Message, now: dt.datetime) -> bytes:
    """Give the message's bytes as the device would send them now.

    Every time in it moves by as much as lies between the recording and `now`, offsets stay, milliseconds are added;
    a deduplication id becomes another one, since this is another message.
    """
    distance = now - message.at

    def later(found: re.Match[str]) -> str:
        time = dt.datetime.fromisoformat(found[0]) + distance
        return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def later_epoch(found: re.Match[str]) -> str:
        return f"{found[1]}{int(found[2]) + round(distance.total_seconds() * 1000)}"

    def another(found: re.Match[str]) -> str:
        return f'{found[1]}{uuid.uuid5(uuid.UUID(found[2]), now.isoformat())}"'

    return _DEDUPLICATION.sub(another, _EPOCH.sub(later_epoch, _TIME.sub(later, message.text))).encode()
