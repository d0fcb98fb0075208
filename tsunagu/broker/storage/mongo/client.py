"""The connection to MongoDB and the databases in it: one for each tenant, one for the system."""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import TYPE_CHECKING, Any

from bson.codec_options import CodecOptions
from pymongo import AsyncMongoClient
from pymongo.read_concern import ReadConcern

from tsunagu.broker.storage.mongo.faults import translated
from tsunagu.broker.storage.mongo.indexes import ensure_indexes
from tsunagu.broker.storage.mongo.lines import LINES, Lines
from tsunagu.broker.storage.mongo.transactions import DURABLE, DriverTransaction, LineTransaction

if TYPE_CHECKING:
    from pymongo.asynchronous.database import AsyncDatabase

    from tsunagu.broker.settings import Settings
    from tsunagu.broker.storage.mongo.transactions import Transaction

    Database = AsyncDatabase[dict[str, Any]]

PLAIN_TENANT = re.compile(r"[a-z0-9_]{1,24}")
MAJORITY = ReadConcern("majority")
POOL = 100  # connections that the driver may use beside the lines


def database_name(prefix: str, tenant: str) -> str:
    """Return the database of a tenant; "" is the default tenant.

    MongoDB's database names are short and differ by more than case: other tenant names get a readable part and a hash.
    """
    if not tenant:
        return prefix
    if PLAIN_TENANT.fullmatch(tenant):
        return f"{prefix}_{tenant}"
    readable = re.sub(r"[^a-z0-9_]", "_", tenant.lower())[:16]
    return f"{prefix}_{readable}-{hashlib.sha256(tenant.encode()).hexdigest()[:12]}"


class Databases:
    """The databases of one broker, on one client; call close() at the end."""

    def __init__(self, settings: Settings) -> None:
        self._prefix = settings.database_prefix
        self.application = f"tsunagu:{settings.name}"
        self.client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
            settings.mongodb_uri.get_secret_value(),
            appname=self.application,
            w="majority",
            journal=True,
            retryWrites=True,
            serverSelectionTimeoutMS=int(min(settings.store_timeout, 2.0) * 1000),
            connectTimeoutMS=2000,
            tz_aware=True,
            maxPoolSize=POOL + LINES,
        )
        self._lines = Lines(self.client)
        self.system: Database = self.client[f"{self._prefix}-system"]
        self._known: dict[str, Database] = {}
        self._readied: set[str] = set()
        self._lock = asyncio.Lock()

    def of(self, tenant: str) -> Database:
        """Return the database of a tenant, whether or not it exists."""
        database = self._known.get(tenant)
        if database is None:
            options: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)
            database = self._known[tenant] = self.client.get_database(
                database_name(self._prefix, tenant), codec_options=options, write_concern=DURABLE
            )
        return database

    async def read(self, tenant: str, command: dict[str, Any]) -> dict[str, Any]:
        """Run a command that reads in the database of a tenant; return MongoDB's reply. Raises PyMongoError."""
        return await self._lines.run(self.of(tenant), command)

    async def transaction(self, tenant: str) -> Transaction:
        """Return a transaction in the database of a tenant, to be entered at once."""
        line = await self._lines.take()
        database = self.of(tenant)
        return DriverTransaction(database) if line is None else LineTransaction(self._lines, line, database)

    async def ready(self, tenant: str) -> Database:
        """Return the database of a tenant once its collections and indexes are there; creates the tenant if need be."""
        if tenant in self._readied:
            return self.of(tenant)
        async with self._lock:
            if tenant not in self._readied:
                with translated():
                    await ensure_indexes(self.of(tenant))
                    await self.system["tenants"].update_one(
                        {"_id": tenant}, {"$setOnInsert": {"_id": tenant}}, upsert=True
                    )
                self._readied.add(tenant)
        return self.of(tenant)

    async def tenants(self) -> list[str]:
        """Return the names of all tenants; the default tenant is ""."""
        with translated():
            return [row["_id"] async for row in self.system["tenants"].find({}, {"_id": 1}).sort("_id", 1)]

    async def exists(self, tenant: str) -> bool:
        """Tell whether a tenant exists; the default tenant always does."""
        if not tenant or tenant in self._readied:
            return True
        with translated():
            found = await self.system["tenants"].find_one({"_id": tenant}) is not None
        if found:
            await self.ready(tenant)
        return found

    async def ping(self) -> None:
        """Raise Unavailable unless MongoDB answers and has a primary."""
        with translated():
            async with asyncio.timeout(2.5):
                hello = await self.client.admin.command("hello")
        if not hello.get("setName") and hello.get("msg") != "isdbgrid":
            raise RuntimeError("MongoDB is not a replica set: transactions need one (rs.initiate())")

    async def close(self) -> None:
        """Close all connections."""
        await self._lines.close()
        await self.client.close()
