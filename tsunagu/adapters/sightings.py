"""Reducing adverts to sightings: which tags are admitted, and when a tag has entered, stayed with, or left a reader.

Rules (devices.md 2b; all limits are settings of the group, `internal_attributes.tags`, times in seconds):
only identities with an allowed prefix count; a tag enters a reader after `enter_after` adverts, or at once when the
edge says so; while it stays, one update per `refresh`; it leaves after `silence`. Of several readers that hear it
within `merge_window` the strongest signal wins by `margin` dB. The memory holds admitted tags only, `MAX_TAGS` at
most; everything else leaves no trace.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tsunagu.adapters import clock
from tsunagu.adapters.errors import BadMeasure
from tsunagu.adapters.positions import Positions
from tsunagu.adapters.sink import EntityUpdate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tsunagu.adapters.devices.plan import Plan
    from tsunagu.adapters.message import Sighting
    from tsunagu.adapters.time_policy import Stamp

MAX_TAGS = 100_000
MAX_CANDIDATES = 16
TYPE = "TagSighting"
WEAKEST = -128
MEMBERS = frozenset(("allow", "vendor", "enter_after", "refresh", "silence", "merge_window", "margin"))


@dataclass(frozen=True, slots=True)
class TagRules:
    """The rules of one group, times in ms; `allow` maps a prefix of the identity to a vendor ("" if unnamed)."""

    allow: Mapping[str, str]
    enter_after: int = 2
    refresh: int = 30_000
    silence: int = 60_000
    merge_window: int = 3_000
    margin: int = 6

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> TagRules:
        """Read the rules from a plan's settings. Raises BadMeasure naming the member."""
        given = settings.get("tags") or {}
        if not isinstance(given, dict):
            raise BadMeasure("internal_attributes.tags must be an object")
        if not given.keys() <= MEMBERS:
            raise BadMeasure(f"internal_attributes.tags has members {', '.join(sorted(MEMBERS))} alone")
        allow = given.get("allow") or {}
        if not isinstance(allow, dict | list) or not all(isinstance(one, str) for one in allow):
            raise BadMeasure(
                "internal_attributes.tags.allow must be a list of prefixes, or an object of vendors by prefix"
            )
        prefixes = allow if isinstance(allow, dict) else dict.fromkeys(allow, "")
        vendor = given.get("vendor") or ""
        return cls(
            allow={_prefix(prefix): str(name or vendor) for prefix, name in prefixes.items()},
            enter_after=_count(given, "enter_after", 2),
            refresh=_milliseconds(given, "refresh", 30),
            silence=_milliseconds(given, "silence", 60),
            merge_window=_milliseconds(given, "merge_window", 3),
            margin=_count(given, "margin", 6),
        )

    def admitted(self, sighting: Sighting) -> tuple[str, str] | None:
        """Return the identity that is admitted and its vendor; None if the tag is nobody's business."""
        for identity in (sighting.tag, sighting.address):
            for prefix, vendor in self.allow.items():
                if identity and identity.startswith(prefix):
                    return identity, vendor
        return None


def _prefix(prefix: Any) -> str:
    text = str(prefix).lower()
    return text.replace(":", "") if len(text.replace(":", "")) <= 12 and text.count(":") >= 2 else text  # noqa: PLR2004 - a MAC's start


def _count(given: Mapping[str, Any], name: str, default: int) -> int:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadMeasure(f"internal_attributes.tags.{name} must be a whole number from 0 on")
    return value


def _milliseconds(given: Mapping[str, Any], name: str, default: float) -> int:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise BadMeasure(f"internal_attributes.tags.{name} must be a number of seconds")
    return round(value * 1000)


@dataclass(slots=True)
class Candidate:
    """A reader that hears a tag: how often, since when, how strong."""

    count: int
    seen: int
    rssi: int


@dataclass(slots=True)
class TagState:
    """Where a tag is: its reader's plan, when it was last heard there and last written, and who else hears it.

    `seen` and `written` are the readers' times, `heard` is ours: a reader's clock must not make a tag leave.
    """

    tenant: str
    entity_id: str
    vendor: str
    rules: TagRules
    reader: Plan | None = None
    rssi: int = WEAKEST
    seen: int = 0
    written: int = 0
    heard: int = 0
    candidates: dict[str, Candidate] = field(default_factory=dict)


