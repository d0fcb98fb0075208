"""What the handlers work with; app.py fills it once and hands it to the API."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import time
from typing import TYPE_CHECKING

from tsunagu.broker.api.intake import Intake
from tsunagu.broker.api.origin import Origin
from tsunagu.broker.api.sharing import SharedReadings
from tsunagu.broker.api.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tsunagu.broker.jsonld.resolver import ContextResolver
    from tsunagu.broker.operations.batch import Batch
    from tsunagu.broker.operations.contexts import Contexts
    from tsunagu.broker.operations.discovery import Discovery
    from tsunagu.broker.operations.entities import Entities
    from tsunagu.broker.operations.entity_maps import EntityMaps
    from tsunagu.broker.operations.subscriptions import Subscriptions
    from tsunagu.broker.operations.temporal import Temporal
    from tsunagu.broker.operations.temporal_provision import TemporalProvision
    from tsunagu.broker.settings import Settings

    Ping = Callable[[], Awaitable[None]]
    TenantExists = Callable[[str], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Services:
    """The operations behind the API. `tenant_exists` tells whether there is a tenant of a name.

    `pings` has for each part that the broker needs an awaitable that raises when the part does not answer; readiness
    is a loop over them. `started` is the start of the process, seconds since the epoch.
    """

    settings: Settings
    entities: Entities
    batch: Batch
    discovery: Discovery
    subscriptions: Subscriptions
    resolver: ContextResolver
    contexts: Contexts
    entity_maps: EntityMaps
    temporal: Temporal
    temporal_provision: TemporalProvision
    tenant_exists: TenantExists
    pings: Mapping[str, Ping] = field(default_factory=dict)
    traffic: Traffic = field(default_factory=Traffic)
    shared: SharedReadings = field(default_factory=SharedReadings)
    started: float = field(default_factory=time)
    origin: Origin = field(init=False)
    intake: Intake = field(init=False)

    def __post_init__(self) -> None:
        """Make what follows from the settings: the address, the room for bodies."""
        settings = self.settings
        object.__setattr__(self, "origin", Origin(settings))
        object.__setattr__(self, "intake", Intake(settings.intake_limit, patience=2 * settings.store_timeout))
