"""Subscriptions: create, retrieve, query, update, delete (ETSI GS CIM 009, 5.8.1–5.8.5)."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from tsunagu.broker.access.tls import certificates_of, client_context
from tsunagu.broker.errors import BadRequestData, ResourceNotFound
from tsunagu.broker.operations.subscription_form import Body, Entry, changed_entry, new_entry, present, require_uri
from tsunagu.schemas.endpoint import TOKEN_URL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tsunagu.broker.jsonld.context import Context
    from tsunagu.broker.jsonld.resolver import ContextResolver
    from tsunagu.broker.operations.tallies import Tallies
    from tsunagu.broker.storage.catalogue import Catalogue

KIND = "subscriptions"


class SubscriptionFollower(Protocol):
    """The part of this process that sends notifications: hears of each write here before it is answered."""

    def subscription_written(self, tenant: str, entry: Entry) -> None:
        """Take a new or changed subscription into effect."""

    def subscription_deleted(self, tenant: str, subscription: str) -> None:
        """Send nothing more for a subscription; what is on its way is broken off."""


@dataclass(frozen=True, slots=True)
class SubscriptionPage:
    """Part of a list of subscriptions, as clients read them, and the number of all if it was asked for."""

    subscriptions: list[Body]
    count: int | None = None


class Subscriptions:
    """The operations on subscriptions.

    `schemes` are the endpoint schemes that can be served; `guard` raises BadRequestData for a URL that must not be
    reached; `follower` (may be set later) sends the notifications.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        resolver: ContextResolver,
        tallies: Tallies,
        *,
        schemes: frozenset[str],
        guard: Callable[[str], Awaitable[None]],
    ) -> None:
        self._catalogue = catalogue
        self._resolver = resolver
        self._tallies = tallies
        self._schemes = schemes
        self._guard = guard
        self.follower: SubscriptionFollower | None = None

    async def create(self, tenant: str, body: Body, context: Context) -> str:
        """Create a subscription and return its id (5.8.1).

        Raises BadRequestData, AlreadyExists, LdContextNotAvailable.
        """
        entry = new_entry(body, context, now=_now())
        await self._complete(entry, body)
        await self._catalogue.insert(tenant, KIND, entry["id"], entry)
        if self.follower is not None:
            self.follower.subscription_written(tenant, entry)
        return str(entry["id"])

    async def retrieve(self, tenant: str, subscription: str, context: Context, *, sys_attrs: bool = False) -> Body:
        """Return a subscription, names compacted with `context` (5.8.3). Raises BadRequestData, ResourceNotFound."""
        entry = await self.entry(tenant, subscription)
        return (await self._present(tenant, [entry], context, sys_attrs=sys_attrs))[0]

    async def query(
        self,
        tenant: str,
        context: Context,
        *,
        limit: int,
        offset: int = 0,
        count: bool = False,
        sys_attrs: bool = False,
    ) -> SubscriptionPage:
        """Return a page of the subscriptions of a tenant (5.8.4), ordered by creation; limit 0 only counts."""
        total = await self._catalogue.count(tenant, KIND) if count else None
        if not limit:
            return SubscriptionPage([], total)
        order = (("created", 1), ("id", 1))
        entries = await self._catalogue.find(tenant, KIND, limit=limit, offset=offset, sort=order)
        return SubscriptionPage(await self._present(tenant, entries, context, sys_attrs=sys_attrs), total)

    async def update(self, tenant: str, subscription: str, fragment: Body, context: Context) -> None:
        """Put the members of a fragment in place of the subscription's own; null removes one (5.8.2).

        Raises BadRequestData, ResourceNotFound, LdContextNotAvailable.
        """
        entry = await self.entry(tenant, subscription)
        changed = changed_entry(entry, fragment, context, now=_now())
        await self._complete(changed, fragment)
        await self._catalogue.replace(tenant, KIND, subscription, changed)
        if self.follower is not None:
            self.follower.subscription_written(tenant, changed)

    async def delete(self, tenant: str, subscription: str) -> None:
        """Delete a subscription (5.8.5). Raises BadRequestData, ResourceNotFound."""
        require_uri(subscription)
        existed = await self._catalogue.delete(tenant, KIND, subscription)
        if self.follower is not None:
            self.follower.subscription_deleted(tenant, subscription)
        if not existed:
            raise ResourceNotFound(f"there is no subscription {subscription}")
        await self._tallies.forget(tenant, subscription)

    async def entry(self, tenant: str, subscription: str) -> Entry:
        """Return the catalogue's entry of a subscription. Raises BadRequestData, ResourceNotFound."""
        require_uri(subscription)
        entry = await self._catalogue.get(tenant, KIND, subscription)
        if entry is None:
            raise ResourceNotFound(f"there is no subscription {subscription}")
        return entry

    async def _complete(self, entry: Entry, given: Body) -> None:
        """Check what needs the network: the endpoint and the jsonldContext, where they were given."""
        if "notification" in given:
            await self._check_endpoint(entry["body"]["notification"]["endpoint"])
        if "jsonldContext" in given and "jsonldContext" in entry["body"]:
            source = entry["body"]["jsonldContext"]
            context = await _named("jsonldContext", self._resolver.resolve(source))
            entry["context"], entry["url"] = context.source, context.url

    async def _check_endpoint(self, endpoint: Body) -> None:
        """Raise BadRequestData if an endpoint cannot be served, must not be reached, or has unusable certificates."""
        scheme = urlsplit(endpoint["uri"]).scheme.lower()
        if scheme not in self._schemes:
            known = ", ".join(sorted(self._schemes))
            raise BadRequestData(f"notification.endpoint.uri: {scheme}: is not served here; use one of {known}")
        await _named("notification.endpoint.uri", self._guard(endpoint["uri"]))
        settings = {pair["key"]: pair["value"] for pair in endpoint.get("notifierInfo", ())}
        if TOKEN_URL in settings:
            await _named(f"notification.endpoint.notifierInfo: {TOKEN_URL}", self._guard(settings[TOKEN_URL]))
        certificates = certificates_of(settings)
        if certificates is not None:
            try:
                await asyncio.to_thread(client_context, certificates)
            except ValueError as error:
                raise BadRequestData(f"notification.endpoint.notifierInfo: {error}") from None

    async def _present(self, tenant: str, entries: Sequence[Entry], context: Context, *, sys_attrs: bool) -> list[Body]:
        now = _now()
        tallies = await self._tallies.read(tenant, [entry["id"] for entry in entries])
        shown = []
        for entry in entries:
            tally = tallies.get(entry["id"])
            members = tally.members() if tally is not None else {}
            shown.append(present(entry, context, members, now=now, sys_attrs=sys_attrs))
        return shown


async def _named(member: str, check: Awaitable[Any]) -> Any:
    """Await a check; name the member in the BadRequestData it raises."""
    try:
        return await check
    except BadRequestData as error:
        raise BadRequestData(f"{member}: {error.detail}") from None


def _now() -> int:
    return time.time_ns() // 1_000_000
