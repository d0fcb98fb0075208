"""Pseudonyms for tags: a keyed hash that stands for the identity which a tag broadcasts.

Source: city.md, "Consent and privacy".
Each tenant has a key of its own, made at first use and kept in the catalogue, so that two tenants cannot join their
data.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from tsunagu.adapters.catalogue import SECRETS, Catalogue, Faults
from tsunagu.adapters.sink import SinkUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

KEY_ID = "tag_pseudonyms"
LENGTH = 26  # characters of base32: 130 bits
MAX_CACHED = 100_000


def pseudonym(key: bytes, identity: str) -> str:
    """Return the pseudonym of an identity: 26 lower-case letters and digits."""
    digest = hmac.new(key, identity.encode(), hashlib.sha256).digest()
    return base64.b32encode(digest).decode().lower()[:LENGTH]


class Pseudonyms:
    """The pseudonym functions by tenant."""

    def __init__(self, catalogue: Catalogue, faults: Faults) -> None:
        self.catalogue = catalogue
        self.faults = faults
        self._keys: dict[str, bytes] = {}
        self._cache: dict[tuple[str, str], str] = {}

    async def of(self, tenant: str) -> Callable[[str], str]:
        """Return the tenant's function from identity to pseudonym. Raises SinkUnavailable."""
        if tenant not in self._keys:
            try:
                self._keys[tenant] = await self._load(tenant)
            except self.faults.unavailable as error:
                raise SinkUnavailable(str(error)) from None
        return lambda identity: self._cached(tenant, identity)

    async def _load(self, tenant: str) -> bytes:
        entry = await self.catalogue.get(tenant, SECRETS, KEY_ID)
        if entry is None:
            with suppress(self.faults.already_exists):
                await self.catalogue.insert(tenant, SECRETS, KEY_ID, {"key": secrets.token_hex(32)})
            entry = await self.catalogue.get(tenant, SECRETS, KEY_ID)
        if entry is None:
            raise SinkUnavailable("the key of tag pseudonyms cannot be read")
        return bytes.fromhex(entry["key"])

    def _cached(self, tenant: str, identity: str) -> str:
        name = self._cache.get((tenant, identity))
        if name is None:
            if len(self._cache) >= MAX_CACHED:
                self._cache.clear()
            name = self._cache[tenant, identity] = pseudonym(self._keys[tenant], identity)
        return name
