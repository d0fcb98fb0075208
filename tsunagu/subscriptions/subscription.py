"""A subscription as matching and queues see it: small, as there may be very many; the rest is compiled when needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from tsunagu.schemas.subscription import DEFAULT_TRIGGERS
from tsunagu.schemas.times import parse_ms
from tsunagu.subscriptions.plan import Plan, compile_plan
from tsunagu.subscriptions.triggers import TRIGGER_BITS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tsunagu.broker.jsonld.context import Context
    from tsunagu.broker.operations.subscription_form import Entry

NEVER = 1 << 62
SHORTEST_INTERVAL = 0.1
SHARED = 10_000


@dataclass(slots=True, eq=False)
class Subscription:
    """One revision of a subscription. Compared by identity: a change of it makes a new object.

    `triggers`: bits of TRIGGER_BITS; `watched`: stored names, None for any; `datasets`: datasetIds, None among them for
    the default instance; `expires`: epoch ms; else seconds. `late`: what came too late is told, too.
    `source` is what the `plan` is compiled from, as JSON.
    """

    tenant: str
    id: str
    rev: int
    created: int
    active: bool
    expires: int
    triggers: int
    watched: frozenset[str] | None
    datasets: frozenset[str | None] | None
    uri: str = field(repr=False)
    throttling: float
    interval: float
    coalesce: bool
    late: bool
    source: bytes = field(repr=False)
    gone: bool = False
    context: Context | None = field(default=None, repr=False)
    _plan: Plan | None = field(default=None, repr=False)

    @property
    def key(self) -> tuple[str, str]:
        """The subscription's identity over its revisions."""
        return self.tenant, self.id

    @property
    def address(self) -> tuple[str, str]:
        """What names the queue that its notifications go through."""
        return self.tenant, self.uri

    @property
    def plan(self) -> Plan:
        """Its conditions and what its notifications are made by: compiled when first asked for, then kept."""
        plan = self._plan
        if plan is None:
            plan = self._plan = compile_plan(self.entry)
        return plan

    @property
    def entry(self) -> Entry:
        """The members "body", "parts" and "context" of the catalogue's entry (`operations.subscription_form`)."""
        found: Entry = orjson.loads(self.source)
        return found


def subscription_of(tenant: str, entry: Entry) -> Subscription:
    """Return the subscription of a catalogue's entry (`operations.subscription_form`)."""
    body, parts = entry["body"], entry["parts"]
    triggers = 0
    for trigger in body.get("notificationTrigger", DEFAULT_TRIGGERS):
        triggers |= TRIGGER_BITS[trigger]
    datasets = body.get("datasetId")
    return Subscription(
        tenant=tenant,
        id=entry["id"],
        rev=entry["rev"],
        created=entry["created"],
        active=body.get("isActive", True),
        expires=parse_ms(body["expiresAt"]) if "expiresAt" in body else NEVER,
        triggers=triggers,
        watched=_shared(parts["watched"]) if "watched" in parts else None,
        datasets=_shared(None if name == "@none" else name for name in datasets) if datasets else None,
        uri=body["notification"]["endpoint"]["uri"],
        throttling=body.get("throttling", 0.0),
        interval=max(body["timeInterval"], SHORTEST_INTERVAL) if "timeInterval" in body else 0.0,
        coalesce=body.get("coalesce", False),
        late=body.get("lateData", False),
        # A copy: orjson's own bytes keep the room that it had for more.
        source=bytes(memoryview(orjson.dumps({"body": body, "parts": parts, "context": entry["context"]}))),
    )


def _shared(names: Iterable[Any]) -> frozenset[Any]:
    return _set_of(tuple(names))


@lru_cache(SHARED)
def _set_of(names: tuple[Any, ...]) -> frozenset[Any]:
    """Return a set, the same one for the same names."""
    return frozenset(names)
