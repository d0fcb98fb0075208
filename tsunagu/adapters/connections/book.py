"""The routes of the installation, in memory, and what they mean for a door's topics and for webhooks."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING

from tsunagu.adapters.errors import MethodNotAllowed, PathNotFound
from tsunagu.adapters.inbound.topics import MAX_CACHED, TopicTree
from tsunagu.adapters.message import Message
from tsunagu.adapters.registry import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tsunagu.adapters.connections.route import Route

TREE = TopicTree(FORMATS.values())
METHODS = ("POST", "PUT")
Found = tuple["Route", dict[str, str]]
NO_HEADERS: dict[str, str] = {}


class RoutedTopics:
    """The topics of one MQTT broker: those of routes first, then, if it has them, those of all formats.

    `realm` is the tenant whose groups alone these messages reach, None for all (routes have their own).
    """

    def __init__(self, routes: Sequence[Route], *, standard: bool, realm: str | None) -> None:
        self._routes = routes
        self._standard = standard
        self._realm = realm
        self._route_of = lru_cache(MAX_CACHED)(partial(first, self._routes))
        filters = [route.pattern.filter for route in routes]
        self.filters = list(dict.fromkeys([*filters, *(TREE.filters if standard else ())]))

    def message(
        self, topic: str, body: bytes, received: int, *, headers: Mapping[str, str] = NO_HEADERS
    ) -> Message | None:
        """Return the message on a topic, `headers` its user properties; None for a topic that is none of these."""
        if self._routes:
            found = self._route_of(topic)
            if found is not None:
                route, parts = found
                return route.message(parts, body, topic, received=received, headers=headers)
        match = TREE.match(topic) if self._standard else None
        if match is None:
            return None
        return Message(match[0], body, received, match[1], topic, realm=self._realm)


class RouteBook:
    """All routes; `replace` puts others in their place."""

    def __init__(self) -> None:
        self._hooks: tuple[Route, ...] = ()
        self._topics: tuple[Route, ...] = ()

    def replace(self, routes: Iterable[Route]) -> None:
        """Use these routes from now on."""
        routes = sorted(routes, key=lambda route: (len(route.pattern.names), route.pattern.text))
        self._hooks = tuple(route for route in routes if route.is_hook)
        self._topics = tuple(route for route in routes if not route.is_hook)

    def of(self, tenant: str | None, connection: str | None) -> tuple[Route, ...]:
        """Return the routes of a tenant's connection; those of the operator's own MQTT broker for None."""
        return tuple(
            route
            for route in self._topics
            if route.connection == connection and (connection is None or route.tenant == tenant)
        )

    def topics_of(self, tenant: str) -> RoutedTopics:
        """Return all topics of a tenant, whichever connection brings them, for a look at a message."""
        return RoutedTopics([one for one in self._topics if one.tenant == tenant], standard=True, realm=None)

    def hook(self, method: str, path: str, body: bytes, *, received: int, headers: Mapping[str, str]) -> Message:
        """Return the message that a webhook's request is. Raises PathNotFound, MethodNotAllowed, NotAllowed."""
        found = first(self._hooks, path)
        if found is None:
            raise PathNotFound(f"there is no route {path}")
        if method not in METHODS:
            raise MethodNotAllowed(f"{path} takes {', '.join(METHODS)} and not {method}")
        route, parts = found
        route.check(headers)
        return route.message(parts, body, path, received=received, headers=headers)


def first(routes: Iterable[Route], topic: str) -> Found | None:
    """Return the first route that a topic matches, with its parts: those with the fewest named parts come first."""
    for route in routes:
        parts = route.pattern.match(topic)
        if parts is not None:
            return route, {name: value for name, value in parts.items() if value is not None}
    return None
