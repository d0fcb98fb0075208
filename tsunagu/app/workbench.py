"""What an operator does to a broker's database from the command line: declare indexes, ask how a query is found."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tsunagu.broker.access.outgoing import OutgoingGuard
from tsunagu.broker.api.criteria import query_of
from tsunagu.broker.api.params import read_query
from tsunagu.broker.api.routes import ROUTES
from tsunagu.broker.errors import NonexistentTenant
from tsunagu.broker.jsonld.fetch import ContextFetcher
from tsunagu.broker.jsonld.resolver import ContextResolver
from tsunagu.broker.operations.contexts import CatalogueContexts
from tsunagu.broker.storage.mongo.attribute_indexes import AttributeIndexes
from tsunagu.broker.storage.mongo.catalogue import MongoCatalogue
from tsunagu.broker.storage.mongo.client import Databases
from tsunagu.broker.storage.mongo.entities import MongoReader
from tsunagu.schemas.entity import iri_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tsunagu.broker.jsonld.context import Context
    from tsunagu.broker.settings import Settings

QUERY_ROUTE = next(route for route in ROUTES if route.method == "GET" and route.path.strip("/") == "entities")
DEFAULT_LIMIT = 20


class Workbench:
    """The tools, on one tenant; `context` is the URL of the @context that names are read and written with."""

    def __init__(self, indexes: AttributeIndexes, reader: MongoReader, context: Context, tenant: str) -> None:
        self._indexes = indexes
        self._reader = reader
        self._context = context
        self._tenant = tenant

    async def add_index(self, entity_type: str, attribute: str) -> list[str]:
        """Index the values of an attribute of a type; returns the value members that are indexed."""
        context = self._context
        entry = await self._indexes.add(self._tenant, context.expand_term(entity_type), context.attribute(attribute))
        return list(entry["members"])

    async def drop_index(self, entity_type: str, attribute: str) -> None:
        """Remove such an index. Raises ResourceNotFound."""
        context = self._context
        await self._indexes.drop(self._tenant, context.expand_term(entity_type), context.attribute(attribute))

    async def list_indexes(self) -> list[tuple[str, str, list[str]]]:
        """Return type, attribute and indexed value members of every declared index."""
        compact = self._context.compact_iri
        return [
            (compact(entry["type"]), compact(iri_of(entry["attribute"])), entry["members"])
            for entry in await self._indexes.declared(self._tenant)
        ]

    async def explain(self, query: str) -> dict[str, Any]:
        """Return how the first page of a query is found; `query` is the query string of GET /entities.

        Raises InvalidRequest and BadRequestData for what GET /entities would refuse.
        """
        params = read_query(QUERY_ROUTE, query.lstrip("?").encode())
        limit = params.get("limit", DEFAULT_LIMIT)
        return await self._reader.explain(self._tenant, query_of(params, self._context), limit=limit)


@asynccontextmanager
async def workbench(settings: Settings, *, tenant: str = "", context: str | None = None) -> AsyncIterator[Workbench]:
    """Open the tools on a tenant. Raises Unavailable, NonexistentTenant, LdContextNotAvailable."""
    databases = Databases(settings)
    catalogue = MongoCatalogue(databases)
    fetcher = ContextFetcher(OutgoingGuard(settings.allow_private), timeout=settings.context_timeout)
    try:
        await databases.ping()
        if not await databases.exists(tenant):
            raise NonexistentTenant(f"there is no tenant {tenant}")
        resolver = ContextResolver(fetcher, store=CatalogueContexts(catalogue, lifetime=fetcher.lifetime))
        indexes = AttributeIndexes(databases, catalogue)
        await indexes.load()
        reader = MongoReader(databases, settings, indexes=indexes)
        yield Workbench(indexes, reader, await resolver.resolve(context), tenant)
    finally:
        await fetcher.close()
        await catalogue.close()
        await databases.close()
