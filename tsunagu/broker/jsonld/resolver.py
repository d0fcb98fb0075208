"""From what a client names as its @context to a `Context`: documents found, kept and compiled (4.4, 5.5.6, 6.3.5)."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urljoin

import orjson

from tsunagu.background import end
from tsunagu.broker.errors import BadRequestData, NgsiError
from tsunagu.broker.jsonld.context import CORE, Context
from tsunagu.broker.jsonld.core import is_core_url
from tsunagu.broker.jsonld.definitions import CORE_DEFINITIONS, compile_context
from tsunagu.broker.jsonld.fetch import check_url

if TYPE_CHECKING:
    from tsunagu.broker.jsonld.fetch import ContextFetcher

COMPILED_LIMIT = 512
DOCUMENTS_LIMIT = 256
DEPTH_LIMIT = 8
PARTS_LIMIT = 64
FAILURES_LIMIT = 1024
FAILURE_SECONDS = 5.0

Document = dict[str, Any]
Definition = dict[str, Any] | None


class ContextStore(Protocol):
    """Where context documents outlive the process: those that users host and those that were fetched (5.13)."""

    async def get(self, url: str) -> Document | None:
        """Return the document with @context that is kept for `url`, None if there is none."""

    async def put(self, url: str, document: Document) -> None:
        """Keep a fetched document."""


class ContextResolver:
    """Makes contexts of what requests carry, and remembers them.

    A context that is known costs a dict lookup (`known`). What is fetched goes to `store`, if there is one, and is
    read from there after a restart. Requests for one URL share one fetch; a failure is remembered for FAILURE_SECONDS.
    """

    def __init__(self, fetcher: ContextFetcher, *, store: ContextStore | None = None) -> None:
        self._fetcher = fetcher
        self._store = store
        self._compiled: OrderedDict[str | bytes, Context] = OrderedDict()
        self._documents: OrderedDict[str, Document] = OrderedDict()
        self._fetches: dict[str, asyncio.Task[Document]] = {}
        self._failures: dict[str, tuple[float, NgsiError]] = {}

    def known(self, source: str | None) -> Context | None:
        """Return the context of a URL (None: the core) if it is at hand, without waiting; else None."""
        if source is None:
            return CORE
        return self._compiled.get(source)

    async def resolve(self, source: Any, *, base: str | None = None) -> Context:
        """Return the context for `source`: None (the core alone), a URL, an object, or a list of these.

        Relative URLs are resolved against `base`. Raises BadRequestData if it is no valid context, and
        LdContextNotAvailable if a remote one cannot be had.
        """
        if source is None or source == []:
            return CORE
        key = _key(source, base)
        context = self._compiled.get(key)
        if context is None:
            definitions: list[Definition] = []
            await self._collect(source, base, (), definitions)
            context = compile_context(definitions, source, url=_single_url(source, base))
            _keep(self._compiled, key, context, COMPILED_LIMIT)
        else:
            self._compiled.move_to_end(key)
        return context

    def forget(self, url: str | None = None) -> None:
        """Forget the document of `url` (None: all) and every compiled context, which may have been built on it."""
        if url is None:
            self._documents.clear()
            self._failures.clear()
        else:
            self._documents.pop(url, None)
            self._failures.pop(url, None)
        self._compiled.clear()

    async def reload(self, url: str) -> Document:
        """Fetch the document of `url` anew and keep it (5.13.5); the old one stays in use if that fails."""
        document = await self._fetcher.fetch(url)
        self.forget(url)
        await self._remember(url, document)
        return document

    async def close(self) -> None:
        """Stop the fetches under way and close the connections."""
        tasks = list(self._fetches.values())
        await end(*tasks)
        await self._fetcher.close()

    async def _collect(self, source: Any, base: str | None, chain: tuple[str, ...], found: list[Definition]) -> None:
        """Append to `found` the objects that `source` consists of, in order; `chain` are the URLs on the way here."""
        if len(found) >= PARTS_LIMIT:
            raise BadRequestData(f"@context: more than {PARTS_LIMIT} contexts in one")
        if source is None:
            found.append(None)
        elif type(source) is list:
            for item in source:
                await self._collect(item, base, chain, found)
        elif type(source) is dict:
            found.append(await self._with_import(source, base))
        elif type(source) is str:
            await self._collect_remote(_absolute(source, base), chain, found)
        else:
            raise BadRequestData(f"@context: a URL, an object or an array of these is expected, not {source!r}")

    async def _collect_remote(self, url: str, chain: tuple[str, ...], found: list[Definition]) -> None:
        if is_core_url(url):
            found.append(CORE_DEFINITIONS)
            return
        if url in chain:
            raise BadRequestData(f"@context: {url} refers to itself")
        if len(chain) >= DEPTH_LIMIT:
            raise BadRequestData(f"@context: contexts refer to contexts more than {DEPTH_LIMIT} deep, at {url}")
        document = await self._document(url)
        await self._collect(document["@context"], url, (*chain, url), found)

    async def _with_import(self, local: dict[str, Any], base: str | None) -> dict[str, Any]:
        """Return a context object with what it imports (JSON-LD 1.1, @import) under its own definitions."""
        if "@import" not in local:
            return local
        if type(local["@import"]) is not str:
            raise BadRequestData("@context: @import shall be a URL")
        url = _absolute(local["@import"], base)
        imported = (await self._document(url))["@context"]
        if type(imported) is not dict or "@import" in imported:
            raise BadRequestData(f"@context: @import {url}: one context object without @import is expected there")
        return imported | {name: value for name, value in local.items() if name != "@import"}

    async def _document(self, url: str) -> Document:
        document = self._documents.get(url)
        if document is not None:
            self._documents.move_to_end(url)
            return document
        failed = self._failures.get(url)
        if failed is not None:
            if time.monotonic() < failed[0]:
                raise type(failed[1])(failed[1].detail)
            del self._failures[url]
        task = self._fetches.get(url)
        if task is None:
            task = asyncio.create_task(self._obtain(url), name=f"context {url}")
            self._fetches[url] = task
            task.add_done_callback(lambda done: self._done(url, done))
        return await asyncio.shield(task)

    def _done(self, url: str, task: asyncio.Task[Document]) -> None:
        self._fetches.pop(url, None)
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, NgsiError):
            if len(self._failures) >= FAILURES_LIMIT:
                self._failures.clear()
            self._failures[url] = (time.monotonic() + FAILURE_SECONDS, error)

    async def _obtain(self, url: str) -> Document:
        document = await self._store.get(url) if self._store is not None else None
        if document is not None:
            _keep(self._documents, url, document, DOCUMENTS_LIMIT)
            return document
        document = await self._fetcher.fetch(url)
        await self._remember(url, document)
        return document

    async def _remember(self, url: str, document: Document) -> None:
        _keep(self._documents, url, document, DOCUMENTS_LIMIT)
        if self._store is not None:
            await self._store.put(url, document)


def _keep(cache: OrderedDict[Any, Any], key: Any, value: Any, limit: int) -> None:
    cache[key] = value
    cache.move_to_end(key)
    while len(cache) > limit:
        cache.popitem(last=False)


def _key(source: Any, base: str | None) -> str | bytes:
    if type(source) is str:
        return source if base is None else _absolute(source, base)
    try:
        return orjson.dumps([base, source])
    except orjson.JSONEncodeError as error:
        raise BadRequestData(f"@context: {error}") from None


def _absolute(url: str, base: str | None) -> str:
    try:
        url = url if base is None else urljoin(base, url)
    except ValueError:
        raise BadRequestData(f"@context: {url[:200]!r} is not a URL") from None
    check_url(url)
    return url


def _single_url(source: Any, base: str | None) -> str | None:
    """Return the address that says the same as `source`, if there is one: its only URL besides the core's."""
    items = source if type(source) is list else [source]
    others = [item for item in items if not (type(item) is str and is_core_url(item))]
    if not others and items:
        return str(items[-1])
    return _absolute(others[0], base) if len(others) == 1 and type(others[0]) is str else None
