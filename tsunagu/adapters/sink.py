"""The protocol between the adapters and the broker: app.py implements Sink over the committer."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Attributes = Mapping[str, Any]


@dataclass(slots=True)
class EntityUpdate:
    """What one message says about one entity.

    `attrs` are normalized NGSI-LD attributes by term of the core context:
    {"waterLevel": {"type": "Property", "value": 2.14, "unitCode": "MTR", "observedAt": "2026-07-18T19:10:00Z"}}.
    The sink creates the entity or appends and overwrites attributes; an attribute whose observedAt is older than
    the stored one goes to history and not to the current state.

    `static` describes the device's entity (location, thresholds) in the same form, without observedAt. It is the same
    object for all messages of a device. The sink writes those of its attributes that differ from what is stored.

    `receipt`: of several updates with the same receipt only the first takes effect. `fresh` says that the transport
    vouches for this message being handed over for the first time, so that the receipt is to be noted but not looked
    for (a device without a clock may well send the same bytes twice, and mean it). `history` False keeps the update
    out of the temporal record. `late` says that it is backfill, of which no subscription is told.
    """

    id: str
    type: str
    attrs: dict[str, Any]
    static: Attributes = field(default_factory=dict)
    receipt: str | None = None
    fresh: bool = False
    history: bool = True
    late: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one update; `reason` says why it was refused (it would be refused again)."""

    status: Literal["stored", "repeated", "refused"]
    reason: str = ""


STORED = Outcome("stored")
REPEATED = Outcome("repeated")


class SinkUnavailable(Exception):
    """The broker cannot take updates now: nothing of this call counts, the same call may be made again.

    (Some of its updates may have been committed: their receipts make the repetition harmless.)
    `retry_after` is in seconds.
    """

    def __init__(self, detail: str = "", retry_after: int = 2) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


@dataclass(slots=True)
class Succession:
    """Calls of `Sink.write` that must not overtake each other, though several are under way.

    Once one of them failed with SinkUnavailable, it is `broken`, and those that follow fail too, until whoever makes
    the calls, and knows what is missing, puts it back.
    """

    broken: bool = False


class Sink(Protocol):
    """Where entity updates go."""

    def write(
        self, tenant: str, updates: Sequence[EntityUpdate], *, succession: Succession | None = None
    ) -> Awaitable[list[Outcome]]:
        """Queue the updates, in order, before it returns; what it returns waits until they are committed durably.

        That gives an outcome for each. Both the call and the waiting raise SinkUnavailable.
        """

    async def read(self, tenant: str, entity_id: str) -> dict[str, Any] | None:
        """Return the entity's attributes, normalized, by term; None if there is no entity. Raises SinkUnavailable."""
