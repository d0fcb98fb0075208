"""TLS contexts of endpoints, made once for each set of certificates and kept while they are used."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING

from tsunagu.broker.access.tls import client_context

if TYPE_CHECKING:
    import ssl

    from tsunagu.broker.access.tls import Certificates

KEPT = 256


class Contexts:
    """Makes TLS contexts, and keeps the latest used."""

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[Certificates, bool], ssl.SSLContext] = OrderedDict()

    async def of(self, certificates: Certificates | None, *, system: bool = False) -> ssl.SSLContext | None:
        """Return the context for certificates, None (the default one) if there are none.

        With `system` the system's CAs are trusted, too. Raises ValueError.
        """
        if certificates is None:
            return None
        key = (certificates, system)
        context = self._made.get(key)
        if context is None:
            made = await asyncio.to_thread(client_context, certificates, system=system)
            context = self._made.setdefault(key, made)  # connections are shared by identity of the context
            if len(self._made) > KEPT:
                self._made.popitem(last=False)
        self._made.move_to_end(key)
        return context
