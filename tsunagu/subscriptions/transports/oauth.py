"""OAuth2 client credentials (RFC 6749, 4.4): tokens for endpoints, fetched when first needed, kept, and renewed.

What an endpoint needs stands in its notifierInfo (`schemas.endpoint`). A token is renewed before it expires, and once
when the endpoint refuses it (401). Endpoints with the same credentials share a token; however many notifications wait
for one, it is asked for once.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote_plus, urlencode, urlsplit

import orjson

from tsunagu.background import end
from tsunagu.broker.access.tls import Certificates, certificates_of
from tsunagu.schemas.endpoint import (
    AUDIENCE,
    CLIENT_AUTHENTICATION,
    CLIENT_ID,
    CLIENT_SECRET,
    SCOPE,
    TOKEN_URL,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

KEPT = 10_000
WITHOUT_EXPIRY = 300.0
EARLY = 30.0
EARLY_PART = 0.2
LONGEST = 24 * 3600.0
OK = 200


class NoToken(Exception):
    """There is no token to be had; the text says why, without any secret."""


@dataclass(frozen=True, slots=True)
class Client:
    """As whom the broker asks for tokens, and where."""

    url: str
    id: str
    secret: str = field(repr=False)
    scope: str | None = None
    audience: str | None = None
    post: bool = False
    certificates: Certificates | None = None

    @property
    def place(self) -> str:
        """The token URL without user, password and query, for people."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def request(self) -> tuple[bytes, dict[str, str]]:
        """Return the form to post to the token URL, and the headers (RFC 6749, 2.3.1 and 4.4.2)."""
        form = {"grant_type": "client_credentials"}
        if self.scope is not None:
            form["scope"] = self.scope
        if self.audience is not None:
            form["audience"] = self.audience
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if self.post:
            form.update(client_id=self.id, client_secret=self.secret)
        else:
            pair = f"{quote_plus(self.id)}:{quote_plus(self.secret)}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        return urlencode(form).encode(), headers


def client_of(settings: Mapping[str, str]) -> Client | None:
    """Return the client that an endpoint's settings describe, None if it needs no tokens."""
    if TOKEN_URL not in settings:
        return None
    return Client(
        settings[TOKEN_URL],
        settings[CLIENT_ID],
        settings[CLIENT_SECRET],
        scope=settings.get(SCOPE),
        audience=settings.get(AUDIENCE),
        post=settings.get(CLIENT_AUTHENTICATION) == "post",
        certificates=certificates_of(settings),
    )


def bearer(token: str) -> tuple[str, str]:
    """Return the header that shows a token (RFC 6750, 2.1)."""
    return "Authorization", f"Bearer {token}"


class Tokens:
    """The tokens of a process. `fetch` posts to a token URL and returns status and body; it may raise NoToken."""

    def __init__(self, fetch: Callable[[Client], Awaitable[tuple[int, bytes]]]) -> None:
        self._fetch = fetch
        self._kept: OrderedDict[Client, tuple[str, float]] = OrderedDict()
        self._asking: dict[Client, asyncio.Task[str]] = {}

    async def get(self, client: Client) -> str:
        """Return a token that is good for a while. Raises NoToken."""
        kept = self._kept.get(client)
        if kept is not None and kept[1] > time.monotonic():
            self._kept.move_to_end(client)
            return kept[0]
        task = self._asking.get(client)
        if task is None:
            task = self._asking[client] = asyncio.create_task(self._ask(client), name="OAuth2 token")
            task.add_done_callback(lambda done: self._asked(client, done))
        return await asyncio.shield(task)  # who gives up waiting leaves it to the others

    def _asked(self, client: Client, task: asyncio.Task[str]) -> None:
        self._asking.pop(client, None)
        if not task.cancelled():
            task.exception()  # seen by whoever waited; nobody may have

    def refused(self, client: Client, token: str) -> None:
        """Forget a token that an endpoint did not take."""
        kept = self._kept.get(client)
        if kept is not None and kept[0] == token:
            del self._kept[client]

    async def _ask(self, client: Client) -> str:
        status, body = await self._fetch(client)
        token, seconds = token_in(client.place, status, body)
        self._kept[client] = token, time.monotonic() + seconds
        self._kept.move_to_end(client)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return token

    async def close(self) -> None:
        """Ask for nothing any more."""
        tasks = list(self._asking.values())
        await end(*tasks)


def token_in(place: str, status: int, body: bytes) -> tuple[str, float]:
    """Return the token in a token URL's answer and for how many seconds to use it (RFC 6749, 5.1). Raises NoToken."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict):
        answer = {}
    if status != OK:
        told = " ".join(str(answer[key])[:100] for key in ("error", "error_description") if key in answer)
        raise NoToken(f"{place} answered {status} {told}".rstrip())
    token = answer.get("access_token")
    if not isinstance(token, str) or not token.isprintable() or not token.isascii() or not token:
        raise NoToken(f"{place} answered 200 without an access_token")
    kind = answer.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise NoToken(f"{place} gave a token of type {str(kind)[:40]}; only Bearer is known here")
    lasts = answer.get("expires_in")
    if isinstance(lasts, str) and lasts.isascii() and lasts.isdigit() and len(lasts) < 10:  # noqa: PLR2004 - a number
        lasts = int(lasts)
    if isinstance(lasts, bool) or not isinstance(lasts, int | float):
        return token, WITHOUT_EXPIRY
    return token, min(max(lasts - min(EARLY, lasts * EARLY_PART), 0.0), LONGEST)
