"""A broker without its doors: real MongoDB, committer, log, catalogue, operations and dispatcher."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from tsunagu.broker.access.outgoing import OutgoingGuard
from tsunagu.broker.jsonld.context import CORE
from tsunagu.broker.jsonld.expand import expand_entity, expand_fragment
from tsunagu.broker.jsonld.fetch import ContextFetcher
from tsunagu.broker.jsonld.resolver import ContextResolver
from tsunagu.broker.operations.entities import Entities
from tsunagu.broker.operations.subscriptions import Subscriptions
from tsunagu.broker.settings import Settings
from tsunagu.broker.storage.mongo.catalogue import MongoCatalogue
from tsunagu.broker.storage.mongo.changes import MongoChangeLog
from tsunagu.broker.storage.mongo.client import Databases
from tsunagu.broker.storage.mongo.committer import Committer
from tsunagu.broker.storage.mongo.deliveries import MongoDeliveryRecords
from tsunagu.broker.storage.mongo.entities import MongoReader
from tsunagu.broker.storage.mongo.leases import MongoLeases
from tsunagu.broker.storage.mongo.parked import MongoParkedDeliveries
from tsunagu.broker.storage.shared import MemoryFanout
from tsunagu.subscriptions.dispatcher import Dispatcher
from tsunagu.subscriptions.policy import DeliveryPolicy
from tsunagu.subscriptions.transports import SCHEMES, Transports

if TYPE_CHECKING:
    from tsunagu.broker.jsonld.context import Context

SWIFT = DeliveryPolicy(timeout=1.0, first_delay=0.05, longest_delay=0.2, mark_interval=0.05, tally_interval=0.05)


def settings_for(uri: str, prefix: str, **others: Any) -> Settings:
    return Settings(mongodb_uri=uri, database_prefix=prefix, **others)


class Rig:
    """One process's worth of broker; several on one database stand for several processes."""

    def __init__(
        self,
        uri: str,
        prefix: str,
        *,
        policy: DeliveryPolicy = SWIFT,
        allow: tuple[str, ...] = ("127.0.0.1",),
        **more: Any,
    ) -> None:
        self.settings = settings_for(uri, prefix)
        self.writer = secrets.token_hex(6)
        self.databases = Databases(self.settings)
        self.catalogue = MongoCatalogue(self.databases)
        self.committer = Committer(self.databases, self.settings, writer=self.writer)
        self.log = MongoChangeLog(self.databases, writer=self.writer, open_number=self.committer.open_number)
        self.reader = MongoReader(self.databases, self.settings)
        self.guard = OutgoingGuard(allow)
        self.fetcher = ContextFetcher(self.guard)
        self.resolver = ContextResolver(self.fetcher)
        self.entities = Entities(self.committer, self.reader)
        self.records = MongoDeliveryRecords(self.databases)
        self.parked = MongoParkedDeliveries(self.databases)
        self.leases = MongoLeases(self.databases)
        self.dispatcher = Dispatcher(
            writer=self.writer,
            changes=self.log,
            catalogue=self.catalogue,
            records=self.records,
            parked=self.parked,
            entities=self.entities,
            resolver=self.resolver,
            transports=Transports(self.guard),
            policy=policy,
            leases=self.leases,
            fanout=MemoryFanout(),
            opens=self.committer.open_numbers,
            **more,
        )
        self.committer.listener = self.dispatcher
        self.subscriptions = Subscriptions(
            self.catalogue,
            self.resolver,
            self.dispatcher.tallies,
            schemes=frozenset(SCHEMES),
            guard=self.guard.check,
        )
        self.subscriptions.follower = self.dispatcher
        self.up = False

    async def start(self) -> Rig:
        await self.databases.ready("")
        await self.catalogue.start()
        await self.dispatcher.start()
        self.up = True
        return self

    async def stop(self, *, drain: bool = True) -> None:
        if not self.up:
            return
        self.up = False
        await self.committer.close()
        if drain:
            await self.dispatcher.drain(2.0)
        await self.dispatcher.stop()
        await self.reader.close()
        await self.catalogue.close()
        await self.fetcher.close()
        await self.databases.close()

    async def crash(self) -> None:
        """End as a killed process would: nothing is drained, no lease is given up."""
        await self.stop(drain=False)

    async def subscribe(self, uri: str, context: Context = CORE, tenant: str = "", **members: Any) -> str:
        """Create a subscription to River entities at an endpoint; members override."""
        notification = {"endpoint": {"uri": uri, **members.pop("endpoint", {})}, **members.pop("notification", {})}
        body = {"type": "Subscription", "entities": [{"type": "River"}], "notification": notification, **members}
        body = {key: value for key, value in body.items() if value is not None}
        return await self.subscriptions.create(tenant, body, context)

    async def create(self, entity_id: str, tenant: str = "", context: Context = CORE, **attributes: Any) -> None:
        entity_type = attributes.pop("type", "River")
        body = {"id": f"urn:x:{entity_id}", "type": entity_type, **attributes}
        await self.entities.create(tenant, expand_entity(body, context))

    async def patch(self, entity_id: str, tenant: str = "", context: Context = CORE, **attributes: Any) -> None:
        await self.entities.update(tenant, f"urn:x:{entity_id}", expand_fragment(attributes, context, allow_null=True))


def value(number: Any) -> dict[str, Any]:
    """Return a Property."""
    return {"type": "Property", "value": number}
