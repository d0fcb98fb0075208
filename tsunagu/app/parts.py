"""The parts of one broker process, put together: the only place that names the concrete store.

`Parts.start` brings them up in the order in which they need each other, `Parts.stop` takes them down the other way:
first the doors, then what is being committed, then what is to be delivered, then the connections.
"""

from __future__ import annotations

import asyncio
import secrets
from functools import partial
from typing import TYPE_CHECKING

import structlog

from tsunagu.adapters.catalogue import Faults
from tsunagu.adapters.command_requests import CommandRequests
from tsunagu.adapters.commands import Commands
from tsunagu.adapters.configuration_subscriptions import ConfigurationSubscriptions
from tsunagu.adapters.devices.registry import CatalogueRegistry
from tsunagu.adapters.inbound.http import DeviceDoor
from tsunagu.adapters.lazy import LazyAttributes
from tsunagu.adapters.pipeline import Pipeline
from tsunagu.adapters.pseudonyms import Pseudonyms
from tsunagu.adapters.quarantine import CatalogueQuarantine
from tsunagu.app.command_watch import CommandWatch
from tsunagu.app.configuration_watch import ConfigurationWatch
from tsunagu.app.device_push import DevicePusher
from tsunagu.app.foresight import Foresight
from tsunagu.app.lazy_entities import LazyEntities, written
from tsunagu.app.mqtt import connections, main_door
from tsunagu.app.sink import BrokerSink
from tsunagu.background import end
from tsunagu.broker.access.outgoing import OutgoingGuard
from tsunagu.broker.api.feed import Streams
from tsunagu.broker.api.origin import own_base
from tsunagu.broker.api.services import Services
from tsunagu.broker.changes import Listeners
from tsunagu.broker.errors import AlreadyExists, Unavailable
from tsunagu.broker.jsonld.fetch import ContextFetcher
from tsunagu.broker.jsonld.resolver import ContextResolver
from tsunagu.broker.operations.batch import Batch
from tsunagu.broker.operations.contexts import CatalogueContexts, Contexts
from tsunagu.broker.operations.deliveries import Deliveries
from tsunagu.broker.operations.discovery import Discovery
from tsunagu.broker.operations.entities import Entities, Sweeper
from tsunagu.broker.operations.entity_maps import EntityMaps
from tsunagu.broker.operations.inbox import Inbox
from tsunagu.broker.operations.reports import Reports
from tsunagu.broker.operations.subscriptions import Subscriptions
from tsunagu.broker.operations.temporal import Temporal
from tsunagu.broker.operations.temporal_provision import TemporalProvision
from tsunagu.broker.storage.mongo.amendments import MongoAmendments
from tsunagu.broker.storage.mongo.attribute_indexes import AttributeIndexes
from tsunagu.broker.storage.mongo.catalogue import MongoCatalogue
from tsunagu.broker.storage.mongo.changes import MongoChangeLog
from tsunagu.broker.storage.mongo.client import Databases
from tsunagu.broker.storage.mongo.committer import Committer
from tsunagu.broker.storage.mongo.deliveries import MongoDeliveryRecords
from tsunagu.broker.storage.mongo.entities import MongoReader
from tsunagu.broker.storage.mongo.history import MongoHistory
from tsunagu.broker.storage.mongo.leases import MongoLeases
from tsunagu.broker.storage.mongo.orphans import Orphans
from tsunagu.broker.storage.mongo.parked import MongoParkedDeliveries
from tsunagu.broker.storage.mongo.renaming import bring_up_to_date
from tsunagu.broker.storage.mongo.tail import MongoTail
from tsunagu.broker.storage.shared import MemoryFanout, RedisFanout
from tsunagu.subscriptions.dispatcher import Dispatcher
from tsunagu.subscriptions.feeds.feed import Feeds
from tsunagu.subscriptions.policy import DeliveryPolicy
from tsunagu.subscriptions.standing import SubscriptionMetrics
from tsunagu.subscriptions.transports import SCHEMES, Transports

if TYPE_CHECKING:
    from tsunagu.broker.settings import Settings
    from tsunagu.broker.storage.shared import Fanout

log = structlog.get_logger(__name__)

