"""Recognizing picture data, raw or inside JSON, so that it is refused at the door."""

from __future__ import annotations

import re
from typing import Any

SIGNATURES = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"II*\x00",
    b"MM\x00*",
    b"\x00\x00\x00\x01",
    b"\x1aE\xdf\xa3",
)
SHORTEST = 64
DEEPEST = 20
BASE64 = re.compile(r"(?:/9j/|iVBORw0KGgo|R0lGOD[dl]h|UklGR|AAAA.{4}ftyp)")
BASE64_TEXT = re.compile(r"[A-Za-z0-9+/_\-\r\n]{2000,}={0,2}")


def is_image(body: bytes) -> bool:
    """Tell whether the bytes are a picture or a film."""
    if body.startswith(SIGNATURES) or body[4:8] == b"ftyp":
        return True
    if body[:4] == b"RIFF" and body[8:12] in (b"WEBP", b"AVI "):
        return True
    return body[:2] == b"BM" and body[6:10] == b"\0\0\0\0"


def holds_image(value: Any, depth: int = 0) -> str | None:
    """Return the path of a picture inside a JSON value ("message.data.image"), None if there is none."""
    if isinstance(value, str):
        text = value.lstrip()
        encoded = len(text) > SHORTEST and (BASE64.match(text) or BASE64_TEXT.fullmatch(text))
        return "" if encoded or text[:11].lower() == "data:image/" else None
    if depth > DEEPEST:
        return None
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        found = holds_image(inner, depth + 1)
        if found is not None:
            return f"{key}.{found}" if found else str(key)
    return None
