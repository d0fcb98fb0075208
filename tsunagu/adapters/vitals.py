"""How a watched device is, besides being alive: signal, battery, clock, lost frames, messages that could not be read.

A network server's frame counter (fCnt) tells what never arrived: a gap is so many lost frames, a smaller number soon
after is one that came late after all, a much smaller one a device that began anew. Counter and losses are kept in the
health entity, so that workers and restarts count together. A clock that is off is named as the time policy names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tsunagu.adapters import clock
from tsunagu.adapters.message import Measure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tsunagu.adapters.message import Reading
    from tsunagu.adapters.sink import EntityUpdate
    from tsunagu.adapters.time_policy import Stamp

COUNTERS = ("fCnt", "f_cnt")
BATTERIES = ("batteryLevel", "batteryVoltage")
BEGAN_ANEW = 64  # frames that a counter may fall back before the device counts as restarted
REMEMBERED = 200  # messages that the error rate looks back on, about
UNITS = {"rssi": "DBM", "clockOffset": "SEC"}


@dataclass(slots=True)
class Vitals:
    """What one device's messages told; None: nothing yet."""

    rssi: float | None = None
    snr: float | None = None
    offset: float | None = None
    clock: str | None = None
    counter: int | None = None
    lost: int = 0
    taken: float = 0
    failed: float = 0
    battery: tuple[str, Any] | None = None

    def note(self, reading: Reading, stamp: Stamp, received: int, updates: Sequence[EntityUpdate]) -> bool:
        """Note a reading; tell whether what changed should be told at once."""
        self._age()
        self.taken += 1
        for update in updates:
            for name in BATTERIES:
                if name in update.attrs:
                    self.battery = (name, update.attrs[name].get("value"))
        urgent = self._note_clock(stamp, received)
        if isinstance(reading, Measure) and reading.context:
            context = reading.context
            self.rssi = _number(context.get("rssi"), self.rssi)
            self.snr = _number(context.get("snr"), self.snr)
            counter = counter_of(reading)
            if counter is not None:
                self.count(counter)
                urgent = True
        return urgent

    def _note_clock(self, stamp: Stamp, received: int) -> bool:
        if not stamp.dated and stamp.extra is None:
            return False
        quality = (stamp.extra or {}).get("timeQuality")
        device = clock.read_text(stamp.extra["deviceTime"]["value"]["@value"]) if quality and stamp.extra else None
        self.offset = ((device if device is not None else stamp.observed) - received) / 1000
        before, self.clock = self.clock, quality["value"] if quality else None
        return before != self.clock

    def fail(self) -> None:
        """Note a message that could not be read."""
        self._age()
        self.failed += 1

    def _age(self) -> None:
        """Forget the older half, so that the rate is that of late."""
        if self.taken + self.failed >= REMEMBERED:
            self.taken, self.failed = self.taken / 2, self.failed / 2

    def resume(self, stored: Mapping[str, Any]) -> None:
        """Go on from what the health entity knows, if that is newer."""
        counter, lost = _value(stored, "frameCounter"), _value(stored, "lostFrames")
        if isinstance(counter, int) and (self.counter is None or counter > self.counter):
            self.counter, self.lost = counter, lost if isinstance(lost, int) else 0

    def count(self, counter: int) -> None:
        """Compare a frame's counter with the last one."""
        last = self.counter
        if last is None or counter > last:
            self.lost += counter - last - 1 if last is not None else 0
            self.counter = counter
        elif counter < last - BEGAN_ANEW or (counter == 0 and last > 0):
            self.counter = counter
        elif counter < last:
            self.lost = max(self.lost - 1, 0)

    def attrs(self, at: str) -> dict[str, Any]:
        """Return what is known, as attributes of the health entity."""
        total = self.taken + self.failed
        values: dict[str, Any] = {
            "rssi": self.rssi,
            "snr": self.snr,
            "clockOffset": round(self.offset, 1) if self.offset is not None else None,
            "clockStatus": self.clock or ("good" if self.offset is not None else None),
            "frameCounter": self.counter,
            "lostFrames": self.lost if self.counter is not None else None,
            "decodeErrorRate": round(self.failed / total, 3) if total else None,
        }
        if self.battery is not None:
            values[self.battery[0]] = self.battery[1]
        return {
            name: {
                "type": "Property",
                "value": value,
                **({"unitCode": UNITS[name]} if name in UNITS else {}),
                "observedAt": at,
            }
            for name, value in values.items()
            if value is not None
        }


def counter_of(reading: Reading) -> int | None:
    """Return the frame counter that a network server gave with a reading."""
    if isinstance(reading, Measure) and reading.context:
        for name in COUNTERS:
            value = reading.context.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                return value
    return None


def _number(given: Any, before: float | None) -> float | None:
    """Return a number that a network server gave; for anything else the one before."""
    return given if isinstance(given, int | float) and not isinstance(given, bool) else before


def _value(stored: Mapping[str, Any], name: str) -> Any:
    instance = stored.get(name)
    return instance.get("value") if isinstance(instance, dict) else None
