"""Where moving readers are: positions that devices reported lately, found again by time.

A reader with `internal_attributes.moving` has no place of its own; a sighting gets the position that the reader, or
the entity that `positionOf` names (its vehicle), had within `positionWithin` seconds of it, else none: never the
last known one of an hour ago.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tsunagu.adapters import clock
from tsunagu.adapters.errors import BadMeasure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tsunagu.adapters.devices.plan import Plan
    from tsunagu.adapters.sink import EntityUpdate, Sink

MAX_ENTITIES = 20_000
KEPT = 128
WITHIN = 30


@dataclass(slots=True)
class Track:
    """The latest positions of one entity, by time."""

    times: list[int] = field(default_factory=list)
    places: list[dict[str, Any]] = field(default_factory=list)

    def add(self, observed: int, place: dict[str, Any]) -> None:
        """Add a position, whatever order it comes in; the oldest is forgotten."""
        at = bisect_left(self.times, observed)
        if at < len(self.times) and self.times[at] == observed:
            self.places[at] = place
            return
        self.times.insert(at, observed)
        self.places.insert(at, place)
        if len(self.times) > KEPT:
            del self.times[0], self.places[0]

    def nearest(self, observed: int, within: int) -> dict[str, Any] | None:
        """Return the position nearest in time, None if none is within so many ms."""
        at = bisect_left(self.times, observed)
        near = [i for i in (at - 1, at) if 0 <= i < len(self.times)]
        best = min(near, key=lambda i: abs(self.times[i] - observed), default=None)
        return self.places[best] if best is not None and abs(self.times[best] - observed) <= within else None


def source_of(plan: Plan) -> str | None:
    """Return the entity whose position is a reader's, None for a reader that stands still."""
    if not plan.settings.get("moving"):
        return None
    return str(plan.settings.get("positionOf") or plan.entity_id)


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raise BadMeasure naming the member that cannot be."""
    within = settings.get("positionWithin", WITHIN)
    if isinstance(within, bool) or not isinstance(within, int | float) or within < 0:
        raise BadMeasure("internal_attributes.positionWithin must be a number of seconds")
    if not isinstance(settings.get("moving", False), bool):
        raise BadMeasure("internal_attributes.moving must be true or false")
    if not isinstance(settings.get("positionOf", ""), str):
        raise BadMeasure("internal_attributes.positionOf must be the id of an entity")


class Positions:
    """The tracks of all entities that reported a position to this process."""

    def __init__(self) -> None:
        self._tracks: OrderedDict[tuple[str, str], Track] = OrderedDict()

    def note(self, tenant: str, update: EntityUpdate) -> None:
        """Remember the position in an update that has one."""
        location = update.attrs.get("location")
        if location is None or location.get("type") != "GeoProperty" or "observedAt" not in location:
            return
        self._add((tenant, update.id), clock.read_text(location["observedAt"]), location["value"])

    async def prepare(self, plan: Plan, sink: Sink) -> None:
        """Read the current position of a reader that this process knows nothing of. Raises SinkUnavailable."""
        source = source_of(plan)
        if source is None or (plan.tenant, source) in self._tracks:
            return
        entity = await sink.read(plan.tenant, source)
        self._track((plan.tenant, source))
        location = (entity or {}).get("location")
        if isinstance(location, dict) and "observedAt" in location:
            self._add((plan.tenant, source), clock.read_text(location["observedAt"]), location["value"])

    def at(self, plan: Plan, observed: int) -> dict[str, Any] | None:
        """Return where a reader was at a time: its fixed place, or the track of a moving one."""
        source = source_of(plan)
        if source is None:
            location = plan.static.get("location")
            return location["value"] if location is not None else None
        track = self._tracks.get((plan.tenant, source))
        within = round(float(plan.settings.get("positionWithin", WITHIN)) * 1000)
        return track.nearest(observed, within) if track is not None else None

    def _add(self, key: tuple[str, str], observed: int, place: dict[str, Any]) -> None:
        self._track(key).add(observed, place)

    def _track(self, key: tuple[str, str]) -> Track:
        track = self._tracks.get(key)
        if track is None:
            if len(self._tracks) >= MAX_ENTITIES:
                self._tracks.popitem(last=False)
            track = self._tracks[key] = Track()
        else:
            self._tracks.move_to_end(key)
        return track