class SightingReducer:
    """The state of all admitted tags of this process."""

    def __init__(self, positions: Positions | None = None) -> None:
        self.positions = positions or Positions()
        self._tags: OrderedDict[tuple[str, str], TagState] = OrderedDict()

    def reduce(
        self,
        plan: Plan,
        sighting: Sighting,
        stamp: Stamp,
        *,
        received: int,
        rules: TagRules,
        pseudonym: Callable[[str], str],
    ) -> EntityUpdate | None:
        """Return the update that an advert is worth, if any. `plan` is the reader's; `received` is epoch ms."""
        admitted = rules.admitted(sighting)
        if admitted is None:
            return None
        identity, vendor = admitted
        state = self._state(plan.tenant, pseudonym(identity), vendor, rules)
        state.heard = received
        rssi = WEAKEST if sighting.rssi is None else sighting.rssi
        if stamp.observed < state.seen - rules.silence:
            return (
                self._update(state, plan, "enter", stamp.observed, sighting.rssi) if sighting.event == "enter" else None
            )
        if sighting.event == "leave":
            return self._leave_at(state, plan, stamp.observed)
        if state.reader is plan or (state.reader is not None and state.reader.entity_id == plan.entity_id):
            return self._stay(state, plan, stamp.observed, rssi)
        count = rules.enter_after if sighting.event else sighting.count
        return self._approach(state, plan, stamp.observed, rssi=rssi, count=count)

    def silent(self, now: int) -> list[tuple[str, EntityUpdate]]:
        """Return (tenant, update) for every tag that nobody has heard for too long; `now` is epoch ms.

        The caller forgets those whose update is committed; tags that are with no reader are forgotten here.
        """
        left = []
        for key, state in list(self._tags.items()):
            if now - state.heard < state.rules.silence:
                continue
            if state.reader is None:
                del self._tags[key]
            else:
                until = state.seen + state.rules.silence
                left.append((state.tenant, self._update(state, state.reader, "leave", until, None)))
        return left

    def forget(self, tenant: str, entity_id: str) -> None:
        """Forget a tag, so that its next adverts make it enter again (its update could not be committed)."""
        self._tags.pop((tenant, entity_id), None)

    def _state(self, tenant: str, name: str, vendor: str, rules: TagRules) -> TagState:
        key = (tenant, f"urn:ngsi-ld:{TYPE}:{name}")
        state = self._tags.get(key)
        if state is None:
            if len(self._tags) >= MAX_TAGS:
                self._tags.popitem(last=False)
            state = self._tags[key] = TagState(tenant, key[1], vendor, rules)
        else:
            self._tags.move_to_end(key)
            state.rules = rules
        return state

    def _leave_at(self, state: TagState, plan: Plan, observed: int) -> EntityUpdate | None:
        if state.reader is None or state.reader.entity_id != plan.entity_id:
            return None
        state.reader, state.rssi, state.seen, state.written = None, WEAKEST, observed, observed
        return self._update(state, plan, "leave", observed, None)

    def _stay(self, state: TagState, plan: Plan, observed: int, rssi: int) -> EntityUpdate | None:
        state.reader, state.rssi, state.seen = plan, rssi, max(observed, state.seen)
        if observed - state.written < state.rules.refresh:
            return None
        state.written = observed
        return self._update(state, plan, "present", observed, rssi)

    def _approach(self, state: TagState, plan: Plan, observed: int, *, rssi: int, count: int) -> EntityUpdate | None:
        """Count an advert at a reader that is not the tag's own; hand the tag over once the reader has earned it."""
        rules = state.rules
        candidate = state.candidates.get(plan.entity_id)
        if candidate is None or observed - candidate.seen > rules.silence:
            if len(state.candidates) >= MAX_CANDIDATES:
                state.candidates.pop(next(iter(state.candidates)))
            candidate = state.candidates[plan.entity_id] = Candidate(0, observed, rssi)
        candidate.count += count
        candidate.seen, candidate.rssi = max(observed, candidate.seen), rssi
        if candidate.count < rules.enter_after:
            if state.reader is None:
                state.seen = max(observed, state.seen)
            return None
        still_heard = state.reader is not None and observed - state.seen <= rules.merge_window
        if still_heard and rssi < state.rssi + rules.margin:
            return None
        state.candidates.clear()
        state.reader, state.rssi, state.seen, state.written = plan, rssi, max(observed, state.seen), observed
        return self._update(state, plan, "enter", observed, rssi)

    def _update(self, state: TagState, reader: Plan, presence: str, observed: int, rssi: int | None) -> EntityUpdate:
        text = clock.iso(observed)
        attrs: dict[str, Any] = {
            "presence": {"type": "Property", "value": presence, "observedAt": text},
            "refReader": {"type": "Relationship", "object": reader.entity_id, "observedAt": text},
        }
        place = self.positions.at(reader, observed)
        if place is not None:
            attrs["location"] = {"type": "GeoProperty", "value": place, "observedAt": text}
        if rssi is not None and rssi > WEAKEST:
            attrs["rssi"] = {"type": "Property", "value": rssi, "unitCode": "DBM", "observedAt": text}
        if state.vendor:
            attrs["vendor"] = {"type": "Property", "value": state.vendor, "observedAt": text}
        return EntityUpdate(state.entity_id, TYPE, attrs)
