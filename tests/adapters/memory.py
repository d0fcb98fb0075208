# ruff: noqa: A002 - the catalogue protocol has an argument id
"""Stand-ins for what app.py wires to the broker: a catalogue in memory and a sink that remembers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tsunagu.adapters.catalogue import Faults
from tsunagu.adapters.devices.registry import CatalogueRegistry
from tsunagu.adapters.pipeline import Pipeline
from tsunagu.adapters.provisioning.store import ProvisioningStore
from tsunagu.adapters.pseudonyms import Pseudonyms
from tsunagu.adapters.quarantine import CatalogueQuarantine
from tsunagu.adapters.sink import STORED, EntityUpdate, Outcome, SinkUnavailable


class Taken(Exception):
    """The id is taken."""


class Away(Exception):
    """The catalogue is away."""


FAULTS = Faults(already_exists=Taken, unavailable=Away)


@dataclass
class Told:
    """An announcement."""

    tenant: str
    kind: str
    id: str
    deed: str


def matches(entry: dict[str, Any], where: dict[str, Any]) -> bool:
    """Tell whether an entry matches, with dotted names, $in, $exists and $gt."""
    for name, wanted in where.items():
        value: Any = entry
        for part in name.split("."):
            if isinstance(value, list):
                value = value[int(part)] if part.isdigit() and int(part) < len(value) else None
            else:
                value = value.get(part) if isinstance(value, dict) else None
        if isinstance(wanted, dict):
            if "$in" in wanted and value not in wanted["$in"]:
                return False
            if "$exists" in wanted and (value is not None) != wanted["$exists"]:
                return False
            if "$gt" in wanted and not (value is not None and value > wanted["$gt"]):
                return False
        elif value != wanted:
            return False
    return True


class MemoryCatalogue:
    """The catalogue protocol over a dictionary; `away` makes every call fail."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        self.watchers: list[Any] = []
        self.away = False

    def _kind(self, tenant, kind):
        if self.away:
            raise Away("the catalogue is away")
        return self.entries.setdefault((tenant, kind), {})

    def _tell(self, tenant, kind, id, deed):
        for kinds, callback in self.watchers:
            if kind in kinds:
                callback(Told(tenant, kind, id, deed))

    async def get(self, tenant, kind, id):
        return self._kind(tenant, kind).get(id)

    async def insert(self, tenant, kind, id, entry):
        if id in self._kind(tenant, kind):
            raise Taken(id)
        self._kind(tenant, kind)[id] = entry
        self._tell(tenant, kind, id, "inserted")

    async def replace(self, tenant, kind, id, entry):
        self._kind(tenant, kind)[id] = entry
        self._tell(tenant, kind, id, "replaced")

    async def change(self, tenant, kind, id, values):
        if id not in self._kind(tenant, kind):
            return False
        self._kind(tenant, kind)[id] = {**self._kind(tenant, kind)[id], **values}
        return True

    async def delete(self, tenant, kind, id):
        gone = self._kind(tenant, kind).pop(id, None) is not None
        self._tell(tenant, kind, id, "deleted")
        return gone

    async def discard(self, tenant, kind, ids):
        return sum(self._kind(tenant, kind).pop(one, None) is not None for one in ids)

    async def find(self, tenant, kind, where=None, *, limit=0, offset=0, sort=()):
        found = [e for _, e in sorted(self._kind(tenant, kind).items()) if matches(e, where or {})]
        for name, direction in reversed(sort):
            found.sort(key=lambda e: e.get(name, 0), reverse=direction < 0)
        return found[offset : offset + limit] if limit else found[offset:]

    async def count(self, tenant, kind, where=None):
        return len(await self.find(tenant, kind, where))

    def watch(self, kinds, callback):
        self.watchers.append((kinds, callback))


class RecordingSink:
    """Remembers what was written; `away` makes it unavailable; `refuse` maps an entity id to a reason."""

    def __init__(self) -> None:
        self.writes: list[tuple[str, list[EntityUpdate]]] = []
        self.entities: dict[tuple[str, str], dict[str, Any]] = {}
        self.refuse: dict[str, str] = {}
        self.away = False

    @property
    def updates(self) -> list[EntityUpdate]:
        return [update for _, updates in self.writes for update in updates]

    async def write(self, tenant, updates, *, succession=None):
        if self.away:
            raise SinkUnavailable("the store is away", 7)
        self.writes.append((tenant, list(updates)))
        for update in updates:
            self.entities.setdefault((tenant, update.id), {}).update(update.attrs)
        return [Outcome("refused", self.refuse[u.id]) if u.id in self.refuse else STORED for u in updates]

    async def read(self, tenant, entity_id):
        if self.away:
            raise SinkUnavailable("the store is away", 7)
        return self.entities.get((tenant, entity_id))


@dataclass
class Site:
    """Everything the adapters need, and the pipeline over it."""

    catalogue: MemoryCatalogue
    sink: RecordingSink
    registry: CatalogueRegistry
    store: ProvisioningStore
    pipeline: Pipeline

    @property
    def quarantined(self) -> list[dict[str, Any]]:
        return [
            entry
            for (_, kind), entries in self.catalogue.entries.items()
            if kind == "quarantine"
            for entry in entries.values()
        ]


async def site() -> Site:
    """Return a site with nothing provisioned."""
    catalogue, sink = MemoryCatalogue(), RecordingSink()
    registry = CatalogueRegistry(catalogue, FAULTS)
    await registry.load()
    pipeline = Pipeline(
        sink=sink,
        registry=registry,
        quarantine=CatalogueQuarantine(catalogue, FAULTS),
        pseudonyms=Pseudonyms(catalogue, FAULTS),
    )
    return Site(catalogue, sink, registry, ProvisioningStore(registry), pipeline)
