"""Stored @contexts: those that users host, those that the broker cached, those that it had to create (5.13).

The catalogue of the default tenant keeps an entry for each::

    {"id": local id, "kind": "Cached" | "Hosted" | "ImplicitlyCreated", "tenant": who may manage it, "" for Cached,
     "url": where it came from or where it is served, "document": the JSON text, "created": epoch ms,
     "expires": epoch ms, only Cached, "used": epoch ms of the last use, "hits": number of uses}

A Hosted @context is private to its tenant (5.5.10). Cached ones are public documents and everybody's, and
ImplicitlyCreated ones are served to everybody, since the receivers of notifications dereference them.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import time_ns
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid4, uuid5

import orjson
import structlog

from tsunagu.broker.errors import (
    AlreadyExists,
    BadRequestData,
    InvalidRequest,
    LdContextNotAvailable,
    NgsiError,
    OperationNotSupported,
    ResourceNotFound,
)
from tsunagu.broker.jsonld.core import is_core_url
from tsunagu.broker.jsonld.definitions import compile_context
from tsunagu.schemas.times import format_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from tsunagu.broker.jsonld.resolver import ContextResolver
    from tsunagu.broker.storage.catalogue import Announcement, Catalogue, Entry

log = structlog.get_logger(__name__)

KIND = "contexts"
CACHED, HOSTED, IMPLICIT = "Cached", "Hosted", "ImplicitlyCreated"
PATH = "/ngsi-ld/v1/jsonldContexts/"
HEURISTIC_LIFETIME = 24 * 60 * 60 * 1000
SHORTEST_LIFETIME = 60 * 1000  # a server that wants no caching is asked once a minute, not at every request
RETRY_INTERVAL = 10 * 60 * 1000
PERIOD = 30.0

Document = dict[str, Any]


def now_ms() -> int:
    """Return the time, epoch milliseconds."""
    return time_ns() // 1_000_000


def local_id(url: str) -> str:
    """Return the local id of a cached @context."""
    return str(uuid5(NAMESPACE_URL, url))


def local_ids(url: str) -> list[str]:
    """Return the local ids under which the @context of a URL may be kept: as one that is served here, as a cached one.

    Local ids are random or hashes, so that the host part, which may be a gateway's, need not be known; another
    broker's URLs look the same, and what is fetched from there is kept as cached.
    """
    _, found, tail = urlsplit(url).path.rpartition(PATH)
    return [tail, local_id(url)] if found and tail and "/" not in tail else [local_id(url)]


class CatalogueContexts:
    """Keeps @context documents in the catalogue; the store behind the resolver.

    `lifetime` tells for a URL how many seconds the document just fetched from there stays fresh, None if its server
    did not say; then it is fetched anew after HEURISTIC_LIFETIME (6.3.16).
    """

    def __init__(self, catalogue: Catalogue, *, lifetime: Callable[[str], float | None]) -> None:
        self._catalogue = catalogue
        self._lifetime = lifetime

    async def get(self, url: str) -> Document | None:
        """Return the document that is kept for a URL, None if there is none."""
        for identifier in local_ids(url):
            entry = await self._catalogue.get("", KIND, identifier)
            if entry is not None:
                document: Document = orjson.loads(entry["document"])
                return document
        return None

    async def put(self, url: str, document: Document) -> None:
        """Keep a document that was fetched."""
        now = now_ms()
        entry: Entry = {
            "id": local_id(url),
            "kind": CACHED,
            "tenant": "",
            "url": url,
            "document": text_of(document),
            "created": now,
            "expires": now + self._span(url),
            "used": now,
            "hits": 0,
        }
        old = await self._catalogue.get("", KIND, entry["id"])
        if old is None:
            with suppress(AlreadyExists):  # another process fetched it at the same time
                await self._catalogue.insert("", KIND, entry["id"], entry)
            return
        entry["hits"] = old["hits"]
        await self._catalogue.replace("", KIND, entry["id"], entry)

    def _span(self, url: str) -> int:
        """Return for how many milliseconds a document just fetched is used before it is fetched anew."""
        seconds = self._lifetime(url)
        return HEURISTIC_LIFETIME if seconds is None else max(SHORTEST_LIFETIME, round(seconds * 1000))


class Contexts:
    """The operations on stored @contexts. `base_url` is the address of this broker as others see it."""

    def __init__(self, catalogue: Catalogue, resolver: ContextResolver, *, base_url: str) -> None:
        self._catalogue = catalogue
        self._resolver = resolver
        self._base = base_url.rstrip("/")
        self._implicit: dict[str, str] = {}
        self._hits: dict[str, int] = {}
        self._used: dict[str, int] = {}
        catalogue.watch(frozenset({KIND}), self._written)

    async def add(self, tenant: str, body: Document) -> str:
        """Store an @context for a user and return its local id (5.13.2).

        Raises InvalidRequest if the body has no @context, BadRequestData if it is none.
        """
        if "@context" not in body:
            raise InvalidRequest("@context: the body must be a JSON object with this member")
        check_local_context(body["@context"])
        identifier = str(uuid4())
        await self._insert(tenant, identifier, HOSTED, body["@context"])
        return identifier

    async def implicit(self, tenant: str, source: Any) -> str:
        """Return a URL for an @context that has none, a list or an object, and serve it there from now on."""
        identifier = str(uuid5(NAMESPACE_URL, f"{tenant} {text_of(source)}"))
        url = self._implicit.get(identifier)
        if url is None:
            with suppress(AlreadyExists):
                await self._insert(tenant, identifier, IMPLICIT, source)
            url = self._implicit[identifier] = self._url_of(identifier)
        return url

    async def list(self, tenant: str, *, kind: str | None = None) -> list[Document]:
        """Return what is known of the stored @contexts, of one kind or of all (5.13.3)."""
        await self.flush()
        where: dict[str, Any] = {"kind": kind} if kind else {}
        entries = await self._catalogue.find("", KIND, where)
        return [metadata(entry) for entry in entries if entry["kind"] == CACHED or entry["tenant"] == tenant]

    async def details(self, tenant: str, identifier: str) -> Document:
        """Return what is known of one @context (5.13.4). Raises ResourceNotFound."""
        if is_core_url(identifier):
            return {
                "URL": identifier,
                "localId": local_id(identifier),
                "kind": CACHED,
                "createdAt": format_ms(now_ms()),
            }
        await self.flush()
        entry = await self._entry(tenant, identifier)
        await self._count(entry)
        return metadata(entry)

    async def serve(self, tenant: str, identifier: str) -> Document:
        """Return the content of an @context (5.13.4). Raises ResourceNotFound, OperationNotSupported if Cached."""
        entry = None if is_core_url(identifier) else await self._entry(tenant, identifier)
        if entry is None or entry["kind"] == CACHED:
            raise OperationNotSupported(
                f"@context {identifier} is cached only; get it from its own URL, or ask for details"
            )
        await self._count(entry)
        document: Document = orjson.loads(entry["document"])
        return document

    async def delete(self, tenant: str, identifier: str) -> None:
        """Remove an @context (5.13.5). Raises ResourceNotFound, BadRequestData for the core @context."""
        if is_core_url(identifier):
            raise BadRequestData("the core @context cannot be deleted")
        entry = await self._entry(tenant, identifier)
        await self._catalogue.delete("", KIND, entry["id"])
        self._resolver.forget(entry["url"])
        self._implicit.pop(entry["id"], None)

    async def reload(self, tenant: str, identifier: str) -> None:
        """Fetch a cached @context anew; the old one stays if that fails (5.13.5).

        Raises BadRequestData if it is not a cached one, LdContextNotAvailable.
        """
        if is_core_url(identifier):
            return  # built in: there is nothing to fetch, and it is as new as the broker
        try:
            entry = await self._entry(tenant, identifier)
        except ResourceNotFound as error:
            raise BadRequestData(f"reload: {error.detail}; only a cached @context can be reloaded") from None
        if entry["kind"] != CACHED:
            raise BadRequestData(f"reload: @context {identifier} is {entry['kind']}; only a cached one can be reloaded")
        try:
            await self._resolver.reload(entry["url"])
        except BadRequestData as error:
            raise LdContextNotAvailable(error.detail) from None

    def hit(self, source: Any) -> None:
        """Count the use of an @context by a request; `source` is what the request named."""
        for url in source if type(source) is list else (source,):
            if type(url) is str:
                self._hits[url] = self._hits.get(url, 0) + 1

    async def flush(self) -> None:
        """Write the counted uses to the catalogue."""
        counted, self._hits = self._hits, {}
        now = now_ms()
        for url, hits in counted.items():
            if is_core_url(url):
                continue
            for identifier in local_ids(url):
                if await self._catalogue.change("", KIND, identifier, {"used": now}, increments={"hits": hits}):
                    break

    async def refresh_due(self) -> None:
        """Fetch the cached @contexts anew whose time is over (6.3.16); one that cannot be had stays in use."""
        for entry in await self._catalogue.find("", KIND, {"kind": CACHED, "expires": {"$lt": now_ms()}}):
            try:
                await self._resolver.reload(entry["url"])
            except (BadRequestData, LdContextNotAvailable):
                await self._catalogue.change("", KIND, entry["id"], {"expires": now_ms() + RETRY_INTERVAL})

    async def run(self) -> None:
        """Write the counted uses down and fetch anew what is due, until cancelled."""
        while True:
            await asyncio.sleep(PERIOD)
            try:
                await self.flush()
                await self.refresh_due()
            except NgsiError as error:
                log.warning("contexts_not_refreshed", error=error.detail)

    async def _insert(self, tenant: str, identifier: str, kind: str, context: Any) -> None:
        """Add an @context that this broker serves. Raises AlreadyExists."""
        now = now_ms()
        entry: Entry = {
            "id": identifier,
            "kind": kind,
            "tenant": tenant,
            "url": self._url_of(identifier),
            "document": text_of({"@context": context}),
            "created": now,
            "used": now,
            "hits": 0,
        }
        await self._catalogue.insert("", KIND, identifier, entry)

    async def _entry(self, tenant: str, identifier: str) -> Entry:
        """Return the entry with this local id or URL, if the tenant may see it. Raises ResourceNotFound."""
        entry = None
        for key in local_ids(identifier) if ":" in identifier else [identifier]:
            entry = entry or await self._catalogue.get("", KIND, key)
        if entry is None or (entry["kind"] == HOSTED and entry["tenant"] != tenant):
            raise ResourceNotFound(f"there is no @context {identifier}")
        return entry

    async def _count(self, entry: Entry) -> None:
        """Count that an entry was asked for."""
        await self._catalogue.change("", KIND, entry["id"], {"used": now_ms()}, increments={"hits": 1})

    def _url_of(self, identifier: str) -> str:
        return f"{self._base}{PATH}{identifier}"

    def _written(self, announcement: Announcement) -> None:
        """Drop what this process remembers when an @context was replaced or deleted anywhere."""
        if announcement.deed != "inserted":
            self._resolver.forget()
            self._implicit.clear()


def metadata(entry: Entry) -> Document:
    """Return what 5.13.3.5 tells of an @context."""
    known = {
        "URL": entry["url"],
        "localId": entry["id"],
        "kind": entry["kind"],
        "createdAt": format_ms(entry["created"]),
        "lastUsage": format_ms(entry["used"]),
        "numberOfHits": entry["hits"],
    }
    if "expires" in entry:
        known["expiresAt"] = format_ms(entry["expires"])
    return known


def check_local_context(context: Any) -> None:
    """Check an @context that a user wants to store, without fetching what it refers to. Raises BadRequestData."""
    for part in context if isinstance(context, list) else [context]:
        if isinstance(part, dict):
            compile_context([{name: value for name, value in part.items() if name != "@import"}], part, url=None)
        elif not isinstance(part, str):
            raise BadRequestData("@context: it is a URL, an object, or an array of these")


def text_of(value: Any) -> str:
    """Return a JSON value as text: names in an @context need not be names that the store can hold."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