START_PATIENCE = 60.0
RETRY_SECONDS = 1.0
DRAIN_SECONDS = 5.0
FAULTS = Faults(already_exists=AlreadyExists, unavailable=Unavailable)


class Parts:
    """One process's parts. Make it on the event loop on which it shall run."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.writer = secrets.token_hex(6)
        self.databases = Databases(settings)
        self.catalogue = MongoCatalogue(self.databases)
        self.indexes = AttributeIndexes(self.databases, self.catalogue)
        self.committer = Committer(self.databases, settings, writer=self.writer, indexes=self.indexes)
        self.log = MongoChangeLog(self.databases, writer=self.writer, open_number=self.committer.open_number)
        self.reader = MongoReader(self.databases, settings, indexes=self.indexes)
        self.history = MongoHistory(self.databases, self.settings)
        self.guard = OutgoingGuard(settings.allow_private)
        self.fetcher = ContextFetcher(
            self.guard, timeout=settings.context_timeout, max_bytes=settings.context_max_bytes
        )
        kept = CatalogueContexts(self.catalogue, lifetime=self.fetcher.lifetime)
        self.resolver = ContextResolver(self.fetcher, store=kept)
        self.entities = Entities(self.committer, self.reader)
        self.read_entities = LazyEntities(self.committer, self.reader)
        self.inbox = Inbox(self.committer)
        self.sweeper = Sweeper(self.committer, self.reader)
        self.records = MongoDeliveryRecords(self.databases)
        self.parked = MongoParkedDeliveries(self.databases)
        self.dispatcher = self._dispatcher()
        self.feeds = self._feeds()
        self.streams = Streams()
        self.subscription_metrics = SubscriptionMetrics(
            self.dispatcher.store, self.dispatcher.tallies, self.parked, limit=settings.subscription_metrics
        )
        self.services = self._services()
        self.deliveries = Deliveries(self.services.subscriptions, self.records, self.parked, self.dispatcher)
        self.sink = BrokerSink(Reports(self.committer), self.entities)
        self.devices = CatalogueRegistry(self.catalogue, FAULTS)
        self.pusher = DevicePusher(self.guard)
        self.commands = Commands(self.catalogue, FAULTS, self.sink)
        self.commands.pusher = self.pusher
        requests = CommandRequests(self.devices, self.commands)
        self.devices.introduce = requests.introduce
        self.command_watch = CommandWatch(requests, self.entities, self.catalogue.tenants)
        self.commands.configurations = ConfigurationSubscriptions(requests, self.commands)
        self.configuration_watch = ConfigurationWatch(
            self.commands.configurations, self.entities, self.catalogue.tenants
        )
        self.committer.listener = Listeners(
            self.reader.pages, self.dispatcher, self.command_watch, self.configuration_watch, self.feeds
        )
        self.pipeline = self._pipeline()
        self.pipeline.foresee = Foresight(self.sink, self.entities, self.dispatcher.store)
        self.lazy = self.read_entities.lazy = LazyAttributes(
            requests, self.commands, self.pipeline, partial(written, self.entities)
        )
        self.door = DeviceDoor(
            self.pipeline, max_body=settings.max_body, certificate_header=settings.certificate_header or ""
        )
        self.mqtt = main_door(settings, self.pipeline)
        self.connections = connections(
            settings,
            self.pipeline,
            catalogue=self.catalogue,
            faults=FAULTS,
            guard=self.guard,
            leases=MongoLeases(self.databases),
            writer=self.writer,
            main=self.mqtt,
        )
        self.commands.publisher = self.connections
        self.door.hooks = self.connections.book.hook
        self._tasks: list[asyncio.Task[None]] = []

    def _dispatcher(self) -> Dispatcher:
        return Dispatcher(
            writer=self.writer,
            changes=self.log,
            catalogue=self.catalogue,
            records=self.records,
            parked=self.parked,
            leases=MongoLeases(self.databases),
            fanout=self._fanout(),
            opens=self.committer.open_numbers,
            entities=self.entities,
            resolver=self.resolver,
            transports=Transports(self.guard),
            policy=DeliveryPolicy.of(self.settings),
        )

    def _feeds(self) -> Feeds:
        return Feeds(
            MongoTail(self.databases, self.log),
            MongoLeases(self.databases),
            self.dispatcher.courier,
            self.dispatcher.store.get,
            limit=self.settings.feed_limit,
        )

    def _fanout(self) -> Fanout:
        """Return what carries calls between machines, and say what goes without Redis."""
        url = self.settings.redis_url
        if url is None:
            log.info("without_redis", effect="workers on other machines hear of changes by looking every 250 ms")
            return MemoryFanout()
        return RedisFanout(url.get_secret_value(), prefix=self.settings.database_prefix)

    def _services(self) -> Services:
        subscriptions = Subscriptions(
            self.catalogue,
            self.resolver,
            self.dispatcher.tallies,
            schemes=frozenset(SCHEMES),
            guard=self.guard.check,
        )
        subscriptions.follower = self.dispatcher
        return Services(
            settings=self.settings,
            entities=self.read_entities,
            batch=Batch(self.committer),
            discovery=Discovery(self.reader),
            subscriptions=subscriptions,
            resolver=self.resolver,
            contexts=Contexts(self.catalogue, self.resolver, base_url=own_base(self.settings)),
            entity_maps=EntityMaps(self.catalogue, self.entities),
            temporal=Temporal(self.history),
            temporal_provision=TemporalProvision(self.committer, self.history, MongoAmendments(self.databases)),
            tenant_exists=self.databases.exists,
            pings={"mongodb": self.databases.ping, **({"mqtt": self._ping_mqtt} if self.settings.mqtt_url else {})},
        )

    def _pipeline(self) -> Pipeline:
        return Pipeline(
            sink=self.sink,
            registry=self.devices,
            quarantine=CatalogueQuarantine(self.catalogue, FAULTS),
            pseudonyms=Pseudonyms(self.catalogue, FAULTS),
            commands=self.commands,
        )

    async def _ping_mqtt(self) -> None:
        if self.mqtt is None or not self.mqtt.connected:
            raise ConnectionError("not connected to the MQTT broker")

    async def start(self) -> None:
        """Bring everything up. Waits for MongoDB for a while; raises Unavailable when it does not come."""
        await self._until_store_answers()
        orphans = Orphans(self.databases.client, self.databases.application)
        self._tasks.append(asyncio.create_task(orphans.run(), name="orphans"))
        await bring_up_to_date(self.databases)
        for tenant in ("", *await self.databases.tenants()):
            await self.databases.ready(tenant)  # also brings the entities of an earlier version up to date
        await self.catalogue.start()
        await self.indexes.load()
        await self.devices.load()
        await self.dispatcher.start()
        self._tasks.append(asyncio.create_task(self.reader.pages.run(), name="surveys"))
        await self.command_watch.start()
        await self.configuration_watch.start()
        self._tasks.append(asyncio.create_task(self.sweeper.run(), name="sweeper"))
        self._tasks.append(asyncio.create_task(self.services.contexts.run(), name="contexts"))
        self._tasks.append(asyncio.create_task(self.pipeline.keep_sweeping(), name="tag sweeper"))
        if self.mqtt is not None:
            await self.mqtt.start()
        await self.connections.start()
        log.info("started", name=self.settings.name, writer=self.writer)

    async def _until_store_answers(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + START_PATIENCE
        while True:
            try:
                await self.databases.ping()
            except Unavailable:
                if loop.time() > end:
                    raise
                log.warning("waiting_for_mongodb")
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def stop(self) -> None:
        """Take everything down; what was acknowledged is committed, what is not delivered yet stays in the log."""
        self.streams.close()
        await self.connections.stop()
        if self.mqtt is not None:
            await self.mqtt.stop()
        await self.door.stop()
        await end(*self._tasks)
        await self.command_watch.stop()
        await self.configuration_watch.stop()
        await self.lazy.stop()
        await self.committer.close()
        await self.pusher.close()
        await self.dispatcher.drain(DRAIN_SECONDS)
        await self.dispatcher.stop()
        await self.reader.close()
        await self.catalogue.close()
        await self.fetcher.close()
        await self.databases.close()
