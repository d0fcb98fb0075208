"""Beacon frames inside BLE adverts: iBeacon, and Eddystone UID and EID.

An advert is a row of AD structures: length, type, data (Bluetooth Core Specification, Supplement, Part A).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MANUFACTURER, SERVICE_DATA_16 = 0xFF, 0x16
IBEACON = b"\x4c\x00\x02\x15"
IBEACON_LENGTH = 25
EDDYSTONE = b"\xaa\xfe"
EDDYSTONE_UID, EDDYSTONE_EID = 0x00, 0x30
UID_LENGTH, EID_LENGTH = 20, 12


def structures(advert: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the AD structures (type, data) of an advert; a structure that runs over the end is left out."""
    position = 0
    while position < len(advert):
        length = advert[position]
        end = position + 1 + length
        if length == 0 or end > len(advert):
            return
        yield advert[position + 1], advert[position + 2 : end]
        position = end


def identity(advert: bytes) -> str | None:
    """Return the identity that a beacon's advert carries, None if it carries none.

    iBeacon "uuid:major:minor", Eddystone-UID "namespace:instance", Eddystone-EID "eid:<8 bytes>" (which rotates).
    """
    for kind, data in structures(advert):
        if kind == MANUFACTURER and data[:4] == IBEACON and len(data) >= IBEACON_LENGTH:
            return ibeacon(data[4:20].hex(), int.from_bytes(data[20:22]), int.from_bytes(data[22:24]))
        if kind == SERVICE_DATA_16 and data[:2] == EDDYSTONE and len(data) > 2:  # noqa: PLR2004 - UUID, then frame type
            frame = data[2]
            if frame == EDDYSTONE_UID and len(data) >= UID_LENGTH:
                return f"{data[4:14].hex()}:{data[14:20].hex()}"
            if frame == EDDYSTONE_EID and len(data) >= EID_LENGTH:
                return f"eid:{data[4:12].hex()}"
    return None


def ibeacon(uuid: str, major: int, minor: int) -> str:
    """Return the identity of an iBeacon: UUID in lower case with hyphens, then major and minor in decimal."""
    digits = uuid.replace("-", "").lower()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}:{major}:{minor}"
